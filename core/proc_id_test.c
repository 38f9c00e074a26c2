/* Identity. The test program is its own child: `proc_id_test MODE`. */
#include "core/clock.h"
#include "core/file.h"
#include "core/proc_testing.h"
#include <fcntl.h>
#include <pthread.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>

static char dir[64];
/* With an argument: as a program that was rebuilt while it runs. */
static void child_self(char **argv)
{
	if (argv[0])
		unlink(argv[-2]);
	printf("%s", proc_self());
}

/* Says so once the first thread, which has ended, is a zombie. */
static void *outlive(void *arg)
{
	char stat[1024] = "", *state = stat;
	(void)arg;
	while (*state != 'Z' && file_peek("/proc/self/stat", stat, sizeof(stat)) > 0)
		state = strrchr(stat, ')') + 2;
	child_wait(NULL);
	return NULL;
}

static void child_headless(char **argv)
{
	pthread_t other;
	(void)argv;
	if (pthread_create(&other, NULL, outlive, NULL) == 0)
		pthread_exit(NULL);
}

static const struct mode modes[] = {
        {"headless", child_headless},
        {"wait", child_wait},
        {"self", child_self},
};

static int setup(void **state)
{
	(void)state;
	snprintf(dir, sizeof(dir), "/tmp/proc_test.XXXXXX");
	err_clear(&err);
	return mkdtemp(dir) ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	return tree_remove(dir, &err);
}

/* A child that says when it runs. */
static pid_t child_of_mode(const char *mode)
{
	int p[2];
	assert_int_equal(pipe2(p, O_CLOEXEC), 0);
	struct proc_spec spec = PROC_SPEC_INIT;
	spec.argv = ARGV(mode);
	spec.out = p[1];
	spec.die_with_parent = true;
	pid_t pid;
	assert_int_equal(proc_spawn(&spec, &pid, &err), 0);
	close(p[1]);
	char c;
	assert_int_equal(read(p[0], &c, 1), 1);
	close(p[0]);
	return pid;
}

static pid_t waiting_child(void)
{
	return child_of_mode("wait");
}

static void identity_is_pid_and_start(void **state)
{
	(void)state;
	struct proc_id self, id, other;
	assert_int_equal(proc_identify(getpid(), &self), 0);
	assert_true(self.start > 0 && proc_alive(&self));
	static const pid_t nobody[] = {0, -1, 0x7fffffff};
	for (size_t i = 0; i < ARRAY_LEN(nobody); i++) {
		assert_int_equal(proc_identify(nobody[i], &id), -1);
		assert_false(proc_alive(&(struct proc_id){nobody[i], 1}));
	}
	pid_t pid = waiting_child();
	assert_int_equal(proc_identify(pid, &id), 0);
	other = id;
	other.start--;
	assert_true(proc_alive(&id));
	assert_false(proc_alive(&other));
	assert_int_equal(proc_signal(&other, SIGKILL), 0); /* another process of that pid: gone */
	other.start = 0;
	assert_int_equal(proc_signal(&other, SIGKILL), -1); /* unknown: it might be anybody */
	assert_int_equal(proc_signal(&(struct proc_id){0, 5}, SIGKILL), -1);
	assert_int_equal(proc_signal(&(struct proc_id){-1, 5}, SIGKILL), -1);
	assert_int_equal(waitpid(pid, NULL, WNOHANG), 0);
	assert_int_equal(proc_signal(&id, SIGTERM), 0);
	siginfo_t info;
	assert_int_equal(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT), 0);
	assert_false(proc_alive(&id)); /* a zombie */
	assert_int_equal(proc_identify(pid, &other), -1);
	assert_int_equal(proc_signal(&id, SIGTERM), 0);
	assert_int_equal(finished(pid), 128 + SIGTERM);
	assert_false(proc_alive(&id));
	assert_int_equal(proc_signal(&id, SIGTERM), 0);
}

static void who_has_an_environment(void **state)
{
	(void)state;
	int p[2];
	pid_t thread;
	assert_int_equal(proc_environ(getpid(), &thread), PROC_ENVIRON_SOME);
	assert_int_equal(thread, getpid());
	assert_int_equal(proc_environ(0x7fffffff, &thread), PROC_ENVIRON_NONE);
	if (getpgid(2) == 0)
		assert_int_equal(proc_environ(2, &thread), PROC_ENVIRON_NONE); /* a thread of the kernel */
	assert_int_equal(pipe2(p, O_CLOEXEC), 0);
	/* a program that was given none, and one that was given one variable: both say when they run */
	for (int given = 0; given < 2; given++) {
		char *const none[] = {NULL}, *const one[] = {"A=B", NULL};
		pid_t pid = fork();
		if (pid == 0) {
			prctl(PR_SET_PDEATHSIG, SIGKILL); /* should a test fail meanwhile */
			dup2(p[1], STDOUT_FILENO);
			execve(proc_self(), (char *const[]){"proc_id_test", "wait", NULL},
			       given ? one : none);
			_exit(1);
		}
		char c;
		assert_int_equal(read(p[0], &c, 1), 1);
		assert_int_equal(proc_environ(pid, &thread), given ? PROC_ENVIRON_SOME : PROC_ENVIRON_NONE);
		kill(pid, SIGKILL);
		siginfo_t info;
		assert_int_equal(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT), 0);
		assert_int_equal(proc_environ(pid, &thread), PROC_ENVIRON_NONE); /* a zombie */
		finished(pid);
	}
	close(p[0]);
	close(p[1]);
}

/* Its first thread may end (pthread_exit in main): the process goes on, with its files and sockets. */
static void others_may_outlive_the_first_thread(void **state)
{
	(void)state;
	pid_t pid = child_of_mode("headless"), thread = 0;
	struct proc_id id;
	siginfo_t info;
	assert_int_equal(proc_identify(pid, &id), 0);
	assert_true(id.start > 0 && proc_alive(&id));
	assert_int_equal(proc_environ(pid, &thread), PROC_ENVIRON_SOME);
	assert_int_not_equal(thread, pid);
	assert_int_equal(proc_signal(&id, SIGTERM), 0);
	assert_int_equal(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT), 0);
	assert_false(proc_alive(&id));
	assert_int_equal(proc_environ(pid, &thread), PROC_ENVIRON_NONE);
	assert_int_equal(finished(pid), 128 + SIGTERM);
}

/* A thread that somebody traces is not over before he has looked: a process that is killed, whose first thread is a zombie and not the last. */
static void it_lives_until_its_last_thread_has_ended(void **state)
{
	(void)state;
	pid_t pid = child_of_mode("headless"), thread = 0, other;
	struct proc_id id;
	assert_int_equal(proc_environ(pid, &other), PROC_ENVIRON_SOME);
	assert_int_equal(proc_identify(pid, &id), 0);
	cleanup_close int fd = (int)syscall(SYS_pidfd_open, pid, 0);
	struct pollfd p = {.fd = fd, .events = POLLIN};
	bool traced = ptrace(PTRACE_SEIZE, other, NULL, NULL) == 0;
	siginfo_t info;
	assert_int_equal(proc_signal(&id, SIGKILL), 0);
	if (traced) {
		assert_int_equal(waitid(P_PID, (id_t)other, &info, WEXITED | WNOWAIT | __WALL), 0);
		assert_int_equal(poll(&p, 1, 0), 0);
		assert_true(proc_alive(&id));
		assert_int_equal(proc_environ(pid, &thread), PROC_ENVIRON_LOST);
		assert_int_equal(waitpid(other, NULL, __WALL), other);
	}
	assert_int_equal(poll(&p, 1, RUN_MS), 1);
	assert_false(proc_alive(&id));
	assert_int_equal(finished(pid), 128 + SIGKILL);
	if (!traced)
		skip(); /* not allowed */
}

static void names_do_not_confuse(void **state)
{
	(void)state;
	struct proc_id id, before;
	assert_int_equal(proc_identify(getpid(), &before), 0);
	static const char *const names[] = {"a b", ") Z 1 2 3", "((((", "))))", ""};
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		prctl(PR_SET_NAME, names[i]);
		assert_int_equal(proc_identify(getpid(), &id), 0);
		assert_int_equal(id.start, before.start);
	}
	prctl(PR_SET_NAME, "proc_test");
}

/* A real second use of a pid, which root may ask the kernel for. */
static void a_pid_used_again_is_another_process(void **state)
{
	(void)state;
	pid_t first = waiting_child(), second = 0;
	struct proc_id id;
	assert_int_equal(proc_identify(first, &id), 0);
	kill(first, SIGKILL);
	finished(first);
	/* start times count in ticks of 10 ms: let one pass */
	for (int64_t start = clock_mono_ms(); clock_mono_ms() < start + 20;)
		;
	for (int attempt = 0; attempt < 20 && second != first; attempt++) {
		cleanup_close int fd = open("/proc/sys/kernel/ns_last_pid", O_WRONLY | O_CLOEXEC);
		if (fd < 0 || dprintf(fd, "%d", first - 1) < 0)
			break;
		if ((second = fork()) == 0)
			wait_forever();
		if (second != first) {
			kill(second, SIGKILL);
			finished(second);
		}
	}
	if (second != first)
		skip(); /* not allowed, or the machine is busy starting others */
	struct proc_id now;
	assert_int_equal(proc_identify(second, &now), 0);
	assert_false(proc_alive(&id));
	assert_int_equal(proc_signal(&id, SIGKILL), 0);
	assert_int_equal(waitpid(second, NULL, WNOHANG), 0);
	assert_int_equal(proc_signal(&now, SIGKILL), 0);
	assert_int_equal(finished(second), 128 + SIGKILL);
}

static void self_is_a_file(void **state)
{
	(void)state;
	assert_int_equal(proc_self()[0], '/');
	assert_true(path_exists(proc_self()));
	/* a program that was rebuilt while it runs, at a place with an odd name */
	cleanup_free char *odd = mem_printf("%s/a (deleted) b", dir), *prog = mem_printf("%s/prog", odd);
	cleanup_free char *bytes = NULL;
	size_t len;
	assert_int_equal(dir_make(odd, 0755, &err), 0);
	assert_int_equal(file_read(proc_self(), 200u << 20, &bytes, &len, &err), 0);
	assert_int_equal(file_write(prog, bytes, len, 0755, &err), 0);
	struct proc_spec spec = PROC_SPEC_INIT;
	for (int rebuilt = 0; rebuilt < 2; rebuilt++) {
		spec.argv = (const char *const[]){prog, "self", rebuilt ? "unlink" : NULL, NULL};
		struct proc_result r;
		assert_int_equal(proc_run(&spec, NULL, RUN_MS, 4096, &r, &err), 0);
		assert_string_equal(r.out, prog);
		assert_int_equal(path_exists(prog), !rebuilt);
		proc_result_free(&r);
	}
}

int main(int argc, char **argv)
{
	if (argc > 1)
		return as_child(modes, ARRAY_LEN(modes), argv + 1);
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
	        TEST(identity_is_pid_and_start),
	        TEST(who_has_an_environment),
	        TEST(others_may_outlive_the_first_thread),
	        TEST(it_lives_until_its_last_thread_has_ended),
	        TEST(names_do_not_confuse),
	        TEST(a_pid_used_again_is_another_process),
	        TEST(self_is_a_file),
	};
	return cmocka_run_group_tests_name("core/proc_id", tests, NULL, NULL);
}
