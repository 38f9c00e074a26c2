/* What goes on in containers, over the Engine API of the real engine: logs, exec, files. */
#include "compose/docker_testing.h"
#include "core/clock.h"
#include <grp.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>

/* ---- logs ---- */

static cJSON *logs(const char *id, int n, bool times)
{
	struct err err;
	cJSON *l = docker_logs(id, n, times, &err);
	if (!l)
		fail_msg("%s", err.msg);
	return l;
}

static void logs_of_both_streams(void **state)
{
	(void)state;
	static const char script[] = "echo one; echo two >&2; echo; printf 'three\\r\\n'; printf 'a\\377b'";
	static const char *const kinds[] = {NULL, "{\"Tty\":true}"};
	static const char bad[] =
	        "a\357\277\275b"; /* the engine keeps U+FFFD for the byte that is no UTF-8 */
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		cleanup_free char *id = test_docker_container(&t, "logs", script, NULL, kinds[i], true);
		assert_int_equal(test_docker_wait(id), 0);
		cleanup_json cJSON *all = logs(id, 100, false), *last = logs(id, 2, false),
		                   *none = logs(id, 0, false), *timed = logs(id, 100, true);
		assert_int_equal(cJSON_GetArraySize(all), 5);
		for (const char *const *text = (const char *const[]){"one", "two", "", "three", bad, NULL};
		     *text; text++)
			assert_true(json_has_text(all, *text));
		assert_int_equal(cJSON_GetArraySize(last), 2);
		assert_int_equal(cJSON_GetArraySize(none), 0);
		for (const cJSON *l = timed->child; l; l = l->next) {
			assert_int_equal(strcspn(l->valuestring, " "),
			                 strlen("2026-11-21T09:45:38.836830753Z"));
			assert_true(json_has_text(all, strchr(l->valuestring, ' ') + 1));
		}
		removed(DOCKER_CONTAINER, id);
	}
	struct err err;
	assert_null(docker_logs("cft-none", 5, false, &err));
	assert_int_equal(err.code, ERR_NOT_FOUND);
}

/* The engine stores it in parts of 16 KiB and puts the time before each. */
static void long_lines_are_one(void **state)
{
	(void)state;
	cleanup_free char *id = test_docker_container(
	        &t, "long", "echo a; seq -s , 1 8000; seq -s , 1 20000 >&2; echo b", NULL, NULL, true);
	assert_int_equal(test_docker_wait(id), 0);
	for (int times = 0; times < 2; times++) {
		cleanup_json cJSON *l = logs(id, 100, times);
		cleanup_str struct str expected = STR_INIT;
		bool found = false, cut = false;
		for (int i = 1; i <= 8000; i++)
			str_addf(&expected, i < 8000 ? "%d," : "%d", i);
		assert_int_equal(cJSON_GetArraySize(l), 4);
		for (const cJSON *x = l->child; x; x = x->next) {
			const char *text = times ? strchr(x->valuestring, ' ') + 1 : x->valuestring;
			found |= !strcmp(text, str_text(&expected));
			cut |= strlen(x->valuestring) == 64 << 10;
		}
		assert_true(found);
		assert_true(cut);
	}
	removed(DOCKER_CONTAINER, id);
}

/* ---- exec ---- */

static struct docker_output run(const char *script, int64_t timeout_ms, size_t max)
{
	struct docker_output out;
	struct err err;
	if (docker_exec(box, (const char *const[]){"sh", "-c", script, NULL}, timeout_ms, max, &out, &err))
		fail_msg("%s", err.msg);
	return out;
}

static void exit_codes_and_output(void **state)
{
	(void)state;
	static const struct {
		const char *argv[4];
		size_t max;
		int code;
		const char *says;
		bool exactly;
	} cases[] = {
	        {{"true"}, 100, 0, "", true},
	        {{"sh", "-c", "echo out; exit 7"}, 100, 7, "out\n", true},
	        {{"sh", "-c", "echo err >&2; exit 8"}, 100, 8, "err\n", true},
	        {{"sh", "-c", "seq 1 100000; exit 3"}, 10, 3, "1\n2\n3\n4\n5\n", true},
	        {{"echo", "a b", "$HOME"}, 100, 0, "a b $HOME\n", true},
	        {{"sh", "-c", "cft-none"}, 1000, 127, "not found", false},
	        {{"cft-none"}, 1000, 126, "executable file not found", false},
	        {{"/etc"}, 1000, 126, "permission denied", false},
	        {{"sh", "-c", "kill -9 $$"}, 100, 137, "", true},
	        {{"sh", "-c", "exec >&- 2>&-; sleep 0.3; exit 5"}, 100, 5, "", true}, /* without output */
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct docker_output out;
		struct err err;
		if (docker_exec(box, cases[i].argv, 20000, cases[i].max, &out, &err))
			fail_msg("%s: %s", cases[i].argv[0], err.msg);
		bool fits = cases[i].exactly ? !strcmp(out.text, cases[i].says)
		                             : strstr(out.text, cases[i].says) != NULL;
		if (out.exit_code != cases[i].code || !fits || out.len != strlen(out.text))
			fail_msg("case %zu gave %d %s", i, out.exit_code, out.text);
		docker_output_free(&out);
	}
}

/* Many in a row: the engine hears of a program's end a little later than we of its output's. */
static void exit_code_is_never_missed(void **state)
{
	(void)state;
	for (int i = 0; i < 15; i++) {
		struct docker_output out = run("exit 9", 20000, 10);
		assert_int_equal(out.exit_code, 9);
		docker_output_free(&out);
	}
}

/* Whether a process with ${word} in its command line runs in ${container}. */
static bool runs(const char *container, const char *word)
{
	cleanup_free char *path = mem_printf("/containers/%s/top", container);
	cleanup_json cJSON *top = call("GET", path, NULL);
	cleanup_free char *text = json_print(top);
	return strstr(text, word) != NULL;
}

static void too_late_is_killed_with_all_it_started(void **state)
{
	(void)state;
	int64_t begun = clock_mono_ms();
	struct docker_output out = run("echo begun; sleep 4321 & sleep 4322; echo never", 400, 1000);
	int64_t took = clock_mono_ms() - begun;
	assert_int_equal(out.exit_code, -1);
	assert_string_equal(out.text, "begun\n");
	assert_in_range(took, 390, 20000); /* not 4321 seconds; the machine may be busy */
	assert_false(runs(box, "sleep 432"));
	docker_output_free(&out);

	/* no output to wait for */
	out = run("exec >&- 2>&-; sleep 4323", 300, 1000);
	assert_int_equal(out.exit_code, -1);
	assert_false(runs(box, "sleep 432"));
	docker_output_free(&out);
}

static void background_program_is_left_alone(void **state)
{
	(void)state;
	struct docker_output out = run("sleep 4324 & echo $!; exit 6", 600, 1000);
	assert_int_equal(out.exit_code, 6);
	assert_true(runs(box, "sleep 4324"));
	cleanup_free char *end = mem_printf("kill -9 %d", atoi(out.text));
	docker_output_free(&out);
	out = run(end, 20000, 100);
	assert_int_equal(out.exit_code, 0);
	docker_output_free(&out);
}

/* A member of group docker who is not root may not send the signal himself. */
static void members_of_the_group_can_kill_too(void **state)
{
	(void)state;
	struct stat st;
	struct err err;
	const char *socket = docker_socket(&err);
	if (getuid() || !socket || stat(socket, &st))
		skip();
	pid_t pid = fork();
	if (!pid) {
		struct docker_output out;
		if (setgroups(0, NULL) || setgid(st.st_gid) || setuid(65534))
			_exit(9);
		if (docker_exec(box, (const char *const[]){"sleep", "4325", NULL}, 300, 100, &out, &err))
			_exit(8);
		_exit(out.exit_code == -1 ? 0 : 7);
	}
	int status;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_false(runs(box, "sleep 4325"));
}

/* As `docker exec --detach-keys=ctrl-],a` does. */
static void what_others_started_is_found_by_its_keys(void **state)
{
	(void)state;
	static const char *const scripts[] = {"sleep 4326", "trap '' INT; sleep 4327; sleep 4328"};
	for (size_t i = 0; i < ARRAY_LEN(scripts); i++) {
		cleanup_free char *path = mem_printf("/containers/%s/exec", box);
		cleanup_free char *body = mem_printf(
		        "{\"Cmd\":[\"sh\",\"-c\",\"%s\"],\"DetachKeys\":\"ctrl-],a\"}", scripts[i]);
		cleanup_json cJSON *made = call("POST", path, body);
		cleanup_free char *start = mem_printf("/exec/%s/start", json_text_or(made, "Id", ""));
		cleanup_json cJSON *begun = call("POST", start, "{\"Detach\":true}");
		docker_exec_end(box, "\035b", SIGINT);
		docker_exec_end("cft-none", "\035a", SIGINT);
		assert_true(runs(box, "sleep 432"));
		docker_exec_end(box, "\035a", SIGINT);
		/* the shell is gone; what it ran got the same signal, and may take a moment longer */
		int64_t deadline = clock_mono_ms() + 20000;
		while (runs(box, "sleep 432"))
			assert_true(clock_mono_ms() < deadline);
	}
}

static void exec_needs_a_running_container(void **state)
{
	(void)state;
	static const char *const argv[] = {"true", NULL};
	cleanup_free char *id = test_docker_container(&t, "idle", "true", NULL, NULL, false);
	struct docker_output out;
	struct err err;
	assert_int_equal(docker_exec(id, argv, 5000, 100, &out, &err), -1);
	assert_int_equal(err.code, ERR_STATE);
	assert_non_null(strstr(err.msg, "is not running"));
	assert_null(out.text);
	removed(DOCKER_CONTAINER, id);
	assert_int_equal(docker_exec("cft-none", argv, 5000, 100, &out, &err), -1);
	assert_int_equal(err.code, ERR_NOT_FOUND);
	cleanup_free char *pause = mem_printf("/containers/%s/pause", box),
	                  *unpause = mem_printf("/containers/%s/unpause", box);
	call("POST", pause, NULL);
	int rc = docker_exec(box, argv, 5000, 100, &out, &err);
	call("POST", unpause, NULL);
	assert_int_equal(rc, -1);
	assert_int_equal(err.code, ERR_STATE);
	assert_non_null(strstr(err.msg, "paused"));
}

/* ---- files ---- */

static void files_of_containers(void **state)
{
	(void)state;
	static const char script[] =
	        "mkdir /d /d/sub; printf hello >/d/f; : >/d/empty; printf 'a\\0b' >/d/nul; "
	        "ln -s f /d/link; seq 1 30000 >/d/big; printf x >'/d/a b?&=ü'; exit 0";
	static const struct {
		const char *path;
		size_t max;
		int code; /* enum err_code */
		const char *text;
		size_t len;
	} cases[] = {
	        {"/d/f", 100, 0, "hello", 5},
	        {"/d/f", 5, 0, "hello", 5},
	        {"/d/f", 4, ERR_LIMIT, NULL, 0},
	        {"/d/empty", 100, 0, "", 0},
	        {"/d/empty", 0, 0, "", 0},
	        {"/d/nul", 100, 0, "a", 3},
	        {"/d/a b?&=ü", 100, 0, "x", 1},
	        {"/d/sub/../f", 100, 0, "hello", 5},
	        {"/d/big", 1 << 20, 0, NULL, 168894},
	        {"/d/big", 168893, ERR_LIMIT, NULL, 0},
	        {"/d", 100, ERR_INVALID, NULL, 0},
	        {"/d/", 100, ERR_INVALID, NULL, 0},
	        {"/d/link", 100, ERR_INVALID, NULL, 0},
	        {"/d/none", 100, ERR_NOT_FOUND, NULL, 0},
	        {"/d/f/none", 100, ERR_NOT_FOUND, NULL, 0},
	        {"", 100, ERR_FAILED, NULL, 0},
	};
	cleanup_free char *id = test_docker_container(&t, "files", script, NULL, NULL, true);
	assert_int_equal(test_docker_wait(id), 0);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		cleanup_free char *text = NULL;
		size_t len = 0;
		struct err err = {0};
		int rc = docker_read_file(id, cases[i].path, cases[i].max, &text, &len, &err);
		if (rc != (cases[i].code ? -1 : 0) || (int)err.code != cases[i].code || len != cases[i].len)
			fail_msg("%s gave %d, %zu bytes, %s", cases[i].path, rc, len, err.msg);
		if (cases[i].text)
			assert_string_equal(text, cases[i].text);
	}
	removed(DOCKER_CONTAINER, id);
	cleanup_free char *text = NULL;
	struct err err;
	assert_int_equal(docker_read_file(id, "/d/f", 100, &text, NULL, &err), -1);
	assert_int_equal(err.code, ERR_NOT_FOUND);
	assert_int_equal(docker_read_file(box, "/etc/passwd", 100, &text, NULL, &err),
	                 0); /* of one that runs */
	assert_memory_equal(text, "root:", 5);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(logs_of_both_streams),
	        cmocka_unit_test(long_lines_are_one),
	        cmocka_unit_test(exit_codes_and_output),
	        cmocka_unit_test(exit_code_is_never_missed),
	        cmocka_unit_test(too_late_is_killed_with_all_it_started),
	        cmocka_unit_test(background_program_is_left_alone),
	        cmocka_unit_test(members_of_the_group_can_kill_too),
	        cmocka_unit_test(what_others_started_is_found_by_its_keys),
	        cmocka_unit_test(exec_needs_a_running_container),
	        cmocka_unit_test(files_of_containers),
	};
	return cmocka_run_group_tests_name("compose/docker_exec", tests, setup, teardown);
}
