#include "core/clock.h"
#include "core/file.h"
#include "core/mem.h"
#include "core/str.h"
#include "jobs/test_state.h"
#include "sessions/logs.h"
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

static char dir[64];

static int setup(void **data)
{
	(void)data;
	snprintf(dir, sizeof(dir), "/tmp/codefoundry-test.XXXXXX");
	struct err err = {0};
	cleanup_free char *logs = mem_printf("%s/log", mkdtemp(dir) ? dir : "/nowhere");
	return dir_make(logs, 0700, &err);
}

static int teardown(void **data)
{
	(void)data;
	struct err err = {0};
	return tree_remove(dir, &err);
}

/* As the supervisor writes: whole pieces, at the end of the file. */
static void append(const char *service, const char *text)
{
	cleanup_free char *path = mem_printf("%s/log/%s.log", dir, service);
	cleanup_close int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
}

/* "name | line", as people see it. */
static int print(void *arg, const cJSON *entry)
{
	(void)arg;
	printf("%s | %s\n", json_text(entry, "service"), json_text(entry, "msg"));
	return fflush(stdout) ? -1 : 0;
}

static pid_t start(const char *services, int n, int64_t since_ms, FILE **out)
{
	int ends[2];
	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	fflush(NULL);
	pid_t pid = fork();
	if (pid == 0) {
		struct err err = {0};
		cleanup_json cJSON *list = cJSON_Parse(services);
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		dup2(ends[1], STDOUT_FILENO);
		close(ends[0]);
		close(ends[1]);
		const struct logs_window w = {.n = n, .since_ms = since_ms};
		_exit(logs_follow(dir, list, &w, print, NULL, &err) ? 1 : 0);
	}
	close(ends[1]);
	*out = fdopen(ends[0], "r");
	return pid;
}

static void comes(FILE *out, const char *wanted)
{
	char line[9000] = "(end)";
	if (!fgets(line, sizeof(line), out) || strncmp(line, wanted, strlen(wanted)) ||
	    line[strlen(wanted)] != '\n')
		fail_msg("'%s' instead of '%s'", line, wanted);
}

static void ends(pid_t pid)
{
	int status;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static void the_last_ones_and_what_comes(void **data)
{
	(void)data;
	FILE *out;
	append("a", "one\ntwo\n{\"ts\":\"2026-01-01T00:00:02.000Z\"}\n");
	append("b", "{\"ts\":\"2026-01-01T00:00:01.000Z\"}\n");
	pid_t pid = start("[\"a\",\"b\",\"c\"]", 3, 0, &out);
	comes(out, "a | two");
	comes(out, "b | {\"ts\":\"2026-01-01T00:00:01.000Z\"}");
	comes(out, "a | {\"ts\":\"2026-01-01T00:00:02.000Z\"}");
	append("b", "half");
	append("b", " and \x1b[31mhalf\nnext\n");
	comes(out, "b | half and half");
	comes(out, "b | next");
	append("c", "begins late\n"); /* it had no file */
	comes(out, "c | begins late");
	kill(pid, SIGINT);
	ends(pid);
	fclose(out);
}

/* The supervisor moves a file that has grown too large aside: nothing is lost, nothing comes twice. */
static void over_a_rotation(void **data)
{
	(void)data;
	FILE *out;
	cleanup_free char *path = mem_printf("%s/log/a.log", dir), *old = mem_printf("%s.1", path);
	append("a", "first\n");
	pid_t pid = start("[\"a\"]", 10, 0, &out);
	comes(out, "a | first");
	for (int i = 0; i < 20; i++) {
		char line[64];
		snprintf(line, sizeof(line), "before %d\n", i);
		append("a", line);
		assert_int_equal(rename(path, old), 0);
		append("a", "after\n");
		snprintf(line, sizeof(line), "a | before %d", i);
		comes(out, line);
		comes(out, "a | after");
	}
	kill(pid, SIGTERM);
	ends(pid);
	fclose(out);
}

static void since(void **data)
{
	(void)data;
	FILE *out;
	char now[32], old[32];
	clock_iso(clock_now_ms(), now, sizeof(now));
	clock_iso(clock_now_ms() - 3600000, old, sizeof(old));
	cleanup_free char *text = mem_printf(
	                          "plain\n{\"ts\":\"%s\",\"n\":1}\nof the first\n{\"ts\":\"%s\",\"n\":2}\n"
	                          "of the second\n",
	                          old, now),
	                  *line = mem_printf("a | {\"ts\":\"%s\",\"n\":2}", now);
	append("a", text);
	pid_t pid = start("[\"a\"]", 10, clock_now_ms() - 60000, &out);
	comes(out, line);
	comes(out, "a | of the second");
	kill(pid, SIGINT);
	ends(pid);
	fclose(out);
}

static void it_ends_with_its_reader_and_its_directory(void **data)
{
	(void)data;
	FILE *out;
	append("a", "one\n");
	pid_t pid = start("[\"a\"]", 10, 0, &out);
	comes(out, "a | one");
	fclose(out);
	ends(pid);
	pid = start("[\"a\"]", 10, 0, &out);
	comes(out, "a | one");
	struct err err = {0};
	assert_int_equal(tree_remove(dir, &err), 0);
	ends(pid);
	fclose(out);
}

/* Entries from a text: "T msg" each, "- msg" without a time. */
static cJSON *entries(const char *text)
{
	cJSON *list = json_array();
	cleanup_free char *copy = mem_strdup(text);
	for (char *rest = copy, *line; (line = strsep(&rest, ";"));) {
		char ts[32];
		if (!*line)
			continue;
		cJSON *entry = json_object();
		snprintf(ts, sizeof(ts), "2026-01-01T00:00:%.2s.000Z", line);
		if (*line != '-')
			json_add_text(entry, "ts", ts);
		json_add_text(entry, "msg", line);
		cJSON_AddItemToArray(list, entry);
	}
	return list;
}

static void assert_messages(const cJSON *list, const char *wanted)
{
	cleanup_str struct str got = STR_INIT;
	const cJSON *entry;
	cJSON_ArrayForEach(entry, list) str_addf(&got, "%s;", json_text(entry, "msg"));
	assert_string_equal(str_text(&got), wanted);
}

/* Where it is near the beginning, and a time. */
static void an_entry_has_the_time_that_it_begins_with(void **data)
{
	static const struct {
		const char *text, *ts;
	} cases[] = {
	        {"{\"ts\":\"2026-01-01T00:00:01.000Z\",\"msg\":\"x\"}", "2026-01-01T00:00:01.000Z"},
	        {"{\"level\":\"info\",\"ts\":\"2026-01-01T00:00:01.000Z\"}", "2026-01-01T00:00:01.000Z"},
	        {"{\"ts\":\"yesterday\"}", NULL},
	        {"{\"ts\":", NULL},
	        {"plain", NULL},
	        {"somebody quoted at length, sixty characters and a few more: "
	         "{\"x\":{\"ts\":\"2026-01-01T00:00:01.000Z\"}}",
	         NULL},
	};
	(void)data;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		cleanup_json cJSON *entry = logs_entry(cases[i].text);
		assert_string_equal(json_text(entry, "msg"), cases[i].text);
		assert_string_equal(json_text_or(entry, "ts", ""), cases[i].ts ? cases[i].ts : "");
	}
}

static void merged_by_time(void **data)
{
	static const struct {
		const char *a, *b, *merged;
		int most;
	} cases[] = {
	        {"01 a;03 a;", "02 b;04 b;", "01 a;02 b;03 a;04 b;", 9},
	        {"01 a;03 a;", "02 b;04 b;", "03 a;04 b;", 2},
	        {"01 a;- of a;04 a;", "02 b;- of b;", "01 a;- of a;02 b;- of b;04 a;", 9},
	        {"- x;05 a;", "01 b;", "- x;01 b;05 a;", 9},
	        {"", "01 b;", "01 b;", 9},
	        {"01 a;", "01 b;", "01 a;01 b;", 9},
	        {"", "", "", 9},
	};
	(void)data;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		cleanup_json cJSON *a = entries(cases[i].a), *b = entries(cases[i].b);
		cleanup_json cJSON *merged =
		        logs_merge((cJSON *[]){a, b}, (const char *[]){"a", "b"}, 2, cases[i].most);
		assert_messages(merged, cases[i].merged);
	}
}

static void cut_by_age_and_number(void **data)
{
	static const struct {
		const char *given, *left;
		int n, since_s, until_s; /* seconds of 2026; 0: none */
	} cases[] = {
	        {"01 a;02 b;03 c;", "01 a;02 b;03 c;", 9, 0, 0},
	        {"01 a;02 b;03 c;", "02 b;03 c;", 2, 0, 0},
	        {"01 a;02 b;03 c;", "02 b;03 c;", 9, 2, 0},
	        {"01 a;- x;02 b;- y;03 c;", "02 b;- y;03 c;", 9, 2, 0},
	        {"01 a;02 b;- y;03 c;", "01 a;02 b;- y;", 9, 0, 2},
	        {"01 a;02 b;03 c;04 d;", "03 c;", 1, 2, 3},
	        {"01 a;02 b;", "", 9, 3, 0},
	        {"02 a;", "", 9, 0, 1},
	        {"- a;- b;", "", 9, 1, 0},
	        {"- a;- b;", "", 9, 0, 1},
	        {"- a;- b;", "- b;", 1, 0, 0},
	        {"01 a;", "", 0, 0, 0},
	};
	const int64_t year = clock_parse_iso("2026-01-01T00:00:00Z");
	(void)data;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		cleanup_json cJSON *list = entries(cases[i].given);
		const struct logs_window w = {
		        .n = cases[i].n,
		        .since_ms = cases[i].since_s ? year + 1000 * cases[i].since_s : 0,
		        .until_ms = cases[i].until_s ? year + 1000 * cases[i].until_s : 0};
		logs_cut(list, &w);
		assert_messages(list, cases[i].left);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(an_entry_has_the_time_that_it_begins_with),
	        cmocka_unit_test(merged_by_time),
	        cmocka_unit_test(cut_by_age_and_number),
	        cmocka_unit_test_setup_teardown(the_last_ones_and_what_comes, setup, teardown),
	        cmocka_unit_test_setup_teardown(over_a_rotation, setup, teardown),
	        cmocka_unit_test_setup_teardown(since, setup, teardown),
	        cmocka_unit_test_setup_teardown(it_ends_with_its_reader_and_its_directory, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
