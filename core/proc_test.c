/* The test program is its own child: `proc_test MODE …` tells what it was given. */
#include "core/file.h"
#include "core/proc_testing.h"
#include <dirent.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>

extern char **environ;
static char dir[64];
/* -- what the children do -- */

static void child_args(char **argv)
{
	for (; *argv; argv++)
		printf("%zu:%s,", strlen(*argv), *argv);
}

static void child_env(char **argv)
{
	(void)argv;
	for (char **e = environ; *e; e++)
		printf("[%s]", *e);
}

static void child_fds(char **argv)
{
	(void)argv;
	DIR *d = opendir("/proc/self/fd");
	bool open_fds[1024] = {0};
	for (struct dirent *e; (e = readdir(d));)
		if (e->d_name[0] != '.' && atoi(e->d_name) != dirfd(d))
			open_fds[atoi(e->d_name)] = true;
	closedir(d);
	for (int i = 0; i < 1024; i++)
		if (open_fds[i])
			printf("%d ", i);
}

static void child_ids(char **argv)
{
	(void)argv;
	printf("%d %d %d", getpid(), getpgrp(), getsid(0));
}

static void child_signals(char **argv)
{
	(void)argv;
	char buf[4096];
	file_peek("/proc/self/status", buf, sizeof(buf));
	/* 32 and 33 are the C library's own and not ours to set */
	unsigned long long own = 3ull << 31, blocked = strtoull(strstr(buf, "SigBlk:") + 7, NULL, 16),
	                   ignored = strtoull(strstr(buf, "SigIgn:") + 7, NULL, 16);
	printf("%llx %llx", blocked & ~own, ignored & ~own);
}

static void child_ready(char **argv)
{
	(void)argv;
	proc_ready();
	proc_ready(); /* twice is once */
	printf("%s", getenv("CODEFOUNDRY_READY_FD") ? "still there" : "told");
}

static const struct mode modes[] = {
        {"args", child_args},       {"env", child_env}, {"fds", child_fds},     {"ids", child_ids},
        {"signals", child_signals}, {"cat", child_cat}, {"ready", child_ready}, {"wait", child_wait},
};

/* -- helpers -- */

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

/* Run and compare what it printed; a NULL ${expected} only runs. Transfers the output. */
static char *output(const struct proc_spec *spec, const char *expected)
{
	struct proc_result r = run(spec, NULL, RUN_MS, 1 << 20);
	if (expected)
		assert_string_equal(r.out, expected);
	assert_int_equal(r.status, 0);
	free(r.errs);
	return r.out;
}

static void arguments_arrive_unchanged(void **state)
{
	(void)state;
	struct proc_spec spec = PROC_SPEC_INIT;
	spec.argv = ARGV("args", "", " ", "a b", "\"'\\", "$HOME `id` $(id) ; | &", "-x", "--", "*",
	                 "new\nline", "юникод", "\xff\x80", "=");
	free(output(&spec,
	            "0:,1: ,3:a b,3:\"'\\,22:$HOME `id` $(id) ; | &,2:-x,2:--,1:*,8:new\nline,12:юникод,"
	            "2:\xff\x80,1:=,"));
}

static void environment_is_made(void **state)
{
	(void)state;
	static const struct {
		const char *const env[6];
		bool clear;
		const char *has[3], *lacks[3];
	} cases[] = {
	        {{NULL}, false, {"[CF_A=1]", "[CF_AB=2]"}, {"[CODEFOUNDRY_READY_FD"}},
	        {{"CF_A=x", "CF_NEW=a=b"}, false, {"[CF_A=x]", "[CF_AB=2]", "[CF_NEW=a=b]"}, {"[CF_A=1]"}},
	        {{"CF_A="}, false, {"[CF_A=]", "[CF_AB=2]"}, {"[CF_A=1]"}},
	        {{"CF_A"}, false, {"[CF_AB=2]"}, {"[CF_A]", "[CF_A="}},
	        {{"CF_A=x", "CF_B=y", "CF_A=z"}, false, {"[CF_A=z]", "[CF_B=y]"}, {"[CF_A=x]", "[CF_A=1]"}},
	        {{"CF_A=x", "CF_A"}, false, {"[CF_AB=2]"}, {"[CF_A=x]", "[CF_A=1]"}},
	        {{"CF_B=y"}, true, {"[CF_B=y]", "[PATH="}, {"[CF_A", "[SECRET"}},
	        {{"PATH=/bin"}, true, {"[PATH=/bin]"}, {"[PATH=/usr", "[CF_A"}},
	        {{NULL},
	         true,
	         {"[CODEFOUNDRY_SESSION_PATH=a.b]", "[CODEFOUNDRY_SESSION_PORTS=1-2]"},
	         {"[CF_A"}},
	};
	setenv("CF_A", "1", 1);
	setenv("CF_AB", "2", 1);
	setenv("SECRET", "3", 1);
	setenv("CODEFOUNDRY_SESSION_PATH", "a.b", 1);
	setenv("CODEFOUNDRY_SESSION_PORTS", "1-2", 1);
	setenv("CODEFOUNDRY_READY_FD", "77", 1);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct proc_spec spec = PROC_SPEC_INIT;
		spec.argv = ARGV("env");
		spec.env = cases[i].env;
		spec.clear_env = cases[i].clear;
		cleanup_free char *out = output(&spec, NULL);
		for (int k = 0; k < 3; k++) {
			if (cases[i].has[k] && !strstr(out, cases[i].has[k]))
				fail_msg("case %zu: no %s in %s", i, cases[i].has[k], out);
			if (cases[i].lacks[k] && strstr(out, cases[i].lacks[k]))
				fail_msg("case %zu: %s in %s", i, cases[i].lacks[k], out);
		}
	}
	unsetenv("CODEFOUNDRY_READY_FD");
	unsetenv("SECRET");
	unsetenv("CODEFOUNDRY_SESSION_PATH");
	unsetenv("CODEFOUNDRY_SESSION_PORTS");
}

static void no_descriptor_is_leaked(void **state)
{
	(void)state;
	int extra[20], last = 0;
	for (size_t i = 0; i < ARRAY_LEN(extra); i++)
		last = extra[i] = open("/dev/null", O_RDONLY); /* without O_CLOEXEC, 3 and 4 among them */
	struct proc_spec spec = PROC_SPEC_INIT;
	spec.argv = ARGV("fds");
	free(output(&spec, "0 1 2 "));
	spec.ready_fd = last;
	free(output(&spec, "0 1 2 3 "));
	spec.keep_fd = extra[0];
	free(output(&spec, "0 1 2 3 4 "));
	spec.ready_fd = 0;
	free(output(&spec, "0 1 2 4 "));
	cleanup_free char *held = mem_printf("0 1 2 4 %d %d ", last - 1, last);
	spec.held = extra + ARRAY_LEN(extra) - 2;
	spec.n_held = 2;
	free(output(&spec, held));
	for (size_t i = 0; i < ARRAY_LEN(extra); i++)
		close(extra[i]);
}

/* As in a container whose seccomp filter does not know the system call. */
static void forbid(int number)
{
	struct sock_filter code[] = {
	        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
	        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)number, 0, 1),
	        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
	        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog prog = {.len = ARRAY_LEN(code), .filter = code};
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog))
		_exit(77);
}

static void old_kernels_leak_nothing_and_hang_nowhere(void **state)
{
	(void)state;
	static const int forbidden[] = {SYS_close_range, SYS_pidfd_open};
	for (int i = 0; i < 2; i++) {
		pid_t pid = fork();
		if (pid == 0) {
			struct proc_result r;
			struct proc_spec spec = PROC_SPEC_INIT;
			spec.argv = ARGV("fds");
			if (dup2(0, 50) != 50)
				_exit(1);
			forbid(forbidden[i]);
			int rc = proc_run(&spec, NULL, RUN_MS, 4096, &r, &err);
			_exit(i == 0 ? rc || strcmp(r.out, "0 1 2 ")
			             : rc == 0 || !strstr(err.msg, "Linux 5.3"));
		}
		int status = finished(pid);
		if (status == 77)
			skip(); /* no seccomp here */
		assert_int_equal(status, 0);
	}
}

static void descriptors_may_cross(void **state)
{
	(void)state;
	/* the child's 0 is our 1-to-be and the other way round: pipes at the very numbers that are filled */
	pid_t pid = fork();
	if (pid == 0) {
		int a[2], b[2];
		if (pipe(a) || pipe(b) || dup2(a[0], 1) != 1 || dup2(b[1], 0) != 0)
			_exit(1);
		int input = a[1], result = fcntl(b[0], F_DUPFD, 20);
		if (write(input, "through", 7) != 7)
			_exit(2);
		close(input);
		struct proc_spec spec = PROC_SPEC_INIT;
		spec.argv = ARGV("cat");
		spec.in = 1;
		spec.out = 0;
		spec.errfd = PROC_NULL;
		pid_t cat;
		char buf[16] = "";
		if (proc_spawn(&spec, &cat, &err) || read(result, buf, sizeof(buf) - 1) != 7 ||
		    strcmp(buf, "through"))
			_exit(3);
		_exit(waitpid(cat, NULL, 0) != cat);
	}
	assert_int_equal(finished(pid), 0);
}

static void closed_standard_descriptors(void **state)
{
	(void)state;
	pid_t pid = fork();
	if (pid == 0) { /* a daemon may have closed 0, 1 and 2: the pipes then get these numbers */
		int said = fcntl(2, F_DUPFD_CLOEXEC, 100);
		close(0);
		close(1);
		close(2);
		struct proc_result r;
		struct proc_spec spec = PROC_SPEC_INIT;
		spec.argv = ARGV("fds");
		int rc = proc_run(&spec, "input", RUN_MS, 4096, &r, &err);
		if (rc || strcmp(r.out, "0 1 2 "))
			dprintf(said, "%s / %s\n", rc ? err.msg : r.out, rc ? "" : r.errs);
		_exit(rc || strcmp(r.out, "0 1 2 "));
	}
	assert_int_equal(finished(pid), 0);
}

static void readiness_is_told(void **state)
{
	(void)state;
	int p[2];
	assert_int_equal(pipe2(p, O_CLOEXEC), 0);
	struct proc_spec spec = PROC_SPEC_INIT;
	spec.argv = ARGV("ready");
	spec.ready_fd = p[1];
	free(output(&spec, "told"));
	close(p[1]);
	char buf[8];
	assert_int_equal(read(p[0], buf, sizeof(buf)), 1);
	assert_int_equal(buf[0], '\n');
	close(p[0]);
	spec.ready_fd = 0;
	free(output(&spec, "told")); /* nobody to tell */
}

static void a_lock_lives_as_long_as_the_child(void **state)
{
	(void)state;
	cleanup_free char *path = mem_printf("%s/lock", dir);
	cleanup_close int lock = -1;
	assert_int_equal(lock_take(path, &lock, &err), 0);
	int p[2];
	assert_int_equal(pipe2(p, O_CLOEXEC), 0);
	struct proc_spec spec = PROC_SPEC_INIT;
	spec.argv = ARGV("wait");
	spec.out = p[1];
	spec.keep_fd = lock;
	pid_t pid;
	assert_int_equal(proc_spawn(&spec, &pid, &err), 0);
	close(p[1]);
	close(p[0]);
	close(TAKE_FD(lock));
	assert_int_equal(lock_take(path, &lock, &err), 1);
	kill(pid, SIGKILL);
	finished(pid);
	assert_int_equal(lock_take(path, &lock, &err), 0);
}

static void what_cannot_start_is_named(void **state)
{
	(void)state;
	cleanup_free char *text = mem_printf("%s/text", dir), *plain = mem_printf("%s/plain", dir);
	cleanup_free char *touched = mem_printf("%s/touched", dir),
	                  *script = mem_printf("touch %s\n", touched);
	assert_int_equal(file_write(text, script, strlen(script), 0755, &err), 0);
	assert_int_equal(file_write(plain, "x", 1, 0644, &err), 0);
	const struct {
		const char *program, *cwd, *says;
		enum err_code code;
	} cases[] = {
	        {"no-such-program-at-all", NULL, "start no-such-program-at-all: there is no such program",
	         ERR_NOT_FOUND},
	        {"", NULL, "start : there is no such program", ERR_NOT_FOUND},
	        {"/nowhere/program", NULL, "start /nowhere/program: No such file", ERR_NOT_FOUND},
	        {"./no-program-here", NULL, "start ./no-program-here", ERR_NOT_FOUND},
	        {plain, NULL, plain, ERR_DENIED},
	        {dir, NULL, dir, ERR_DENIED},
	        {text, NULL, "Exec format error", ERR_IO}, /* and no shell runs it */
	        {"true", "/no-such-directory", "start true in /no-such-directory: No such file",
	         ERR_NOT_FOUND},
	        {"true", plain, "start true in", ERR_NOT_FOUND},
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct proc_spec spec = PROC_SPEC_INIT;
		spec.argv = (const char *const[]){cases[i].program, NULL};
		spec.cwd = cases[i].cwd;
		pid_t pid = 12345;
		struct proc_result r;
		for (int way = 0; way < 2; way++) {
			int rc = way ? proc_run(&spec, NULL, RUN_MS, 10, &r, &err)
			             : proc_spawn(&spec, &pid, &err);
			assert_int_equal(rc, -1);
			if (err.code != cases[i].code || !strstr(err.msg, cases[i].says))
				fail_msg("%s: %s: %s", cases[i].program, err_name(err.code), err.msg);
		}
		assert_int_equal(pid, 12345);
		proc_result_free(&r);
	}
	assert_false(path_exists(touched));
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1); /* no zombie is left */
	assert_int_equal(errno, ECHILD);
}

static void path_is_the_childs_and_absolute(void **state)
{
	(void)state;
	cleanup_free char *bin = mem_printf("%s/bin", dir), *prog = mem_printf("%s/bin/cf-only-here", dir);
	cleanup_free char *env = mem_printf("PATH=/nowhere::%s", bin);
	assert_int_equal(dir_make(bin, 0755, &err), 0);
	assert_int_equal(symlink(proc_self(), prog), 0);
	struct proc_spec spec = PROC_SPEC_INIT;
	spec.argv = (const char *const[]){"cf-only-here", "args", "ok", NULL};
	spec.env = (const char *const[]){env, NULL};
	free(output(&spec, "2:ok,"));
	pid_t pid;
	spec.env = (const char *const[]){"PATH=bin:.:",
	                                 NULL}; /* whoever writes the directory would choose the program */
	spec.cwd = dir;
	int here = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(chdir(dir), 0);
	assert_int_equal(proc_spawn(&spec, &pid, &err), -1);
	assert_int_equal(fchdir(here), 0);
	close(here);
	spec.argv = (const char *const[]){"bin/cf-only-here", "args", "ok", NULL};
	free(output(&spec, "2:ok,"));
}

static void groups_and_sessions(void **state)
{
	(void)state;
	for (int i = 0; i < 3; i++) {
		int p[2], child, group, session;
		assert_int_equal(pipe2(p, O_CLOEXEC), 0);
		struct proc_spec spec = PROC_SPEC_INIT;
		spec.argv = ARGV("ids");
		spec.out = p[1];
		spec.same_group = i == 1;
		spec.new_session = i == 2;
		pid_t pid;
		assert_int_equal(proc_spawn(&spec, &pid, &err), 0);
		close(p[1]);
		FILE *f = fdopen(p[0], "r");
		assert_int_equal(fscanf(f, "%d %d %d", &child, &group, &session), 3);
		fclose(f);
		assert_int_equal(finished(pid), 0);
		assert_int_equal(child, pid);
		assert_int_equal(group, i == 1 ? getpgrp() : pid);
		assert_int_equal(session, i == 2 ? pid : getsid(0));
	}
}

static void signals_start_fresh(void **state)
{
	(void)state;
	sigset_t set, old;
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigaddset(&set, SIGTERM);
	sigprocmask(SIG_BLOCK, &set, &old);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	struct proc_spec spec = PROC_SPEC_INIT;
	spec.argv = ARGV("signals");
	free(output(&spec, "0 0"));
	sigset_t now;
	sigprocmask(SIG_SETMASK, &old, &now);
	assert_true(sigismember(&now, SIGUSR1) && !sigismember(&now, SIGINT)); /* ours is as it was */
	assert_ptr_equal(signal(SIGPIPE, SIG_DFL), SIG_IGN);
	signal(SIGHUP, SIG_DFL);
}

static void dies_with_its_parent(void **state)
{
	(void)state;
	int p[2];
	assert_int_equal(pipe(p), 0);
	pid_t middle = fork();
	if (middle == 0) {
		struct proc_spec spec = PROC_SPEC_INIT;
		spec.argv = ARGV("wait");
		spec.out = PROC_NULL;
		spec.die_with_parent = true;
		pid_t pid;
		if (proc_spawn(&spec, &pid, &err) || write(p[1], &pid, sizeof(pid)) != sizeof(pid))
			_exit(1);
		wait_forever();
	}
	pid_t pid;
	assert_int_equal(read(p[0], &pid, sizeof(pid)), sizeof(pid));
	close(p[0]);
	close(p[1]);
	struct proc_id id;
	assert_int_equal(proc_identify(pid, &id), 0);
	kill(middle, SIGKILL);
	finished(middle);
	assert_true(ends(pid));
	assert_false(proc_alive(&id));
}

int main(int argc, char **argv)
{
	if (argc > 1)
		return as_child(modes, ARRAY_LEN(modes), argv + 1);
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
	        TEST(arguments_arrive_unchanged), TEST(environment_is_made),
	        TEST(no_descriptor_is_leaked),    TEST(old_kernels_leak_nothing_and_hang_nowhere),
	        TEST(descriptors_may_cross),      TEST(closed_standard_descriptors),
	        TEST(readiness_is_told),          TEST(a_lock_lives_as_long_as_the_child),
	        TEST(what_cannot_start_is_named), TEST(path_is_the_childs_and_absolute),
	        TEST(groups_and_sessions),        TEST(signals_start_fresh),
	        TEST(dies_with_its_parent),
	};
	return cmocka_run_group_tests_name("core/proc", tests, NULL, NULL);
}
