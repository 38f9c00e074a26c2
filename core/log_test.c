#include "core/file.h"
#include "core/json.h"
#include "core/log.h"
#include "core/mem.h"
#include "core/text.h"
#include <errno.h>
#include <fcntl.h>
#include <pty.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>
/* after the standard headers */
#include <cmocka.h>

#define TOKEN "123456789:AAEhBOweik6ad9r_QXMENQjcrGbqCr4K-bc"

static struct err err;
static int kept = -1;
static FILE *said;

static void capture(void)
{
	said = tmpfile();
	kept = dup(2);
	dup2(fileno(said), 2);
	log_open("test", LOG_INFO);
}

/* End the capture; the caller frees what was written since. */
static char *captured(void)
{
	dup2(kept, 2);
	close(kept);
	long size = lseek(fileno(said), 0, SEEK_END);
	char *text = mem_alloc((size_t)size + 1);
	assert_int_equal(pread(fileno(said), text, (size_t)size, 0), size);
	fclose(said);
	return text;
}

/* Exactly one line, which is one JSON object in valid UTF-8. */
static cJSON *one_object(const char *text)
{
	size_t len = strlen(text);
	assert_true(len && strchr(text, '\n') == text + len - 1);
	assert_true(text_is_utf8(text, len));
	cJSON *j = json_parse(text, len, &err);
	if (!j)
		fail_msg("%s in %.200s", err.msg, text);
	return j;
}

static void redacts(void **state)
{
	(void)state;
	static const struct {
		const char *text, *clean;
	} cases[] = {
	        {"", ""},
	        {"nothing here", "nothing here"},
	        {"a s3cret-word b", "a *** b"},
	        {"s3cret-words3cret-word", "******"},
	        {"s3cret-word-and-longer!", "***!"}, /* registered after the shorter one */
	        {"s3cret-wor", "***"},               /* cut off by a bound */
	        {"s3cret-wor.", "s3cret-wor."},
	        {"s3cre", "s3cre"},
	        {"short", "short"}, /* under 6 characters: ignored */
	        {"?token=a%26b%3Dc%22d&x", "?token=***&x"},
	        {"a&b=c\"d", "***"},
	        {TOKEN, "***"},
	        {"https://api.telegram.org/bot" TOKEN "/getMe", "https://api.telegram.org/bot***/getMe"},
	        {"bot123456789%3AAAEhBOweik6ad9r_QXMENQjcrGbqCr4K-bc/getMe", "bot***/getMe"},
	        {"bot123456789%3aAAEhBOweik6ad9r_QXMENQjcrGbqCr4K-bc/", "bot***/"},
	        {"'" TOKEN "' '" TOKEN "'", "'***' '***'"},
	        {"12:AAEhBOweik6ad9r_QXMENQjcrGbqCr4K-bc", "12:AAEhBOweik6ad9r_QXMENQjcrGbqCr4K-bc"},
	        {"123456789:short", "123456789:short"},
	        {"123456789", "123456789"},
	        {"2026-01-31T12:00:00", "2026-01-31T12:00:00"},
	        {"\xff\xfe", "\xff\xfe"},
	};
	log_secret(NULL);
	log_secret("");
	log_secret("short");
	log_secret("s3cret-word");
	log_secret("s3cret-word-and-longer");
	log_secret("s3cret-word");
	log_secret("a&b=c\"d");
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		cleanup_free char *clean = log_redact(cases[i].text);
		assert_string_equal(clean, cases[i].clean);
	}
	for (int i = 0; i < 100; i++) { /* however many there are */
		cleanup_free char *secret = mem_printf("many-secrets-%d!", i);
		log_secret(secret);
		cleanup_free char *clean = log_redact(secret);
		assert_string_equal(clean, "***");
	}
}

static void redaction_is_not_slow(void **state)
{
	(void)state;
	size_t size = 4 << 20;
	cleanup_free char *digits = mem_alloc(size + 1);
	memset(digits, '7', size);
	cleanup_free char *clean = log_redact(digits); /* a quadratic search would take minutes */
	assert_int_equal(strlen(clean), size);
}

static void lines_hold_no_secret(void **state)
{
	(void)state;
	cleanup_free char *late = mem_alloc(9001);
	memset(late, '.', 8180); /* the bound falls into the secret */
	memcpy(late + 8180, "s3cret-word and more", 20);
	log_secret("s3cret-word");
	log_secret("quoted\"secret\\x");
	log_secret("two\nlines");
	capture();
	log_context("token", TOKEN);
	log_with(LOG_INFO, LOG_FIELDS({"url", "http://h/bot" TOKEN "/x"}, {"s", "quoted\"secret\\x"}),
	         "%s %s %s", TOKEN, "quoted\"secret\\x", "two\nlines");
	log_context("token", NULL);
	log_info("%s", late);
	cleanup_free char *text = captured();
	static const char *const never[] = {"AAEhBO", "quoted", "secret", "two", "lines", "s3c"};
	for (size_t i = 0; i < ARRAY_LEN(never); i++)
		if (strstr(text, never[i]))
			fail_msg("%s in %.300s", never[i], text);
	assert_non_null(strstr(text, "\"msg\":\"*** *** ***\""));
	assert_non_null(strstr(text, "http://h/bot***/x"));
}

static void every_line_is_json(void **state)
{
	(void)state;
	static const struct {
		const char *in, *out; /* NULL: the same */
	} cases[] = {
	        {"plain", NULL},
	        {"", NULL},
	        {"\"quotes\" and \\backslash\\", NULL},
	        {"a\nb\r\tc\b\f", NULL},
	        {"\x01\x1b[31m\x7f", NULL},
	        {"юникод 🎉 ￿", NULL},
	        {"bad \xff\xfe\x80 bytes", "bad ??? bytes"},
	        {"overlong \xc0\xaf", "overlong ??"},
	        {"surrogate \xed\xa0\x80", "surrogate ???"},
	        {"cut \xf0\x9f\x8e", "cut ???"},
	        {"%s%n", NULL},
	        {"</script>{}[],:", NULL},
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		const char *want = cases[i].out ? cases[i].out : cases[i].in;
		capture();
		log_context("ctx", cases[i].in);
		log_with(LOG_WARN, LOG_FIELDS({"field", cases[i].in}, {cases[i].in, "key"}, {"none", NULL}),
		         "%s", cases[i].in);
		log_context("ctx", NULL);
		cleanup_free char *text = captured();
		cleanup_json cJSON *j = one_object(text);
		assert_string_equal(json_text(j, "msg"), want);
		assert_string_equal(json_text(j, "field"), want);
		assert_string_equal(json_text(j, "ctx"), want);
		assert_string_equal(json_text(j, "level"), "warn");
		assert_string_equal(json_text(j, "part"), "test");
		assert_int_equal(strlen(json_text(j, "ts")), 24);
		assert_null(json_at(j, "none"));
	}
}

static void long_lines_stay_whole(void **state)
{
	(void)state;
	size_t size = 300000;
	cleanup_free char *control = mem_alloc(size + 1), *emoji = mem_alloc(size + 1);
	memset(control, 1, size); /* six bytes each when escaped */
	for (size_t i = 0; i + 4 <= size; i += 4)
		memcpy(emoji + i, "🎉", 4);
	const char *const texts[] = {control, emoji};
	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		capture();
		log_with(LOG_ERROR, LOG_FIELDS({"a", texts[i]}, {"b", texts[i]}, {"c", "small"}), "%s",
		         texts[i]);
		cleanup_free char *text = captured();
		assert_true(strlen(text) <= 65536 + 2);
		cleanup_json cJSON *j = one_object(text);
		const char *msg = json_text(j, "msg");
		assert_in_range(strlen(msg), 8000, 8192);
		assert_string_equal(msg + strlen(msg) - 6, " [cut]");
		assert_null(strchr(msg, '?')); /* cut between characters */
		assert_string_equal(json_text(j, "c"), "small");
	}
}

static void levels_and_contexts(void **state)
{
	(void)state;
	static const struct {
		const char *name;
		int rc;
		enum log_level level;
	} names[] = {{"error", 0, LOG_ERROR}, {"warn", 0, LOG_WARN}, {"info", 0, LOG_INFO},
	             {"debug", 0, LOG_DEBUG}, {"DEBUG", -1, 0},      {"", -1, 0}};
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		enum log_level level = LOG_ERROR;
		assert_int_equal(log_level_parse(names[i].name, &level), names[i].rc);
		if (!names[i].rc)
			assert_int_equal(level, names[i].level);
	}
	capture();
	errno = 42;
	log_debug("never");
	log_context("a", "1");
	log_context("a", "2");
	log_context("b", "3");
	log_context("nothing", NULL);
	for (int i = 0; i < 10; i++) { /* past the fourth they are left out */
		char key[16];
		snprintf(key, sizeof(key), "k%d", i);
		log_context(key, "x");
	}
	log_info("once");
	assert_int_equal(errno, 42);
	cleanup_free char *text = captured();
	cleanup_json cJSON *j = one_object(text);
	assert_string_equal(json_text(j, "a"), "2");
	assert_string_equal(json_text(j, "b"), "3");
	assert_string_equal(json_text(j, "k1"), "x");
	assert_null(json_at(j, "k2"));
	static const char *const keys[] = {"a", "b", "k0", "k1"};
	for (size_t i = 0; i < ARRAY_LEN(keys); i++)
		log_context(keys[i], NULL);
}

static void a_terminal_gets_no_control_characters(void **state)
{
	(void)state;
	int master, slave;
	if (openpty(&master, &slave, NULL, NULL, NULL))
		skip();
	struct termios raw;
	tcgetattr(slave, &raw);
	cfmakeraw(&raw);
	tcsetattr(slave, TCSANOW, &raw);
	int old = dup(2);
	dup2(slave, 2);
	log_open("bot", LOG_INFO);
	log_with(LOG_INFO, LOG_FIELDS({"name", "x\033]0;title\007\ny"}),
	         "a\033[31m\xc2\x9b"
	         "31m\x7f\r\nb \xff ünï\t🎉");
	dup2(old, 2);
	close(old);
	log_open("test", LOG_INFO);
	char buf[512];
	ssize_t n = read(master, buf, sizeof(buf) - 1);
	close(master);
	close(slave);
	assert_true(n > 0);
	buf[n] = '\0';
	assert_string_equal(buf + 8, " info  bot: a [31m 31m   b ? ünï\t🎉 name=x ]0;title  y\n");
}

static void a_closed_stderr_hurts_nobody(void **state)
{
	(void)state;
	pid_t pid = fork();
	if (pid == 0) {
		close(2);
		log_error("into the void");
		_exit(0);
	}
	int status = 1;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(redacts),
	        cmocka_unit_test(redaction_is_not_slow),
	        cmocka_unit_test(lines_hold_no_secret),
	        cmocka_unit_test(every_line_is_json),
	        cmocka_unit_test(long_lines_stay_whole),
	        cmocka_unit_test(levels_and_contexts),
	        cmocka_unit_test(a_terminal_gets_no_control_characters),
	        cmocka_unit_test(a_closed_stderr_hurts_nobody),
	};
	return cmocka_run_group_tests_name("core/log", tests, NULL, NULL);
}
