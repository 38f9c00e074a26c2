#include "core/clock.h"
#include "core/file.h"
#include "core/mem.h"
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

static pid_t start(const char *services, bool prefixed, int n, int64_t since_s, FILE **out)
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
		_exit(logs_follow(dir, list, prefixed, n, since_s, &err) ? 1 : 0);
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
	pid_t pid = start("[\"a\",\"b\",\"c\"]", true, 3, 0, &out);
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
	pid_t pid = start("[\"a\"]", false, 10, 0, &out);
	comes(out, "first");
	for (int i = 0; i < 20; i++) {
		char line[64];
		snprintf(line, sizeof(line), "before %d\n", i);
		append("a", line);
		assert_int_equal(rename(path, old), 0);
		append("a", "after\n");
		snprintf(line, sizeof(line), "before %d", i);
		comes(out, line);
		comes(out, "after");
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
	                  *line = mem_printf("{\"ts\":\"%s\",\"n\":2}", now);
	append("a", text);
	pid_t pid = start("[\"a\"]", false, 10, 60, &out);
	comes(out, line);
	comes(out, "of the second");
	kill(pid, SIGINT);
	ends(pid);
	fclose(out);
}

static void it_ends_with_its_reader_and_its_directory(void **data)
{
	(void)data;
	FILE *out;
	append("a", "one\n");
	pid_t pid = start("[\"a\"]", false, 10, 0, &out);
	comes(out, "one");
	fclose(out);
	ends(pid);
	pid = start("[\"a\"]", false, 10, 0, &out);
	comes(out, "one");
	struct err err = {0};
	assert_int_equal(tree_remove(dir, &err), 0);
	ends(pid);
	fclose(out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test_setup_teardown(the_last_ones_and_what_comes, setup, teardown),
	        cmocka_unit_test_setup_teardown(over_a_rotation, setup, teardown),
	        cmocka_unit_test_setup_teardown(since, setup, teardown),
	        cmocka_unit_test_setup_teardown(it_ends_with_its_reader_and_its_directory, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
