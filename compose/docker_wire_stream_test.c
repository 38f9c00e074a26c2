/* Streams and archives of a scripted engine: frames, logs, events and files in pieces, cut, and garbled. */
#include "compose/docker_frames.h"
#include "compose/docker_wire_testing.h"

/* ---- frames and logs ---- */

static void take_frame(void *arg, int stream, const char *data, size_t len, bool first)
{
	struct str *out = arg;
	if (first)
		str_addf(out, "%d:", stream);
	str_addn(out, data, len);
}

static void frames_in_pieces(void **state)
{
	(void)state;
	static const char wire[] =
	        "\1\0\0\0\0\0\0\3abc\2\0\0\0\0\0\0\0\2\0\0\0\0\0\0\1d\3\0\0\0\0\0\0\2ef\1\0\0\0\0\0\0\1g";
	for (size_t piece = 1; piece < sizeof(wire); piece++) {
		struct str out = STR_INIT;
		struct docker_frames f = {.take = take_frame, .arg = &out};
		for (size_t at = 0; at < sizeof(wire) - 1; at += piece) {
			size_t n = sizeof(wire) - 1 - at;
			assert_int_equal(docker_frames_feed(&f, wire + at, n < piece ? n : piece), 0);
		}
		assert_string_equal(str_text(&out), "1:abc2:d2:ef1:g");
		str_free(&out);
	}
	static const char *const bad[] = {"\4\0\0\0\0\0\0\1", "\1\1\0\0\0\0\0\1", "HTTP/1.1",
	                                  "\1\0\0x\0\0\0\1"};
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct docker_frames f = {.take = take_frame};
		assert_int_equal(docker_frames_feed(&f, bad[i], 8), -1);
	}
}

#define FRAME(stream, len, text) stream "\0\0\0\0\0\0" len text

static void logs_as_sent(void **state)
{
	(void)state;
	static const char frames[] = HEAD "{\"Config\":{\"Tty\":false}}",
	                  tty[] = HEAD "{\"Config\":{\"Tty\":true}}";
	static const char framed[] = "HTTP/1.1 200 OK\r\n\r\n" FRAME("\1", "\7", "T1 one\n")
	        FRAME("\1", "\6", "T2 par") FRAME("\2", "\x9", "T3 err\r\n\n") FRAME("\1", "\x8", "T4 tial\n")
	                FRAME("\2", "\6", "T5 a\0\xff");
	static const char raw[] = "HTTP/1.1 200 OK\r\n\r\nT1 one\r\n\r\nT2 two";
	static const char garbled[] = "HTTP/1.1 200 OK\r\n\r\nno frames at all";
	static const struct {
		struct answer info, log;
		int n;
		const char *lines;
	} cases[] = {
	        {{frames, sizeof(frames) - 1, 1},
	         {framed, sizeof(framed) - 1, 1},
	         9,
	         "[\"T1 one\",\"T3 err\",\"\",\"T2 partial\",\"T5 a??\"]"},
	        {{frames, sizeof(frames) - 1, 0},
	         {framed, sizeof(framed) - 1, 7},
	         2,
	         "[\"T2 partial\",\"T5 a??\"]"},
	        {{tty, sizeof(tty) - 1, 0}, {raw, sizeof(raw) - 1, 1}, 9, "[\"T1 one\",\"\",\"T2 two\"]"},
	        {{frames, sizeof(frames) - 1, 0}, {garbled, sizeof(garbled) - 1, 0}, 9, NULL},
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct err err = {0};
		script((const struct answer[]){cases[i].info, cases[i].log}, 2);
		cleanup_json cJSON *l = docker_logs("c", cases[i].n, true, &err);
		played();
		cleanup_free char *text = l ? json_print(l) : NULL;
		if (!cases[i].lines)
			assert_int_equal(err.code, ERR_ENGINE);
		else if (!text || strcmp(text, cases[i].lines))
			fail_msg("%s, not %s", text ? text : err.msg, cases[i].lines);
	}
}

/* ---- events ---- */

static bool note(void *arg, const cJSON *event)
{
	str_addf(arg, "%s,", json_text_or(event, "Action", "?"));
	return strcmp(json_text_or(event, "Action", ""), "stop") != 0;
}

static void events_as_sent(void **state)
{
	(void)state;
	static const char good[] =
	        "HTTP/1.1 200 "
	        "OK\r\n\r\n{\"Action\":\"a\"}\n\n{\"Action\":\"b\"}\n{\"Action\":\"stop\"}\n{}\n",
	                  ended[] = "HTTP/1.1 200 OK\r\n\r\n{\"Action\":\"a\"}\n{\"Action\":\"b",
	                  garbage[] =
	                          "HTTP/1.1 200 OK\r\n\r\n{\"Action\":\"a\"}\nnothing\n{\"Action\":\"b\"}\n",
	                  refused[] = "HTTP/1.1 500 No\r\n\r\n{\"message\":\"no events\"}";
	static const struct {
		const char *wire;
		int rc;
		const char *actions, *says;
	} cases[] = {{good, 0, "a,b,stop,", ""},
	             {ended, -1, "a,", "ended the stream"},
	             {garbage, -1, "a,", "no event"},
	             {refused, -1, "", "no events"}};
	for (size_t i = 0; i < 2 * ARRAY_LEN(cases); i++) {
		size_t c = i / 2;
		struct str seen = STR_INIT;
		struct err err = {0};
		script(&(struct answer){cases[c].wire, strlen(cases[c].wire), i % 2}, 1);
		int rc = docker_events(1700000000042, "a=b", note, NULL, &seen, &err);
		played();
		if (rc != cases[c].rc || strcmp(str_text(&seen), cases[c].actions) ||
		    !strstr(err.msg, cases[c].says))
			fail_msg("%zu: %d %s %s", c, rc, str_text(&seen), err.msg);
		assert_int_equal(err.code, rc ? ERR_ENGINE : ERR_NONE);
		assert_string_equal(engine.requests[0],
		                    "GET /v1.41/events?since=1700000000.042000000&filters="
		                    "%7B%22label%22%3A%5B%22a%3Db%22%5D%7D HTTP/1.1");
		str_free(&seen);
	}
}

/* ---- archives ---- */

#define SIZE_AT 124
#define TYPE_AT 156

/* Change ${field} of the header that begins at ${at} and make its checksum fit again. */
static void patch(struct str *tar, size_t at, size_t field, const void *value, size_t len)
{
	unsigned sum = 0;
	memcpy(tar->p + at + field, value, len);
	memset(tar->p + at + 148, ' ', 8);
	for (size_t i = 0; i < 512; i++)
		sum += (unsigned char)tar->p[at + i];
	snprintf(tar->p + at + 148, 8, "%06o", sum);
}

/* Send what follows the head in pieces of 1 byte to all at once, and read file f of it. */
static void reads(struct str *wire, enum err_code code, const char *expected)
{
	static const size_t pieces[] = {0, 1, 511, 700};
	for (size_t i = 0; i < ARRAY_LEN(pieces); i++) {
		cleanup_free char *text = NULL;
		size_t len = 0;
		struct err err = {0};
		script(&(struct answer){wire->p, wire->len, pieces[i]}, 1);
		int rc = docker_read_file("c", "/f", 1000, &text, &len, &err);
		played();
		if (err.code != code || rc != (code ? -1 : 0))
			fail_msg("gave %d %s", err.code, err.msg);
		if (expected)
			assert_string_equal(text, expected);
	}
	str_free(wire);
}

static struct str begin_tar(void)
{
	struct str s = STR_INIT;
	str_add(&s, "HTTP/1.1 200 OK\r\n\r\n");
	return s;
}

#define AT strlen("HTTP/1.1 200 OK\r\n\r\n")

static void extended(struct str *tar, char type, const char *records)
{
	size_t at = tar->len;
	test_docker_tar(tar, "PaxHeaders/f", NULL, records, strlen(records));
	patch(tar, at, TYPE_AT, &type, 1);
}

static void archives_with_extended_headers(void **state)
{
	(void)state;
	static const struct {
		char type;
		const char *records;
		enum err_code code;
		const char *text;
	} cases[] = {
	        {'x', "", 0, "hello"},
	        {'x', "9 size=3\n", 0, "hel"},
	        {'x', "11 path=/a\n9 size=2\n", 0, "he"},
	        {'g', "9 size=3\n", 0, "hello"}, /* of the whole archive: not for us */
	        {'L', "a long name", 0, "hello"},
	        {'x', "13 size=99999\n", ERR_ENGINE, NULL},
	        {'x', "14 size=99999\n", ERR_LIMIT, NULL},
	        {'x', "11 size=-1\n", ERR_ENGINE, NULL},
	        {'x', "10 size=-1\n", ERR_ENGINE, NULL},
	        {'x', "9 size=x\n", ERR_ENGINE, NULL},
	        {'x', "99999999999999999999 size=1\n", ERR_ENGINE, NULL},
	        {'x', "0 size=1\n", ERR_ENGINE, NULL},
	        {'x', "1 size=1\n", ERR_ENGINE, NULL},
	        {'x', "2 \n", ERR_ENGINE, NULL},
	        {'x', "9999 size=1\n", ERR_ENGINE, NULL},
	        {'x', "size=1\n", ERR_ENGINE, NULL},
	        {'x', "9", ERR_ENGINE, NULL},
	        {'x', "30 size=9223372036854775808888\n", ERR_ENGINE, NULL},
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct str tar = begin_tar();
		extended(&tar, cases[i].type, cases[i].records);
		test_docker_tar(&tar, "f", NULL, "hello", 5);
		test_docker_tar_end(&tar);
		reads(&tar, cases[i].code, cases[i].text);
	}
	struct str tar = begin_tar();
	for (int i = 0; i < 20; i++)
		extended(&tar, 'x', "10 mode=7\n");
	test_docker_tar(&tar, "f", NULL, "hello", 5);
	reads(&tar, ERR_ENGINE, NULL);
}

static void archives_with_bad_headers(void **state)
{
	(void)state;
	static const struct {
		size_t field;
		const char *value;
		size_t len;
		enum err_code code;
		const char *text;
	} cases[] = {
	        {TYPE_AT, "0", 1, 0, "hello"},
	        {TYPE_AT, "\0", 1, 0, "hello"},
	        {TYPE_AT, "1", 1, ERR_INVALID, NULL},
	        {TYPE_AT, "5", 1, ERR_INVALID, NULL},
	        {TYPE_AT, "6", 1, ERR_INVALID, NULL},
	        {TYPE_AT, "S", 1, ERR_INVALID, NULL},
	        {SIZE_AT, "        3 \0", 11, 0, "hel"},
	        {SIZE_AT, "777777777777", 12, ERR_LIMIT, NULL},
	        {SIZE_AT, "00000000009", 12, ERR_ENGINE, NULL},
	        {SIZE_AT, "-0000000001", 12, ERR_ENGINE, NULL},
	        {SIZE_AT, "\x80\0\0\0\0\0\0\0\0\0\0\4", 12, 0, "hell"},
	        {SIZE_AT, "\x80\0\0\0\x7f\xff\xff\xff\xff\xff\xff\xff", 12, ERR_LIMIT, NULL},
	        {SIZE_AT, "\x80\0\0\0\xff\xff\xff\xff\xff\xff\xff\xff", 12, ERR_ENGINE, NULL},
	        {SIZE_AT, "\x80\0\0\1\0\0\0\0\0\0\0\4", 12, ERR_ENGINE, NULL}, /* 2^64 + 4 */
	        {SIZE_AT, "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", 12, ERR_ENGINE, NULL},
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct str tar = begin_tar();
		test_docker_tar(&tar, "f", NULL, "hello", 5);
		patch(&tar, AT, cases[i].field, cases[i].value, cases[i].len);
		reads(&tar, cases[i].code, cases[i].text);
	}
	struct str none = begin_tar(), cut = begin_tar(), empty = begin_tar(), sum = begin_tar();
	reads(&none, ERR_ENGINE, NULL);
	test_docker_tar_end(&empty);
	reads(&empty, ERR_ENGINE, NULL);
	test_docker_tar(&cut, "f", NULL, "hello", 5);
	str_cut(&cut, AT + 512 + 4);
	reads(&cut, ERR_ENGINE, NULL);
	test_docker_tar(&sum, "f", NULL, "hello", 5);
	sum.p[AT + SIZE_AT + 10] = '3';
	reads(&sum, ERR_ENGINE, NULL);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
	        T(frames_in_pieces),
	        T(logs_as_sent),
	        T(events_as_sent),
	        T(archives_with_extended_headers),
	        T(archives_with_bad_headers),
	};
	return cmocka_run_group_tests_name("compose/docker_wire_stream", tests, NULL, NULL);
}
