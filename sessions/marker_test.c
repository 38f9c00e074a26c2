#include "core/id.h"
#include "core/mem.h"
#include "sessions/marker.h"
#include "sessions/test_sessions.h"
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define OURS "11111111-1111-4111-8111-111111111111"
#define THEIRS "22222222-2222-4222-8222-222222222222"
#define S1 "aaaaaaaa-aaaa-4aaa-8aaa-aaaaaaaaaaaa"
#define S2 "bbbbbbbb-bbbb-4bbb-8bbb-bbbbbbbbbbbb"

static void parse(void **data)
{
	(void)data;
	static const struct {
		const char *path, *session; /* NULL: none of ours */
	} cases[] = {
	        {OURS "." S1, S1},
	        {THEIRS "." S1, NULL},
	        {THEIRS "." S1 "/" OURS "." S2, S2},
	        {OURS "." S1 "/" THEIRS "." S2, S1},
	        {"", NULL},
	        {OURS, NULL},
	        {OURS ".", NULL},
	        {OURS "." S1 "x", NULL},
	        {OURS ".not-a-uuid", NULL},
	        {OURS "./" OURS "." S2, S2},
	        {"x" OURS "." S1, NULL},
	        {"////", NULL},
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		char session[ID_UUID_LEN + 1] = "";
		assert_int_equal(marker_parse(cases[i].path, OURS, session), cases[i].session != NULL);
		if (cases[i].session)
			assert_string_equal(session, cases[i].session);
	}
}

static void make(void **data)
{
	(void)data;
	unsetenv(MARKER_KEY);
	assert_false(marker_inside());
	cleanup_free char *outer = marker_make(OURS, S1);
	assert_string_equal(outer, OURS "." S1);
	setenv(MARKER_KEY, outer, 1);
	assert_true(marker_inside());
	cleanup_free char *inner = marker_make(THEIRS, S2);
	assert_string_equal(inner, OURS "." S1 "/" THEIRS "." S2);
	unsetenv(MARKER_KEY);
}

/* `sleep` with a marker. It is only waited for, never relied on to end. */
static pid_t marked(const char *marker)
{
	cleanup_free char *var = mem_printf(MARKER_KEY "=%s", marker);
	const char *argv[] = {"sleep", "600", NULL}, *env[] = {var, NULL};
	struct proc_spec spec = PROC_SPEC_INIT;
	spec.argv = argv;
	spec.env = env;
	pid_t pid = 0;
	assert_ok(proc_spawn(&spec, &pid, err));
	return pid;
}

static void only_ours_is_touched(void **data)
{
	(void)data;
	char install[ID_UUID_LEN + 1], other[ID_UUID_LEN + 1];
	id_uuid(install);
	id_uuid(other);
	cleanup_free char *mine = mem_printf("%s." S1, install), *second = mem_printf("%s." S2, install),
	                  *strange = mem_printf("%s." S1, other),
	                  *nested = mem_printf("%s/%s." S2, mine, other);
	pid_t a = marked(mine), b = marked(second), c = marked(strange), d = marked(nested);
	struct err err = {0};
	cleanup_free struct marker_proc *list = NULL;
	assert_int_equal(marker_find(install, NULL, &list, &err), 3);
	cleanup_free struct marker_proc *same = NULL;
	cleanup_json cJSON *foreign = json_array();
	int64_t total = 0;
	bool told = false;
	const cJSON *one;
	assert_int_equal(marker_survey(install, &same, 1000, foreign, &total, &err), 3);
	assert_int_equal(total, cJSON_GetArraySize(foreign));
	cJSON_ArrayForEach(one, foreign)
	{
		assert_null(strstr(json_text_or(one, "name", ""), install));
		told |= !strcmp(json_text_or(one, "name", ""), strange);
	}
	assert_true(told);
	assert_int_equal(marker_kill(install, S1, 1000, &err), 0);
	assert_int_equal(waitpid(a, NULL, 0), a);
	assert_int_equal(waitpid(d, NULL, 0), d);
	assert_int_equal(waitpid(b, NULL, WNOHANG), 0);
	assert_int_equal(waitpid(c, NULL, WNOHANG), 0);
	/* without a grace it is KILL at once */
	assert_int_equal(marker_kill(install, NULL, 0, &err), 0);
	int status = 0;
	assert_int_equal(waitpid(b, &status, 0), b);
	assert_int_equal(WTERMSIG(status), SIGKILL);
	assert_int_equal(waitpid(c, NULL, WNOHANG), 0);
	kill(c, SIGKILL);
	waitpid(c, NULL, 0);
}

/* Become this program again, ${times}: a process that is hardly ever anywhere but inside execve. */
static int become_again(const char *program, const char *times)
{
	long n = strtol(times, NULL, 10);
	cleanup_free char *left = mem_printf("%ld", n - 1);
	if (n > 0)
		execl(program, program, "again", left, NULL);
	return 1;
}

/* The kernel shows no environment of a process between its old program and its new one. It is one of ours all the same. */
static void nothing_hides_in_execve(void **data)
{
	(void)data;
	enum { LOOKS = 300 };
	char install[ID_UUID_LEN + 1];
	id_uuid(install);
	cleanup_free char *mine = mem_printf(MARKER_KEY "=%s." S1, install);
	const char *argv[] = {proc_self(), "again", "1000000", NULL}, *env[] = {mine, NULL};
	struct proc_spec spec = PROC_SPEC_INIT;
	spec.argv = argv;
	spec.env = env;
	pid_t pid = 0;
	int missed = 0;
	struct err err = {0};
	assert_ok(proc_spawn(&spec, &pid, err));
	for (int i = 0; i < LOOKS; i++) {
		cleanup_free struct marker_proc *list = NULL;
		missed += marker_find(install, NULL, &list, &err) != 1;
	}
	assert_int_equal(marker_kill(install, NULL, 0, &err), 0);
	int status = 0;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(WTERMSIG(status), SIGKILL);
	assert_int_equal(missed, 0);
}

int main(int argc, char **argv)
{
	if (argc == 3 && !strcmp(argv[1], "again"))
		return become_again(argv[0], argv[2]);
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(parse),
	        cmocka_unit_test(make),
	        cmocka_unit_test(only_ours_is_touched),
	        cmocka_unit_test(nothing_hides_in_execve),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
