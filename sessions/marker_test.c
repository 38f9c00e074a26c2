#include "core/file.h"
#include "sessions/test_marker.h"
#include <pthread.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#define NOBODY 65534
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

/* It is only waited for, never relied on to end. */
static pid_t marked(const char *marker)
{
	return spawn(marker, (const char *[]){"sleep", "600", NULL}, PROC_NULL);
}

static void end(pid_t pid)
{
	assert_int_equal(waitpid(pid, NULL, WNOHANG), 0);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
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
	assert_int_equal(test_wait_end(b), 128 + SIGKILL);
	end(c);
}

static pid_t slow(const char *marker, const char *ms)
{
	char said;
	return ready_as(marker, "slowly", ms, NULL, &said, 1);
}

/* Whoever is told to go has the grace to do so, and no more. */
static void asked_first_then_killed(void **data)
{
	(void)data;
	char install[ID_UUID_LEN + 1];
	id_uuid(install);
	cleanup_free char *polite = mem_printf("%s." S1, install), *deaf = mem_printf("%s." S2, install);
	pid_t a = slow(polite, "100"), b = slow(deaf, "600000");
	assert_ok(marker_kill(install, S1, 20000, err));
	assert_int_equal(test_wait_end(a), 7);
	assert_ok(marker_kill(install, S2, 100, err));
	assert_int_equal(test_wait_end(b), 128 + SIGKILL);
}

/* `sleep` with a marker, of another user; it runs when this returns. */
static pid_t marked_by_another(const char *marker)
{
	cleanup_free char *var = mem_printf(MARKER_KEY "=%s", marker);
	char *env[] = {var, NULL}, said;
	int ends[2];
	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	pid_t pid = fork();
	if (pid == 0) {
		if (setresuid(NOBODY, NOBODY, NOBODY) == 0 && prctl(PR_SET_PDEATHSIG, SIGKILL) == 0)
			execle("/bin/sleep", "sleep", "600", NULL, env);
		_exit(write(ends[1], "!", 1) != 1);
	}
	close(ends[1]);
	assert_int_equal(read(ends[0], &said, 1), 0);
	close(ends[0]);
	return pid;
}

/* Anybody may write our name into his environment, and who looks may have it in his own. */
static void others_and_oneself_are_left_alone(void **data)
{
	(void)data;
	char install[ID_UUID_LEN + 1];
	id_uuid(install);
	cleanup_free char *mine = mem_printf("%s." S1, install);
	pid_t self = spawn(mine, (const char *[]){proc_self(), "find", install, NULL}, PROC_NULL);
	assert_int_equal(test_wait_end(self), 0);
	if (geteuid() != 0) {
		print_message("skipped: only root can start a process of another user\n");
		skip();
	}
	pid_t other = marked_by_another(mine);
	cleanup_free struct marker_proc *list = NULL;
	struct err err = {0};
	assert_int_equal(marker_find(install, NULL, &list, &err), 0);
	assert_ok(marker_kill(install, NULL, 0, err));
	end(other);
}

static int times_told(const cJSON *foreign, const char *name)
{
	int n = 0;
	const cJSON *one;
	cJSON_ArrayForEach(one, foreign) n += !strcmp(json_text_or(one, "name", ""), name);
	return n;
}

/* Each once, so many as are asked for, with nothing in it that steers a terminal; not what we run in ourselves. */
static void strangers_are_told(void **data)
{
	(void)data;
	char install[ID_UUID_LEN + 1], other[ID_UUID_LEN + 1];
	id_uuid(install);
	id_uuid(other);
	cleanup_free char *strange = mem_printf("%s." S1, other), *around = mem_printf("%s." S2, other),
	                  *red = mem_printf("%s.\033[31m", other), *plain = mem_printf("%s. [31m", other);
	pid_t pids[] = {marked(strange), marked(strange), marked(around), marked(red)};
	cleanup_free struct marker_proc *list = NULL;
	cleanup_json cJSON *foreign = json_array(), *few = json_array();
	int64_t total = 0;
	struct err err = {0};
	setenv(MARKER_KEY, around, 1);
	assert_int_equal(marker_survey(install, &list, 1000, foreign, &total, &err), 0);
	assert_int_equal(total, cJSON_GetArraySize(foreign));
	assert_int_equal(times_told(foreign, strange), 1);
	assert_int_equal(times_told(foreign, around), 0);
	assert_int_equal(times_told(foreign, plain), 1);
	assert_int_equal(marker_survey(install, &list, 1, few, &total, &err), 0);
	assert_int_equal(cJSON_GetArraySize(few), 1);
	assert_true(total >= 2);
	unsetenv(MARKER_KEY);
	for (size_t i = 0; i < ARRAY_LEN(pids); i++)
		end(pids[i]);
}

/* Become this program again, ${times}: a process that is hardly ever anywhere but inside execve. */
static int become_again(const char *mode, const char *times)
{
	long n = strtol(times, NULL, 10);
	cleanup_free char *left = mem_printf("%ld", n - 1);
	if (n > 0)
		execl(proc_self(), proc_self(), mode, left, NULL);
	return 1;
}

static void *become_again_from_thread(void *times)
{
	become_again("swap", times);
	return NULL;
}

/* From a thread besides the first, which is ended by that and whose pid the other takes over. */
static int swap(char *times)
{
	pthread_t other;
	if (pthread_create(&other, NULL, become_again_from_thread, times) == 0)
		pthread_join(other, NULL);
	return 1;
}

static void assert_nothing_hides(const char *mode)
{
	enum { LOOKS = 300 };
	char install[ID_UUID_LEN + 1];
	id_uuid(install);
	cleanup_free char *mine = mem_printf("%s." S1, install);
	pid_t pid = spawn(mine, (const char *[]){proc_self(), mode, "1000000", NULL}, PROC_NULL);
	int missed = 0;
	struct err err = {0};
	for (int i = 0; i < LOOKS; i++) {
		cleanup_free struct marker_proc *list = NULL;
		missed += marker_find(install, NULL, &list, &err) != 1;
	}
	assert_int_equal(marker_kill(install, NULL, 0, &err), 0);
	assert_int_equal(test_wait_end(pid), 128 + SIGKILL);
	if (missed)
		fail_msg("%s: %d of %d looks found none", mode, missed, LOOKS);
}

/* The kernel shows no environment of a process between its old program and its new one. It is one of ours all the same. */
static void nothing_hides_in_execve(void **data)
{
	(void)data;
	assert_nothing_hides("again");
	assert_nothing_hides("swap");
}

/* The end of its own stack, where the environment stands, is taken away: for the kernel such a process has one, which reads empty for ever, as
 * that of one that hangs inside execve. */
static int without_environ(void)
{
	unsigned long long begin = 0, end = 0;
	char stat[1024];
	if (file_peek("/proc/self/stat", stat, sizeof(stat)) <= 0)
		return 1;
	char *field = strrchr(stat, ')') + 2;
	for (int i = 3; i < 50; i++)
		field = strchr(field, ' ') + 1;
	begin = strtoull(field, &field, 10);
	end = strtoull(field, NULL, 10);
	unsigned long long page = (unsigned long long)sysconf(_SC_PAGESIZE);
	begin -= begin % page;
	if (munmap((void *)(uintptr_t)begin, (size_t)((end - begin + page - 1) / page * page)))
		return 1;
	char said = '\n';
	if (write(STDOUT_FILENO, &said, 1) != 1)
		return 1;
	for (;;)
		pause();
}

/* Each of them is waited for, but not all of them after each other. */
static void who_hangs_holds_nobody_up(void **data)
{
	(void)data;
	enum { HANGING = 40, MOST_MS = 10000 };
	pid_t pids[HANGING];
	char install[ID_UUID_LEN + 1], said;
	id_uuid(install);
	cleanup_free char *mine = mem_printf("%s." S1, install);
	for (int i = 0; i < HANGING; i++) {
		pid_t thread;
		pids[i] = ready_as(mine, "hang", "there", NULL, &said, 1);
		assert_int_equal(proc_environ(pids[i], &thread), PROC_ENVIRON_SOME);
	}
	cleanup_free struct marker_proc *list = NULL;
	struct err err = {0};
	int64_t began = clock_mono_ms();
	assert_int_equal(marker_find(install, NULL, &list, &err), 0);
	int64_t took = clock_mono_ms() - began;
	for (int i = 0; i < HANGING; i++)
		end(pids[i]);
	assert_in_range(took, 0, MOST_MS);
}

/* How many there are for a process that is one of them. */
static int find(const char *install)
{
	struct err err = {0};
	cleanup_free struct marker_proc *list = NULL;
	return marker_find(install, NULL, &list, &err);
}

static int as_child(const char *mode, char *arg)
{
	if (!strcmp(mode, "again"))
		return become_again(mode, arg);
	if (!strcmp(mode, "swap"))
		return swap(arg);
	if (!strcmp(mode, "hang"))
		return without_environ();
	return strcmp(mode, "find") ? end_slowly(arg) : find(arg);
}

int main(int argc, char **argv)
{
	if (argc == 3)
		return as_child(argv[1], argv[2]);
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(parse),
	        cmocka_unit_test(make),
	        cmocka_unit_test(only_ours_is_touched),
	        cmocka_unit_test(asked_first_then_killed),
	        cmocka_unit_test(others_and_oneself_are_left_alone),
	        cmocka_unit_test(strangers_are_told),
	        cmocka_unit_test(nothing_hides_in_execve),
	        cmocka_unit_test(who_hangs_holds_nobody_up),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
