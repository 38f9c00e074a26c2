/* Real processes: this program starts itself as supervisor and as its services. */
#include "core/bell.h"
#include "core/clock.h"
#include "core/mem.h"
#include "core/proc.h"
#include "core/str.h"
#include "jobs/supervisor.h"
#include "jobs/supervisor_private.h"
#include "jobs/supervisor_testing.h"
#include "jobs/test_state.h"
#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define PATIENCE_MS 15000
#define NOBODY 65534

struct fixture {
	char dir[200]; /* longer than a socket address holds */
	pid_t pid;
	int out; /* what the supervisor's stderr said */
};

/* -- helpers -- */

static int setup(void **data)
{
	struct fixture *f = mem_alloc(sizeof(*f));
	char base[] = "/tmp/codefoundry-test.XXXXXX";
	assert_non_null(mkdtemp(base));
	snprintf(f->dir, sizeof(f->dir), "%s/%0120d", base, 7);
	assert_int_equal(mkdir(f->dir, 0700), 0);
	setenv("TEST_DIR", f->dir, 1);
	f->out = -1;
	*data = f;
	return 0;
}

/* Processes whose environment names this test's directory. */
static int survivors(struct fixture *f)
{
	int n = 0;
	DIR *dir = opendir("/proc");
	struct dirent *e;
	while ((e = readdir(dir))) {
		cleanup_free char *path = mem_printf("/proc/%s/environ", e->d_name);
		char buf[32768];
		ssize_t len =
		        e->d_name[0] > '0' && e->d_name[0] <= '9' ? file_peek(path, buf, sizeof(buf)) : 0;
		if (len > 0 && atoi(e->d_name) != getpid() &&
		    memmem(buf, (size_t)len, f->dir, strlen(f->dir)))
			n++;
	}
	closedir(dir);
	return n;
}

static int teardown(void **data)
{
	struct fixture *f = *data;
	if (f->pid) {
		kill(f->pid, SIGTERM);
		test_wait_end(f->pid);
	}
	unsetenv("LOST_MS");
	if (f->out >= 0)
		close(f->out);
	assert_int_equal(survivors(f), 0);
	*strrchr(f->dir, '/') = '\0';
	assert_ok(tree_remove(f->dir, err));
	free(f);
	return 0;
}

/* Returns once the control socket listens. ${specs}: "name=mode", NULL-terminated. */
static void start(struct fixture *f, const char *const *specs)
{
	const char *argv[12] = {proc_self(), "supervise", f->dir};
	for (int i = 0; specs[i]; i++)
		argv[3 + i] = specs[i];
	int ready[2], out[2];
	assert_int_equal(pipe2(ready, O_CLOEXEC) | pipe2(out, O_CLOEXEC), 0);
	struct proc_spec spec = PROC_SPEC_INIT;
	spec.argv = argv;
	spec.ready_fd = ready[1];
	spec.out = PROC_NULL;
	spec.errfd = out[1];
	assert_ok(proc_spawn(&spec, &f->pid, err));
	close(ready[1]);
	close(out[1]);
	char c;
	assert_int_equal(read(ready[0], &c, 1), 1);
	close(ready[0]);
	f->out = out[0];
}
#define START(f, ...) start(f, (const char *const[]){__VA_ARGS__, NULL})

static cJSON *call_with(struct fixture *f, const char *request, struct err *err)
{
	cleanup_json cJSON *obj = cJSON_Parse(request);
	cJSON *reply = NULL;
	assert_non_null(obj);
	supervisor_call(f->dir, obj, PATIENCE_MS, &reply, err);
	return reply;
}

static cJSON *call(struct fixture *f, const char *request)
{
	struct err err = {0};
	cJSON *reply = call_with(f, request, &err);
	if (err.code)
		fail_msg("%s: %s", request, err.msg);
	return reply;
}

/* The same when only that it was ok counts. */
static void do_call(struct fixture *f, const char *request)
{
	cJSON_Delete(call(f, request));
}

static void end(struct fixture *f)
{
	do_call(f, "{\"op\":\"shutdown\"}");
	assert_int_equal(test_wait_end(f->pid), 0);
	f->pid = 0;
}

/* Wait until no process has ${pid}, whoever's child it is. */
static void wait_gone(pid_t pid)
{
	cleanup_close int fd = (int)syscall(SYS_pidfd_open, pid, 0);
	struct pollfd p = {.fd = fd, .events = POLLIN};
	if (fd >= 0)
		assert_int_equal(poll(&p, 1, PATIENCE_MS), 1);
}

/* -- tests -- */

/* Every cell: what a person asks for is always accepted, the rest only where it can happen. */
static void test_table(void **data)
{
	static const char *const cells[SERVICE_STATES] = {
	        [SERVICE_STOPPED] = "S   PR", [SERVICE_STARTING] = "SYXTPR", [SERVICE_READY] = "S X PR",
	        [SERVICE_BACKOFF] = "S  TPR", [SERVICE_STOPPING] = "S XTPR", [SERVICE_FAILED] = "S   PR",
	};
	(void)data;
	for (int state = 0; state < SERVICE_STATES; state++)
		for (int event = 0; event < SERVICE_EVENTS; event++)
			assert_int_equal(
			        service_accepts((enum service_state)state, (enum service_event)event),
			        cells[state][event] != ' ');
}

static void test_ready_and_end(void **data)
{
	struct fixture *f = *data;
	START(f, "a=ready", "b=ready", "c=mute");
	cleanup_json cJSON *all = call(f, "{\"op\":\"wait\"}");
	for (int i = 0; i < 3; i++) {
		const cJSON *s = cJSON_GetArrayItem(json_at(all, "services"), i);
		assert_string_equal(json_text(s, "state"), "ready");
		assert_true(json_bool(s, "ready", false));
		assert_int_equal(kill((pid_t)json_int(s, "pid", 0), 0), 0);
		assert_true(cJSON_IsNull(json_at(s, "exit")));
		assert_in_range(json_int(s, "since", 0), clock_now_ms() - 60000, clock_now_ms());
	}
	cleanup_free char *sock = mem_printf("%s/control.sock", f->dir),
	                  *order = mem_printf("%s/order", f->dir), *text = NULL;
	struct stat st;
	assert_int_equal(stat(sock, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	end(f);
	assert_ok(file_read(order, 100, &text, NULL, err));
	assert_string_equal(text, "cba");
	assert_false(path_exists(sock));
	cleanup_json cJSON *tail = supervisor_log_tail(f->dir, "a", 5),
	                   *other = supervisor_log_tail(f->dir, "b", 5);
	assert_string_equal(json_text(tail, "0"), "a runs with replaced 1");
	assert_string_equal(json_text(other, "0"), "b runs with 2 (null)");
}

static void test_signal_ends(void **data)
{
	struct fixture *f = *data;
	START(f, "a=ready", "b=stubborn", "c=crash");
	kill(f->pid, SIGTERM);
	assert_int_equal(test_wait_end(f->pid), 0);
	f->pid = 0;
	assert_int_equal(survivors(f), 0);
}

static void test_second_signal(void **data)
{
	struct fixture *f = *data;
	START(f, "a=stubborn", "b=stubborn", "c=orphan");
	do_call(f, "{\"op\":\"wait\"}");
	kill(f->pid, SIGTERM);
	kill(f->pid, SIGINT);
	assert_int_equal(test_wait_end(f->pid), 0);
	f->pid = 0;
	assert_int_equal(survivors(f), 0);
}

static void test_orphans(void **data)
{
	struct fixture *f = *data;
	START(f, "a=orphan", "b=ready");
	do_call(f, "{\"op\":\"wait\"}");
	do_call(f, "{\"op\":\"kill\",\"service\":\"a\"}");
	do_call(f, "{\"op\":\"wait\"}");
	assert_int_equal(survivors(f), 3 + 2 + 2); /* supervisor, two services, two deaf pairs */
	end(f);
	assert_int_equal(survivors(f), 0);
}

static void kill_survivors(struct fixture *f)
{
	struct dirent *e;
	DIR *dir = opendir("/proc");
	while ((e = readdir(dir))) {
		char buf[32768];
		cleanup_free char *path = mem_printf("/proc/%s/environ", e->d_name);
		pid_t pid = (pid_t)atoi(e->d_name);
		ssize_t len = pid > 1 && pid != getpid() ? file_peek(path, buf, sizeof(buf)) : 0;
		if (len <= 0 || !memmem(buf, (size_t)len, f->dir, strlen(f->dir)))
			continue;
		struct pollfd gone = {.fd = (int)syscall(SYS_pidfd_open, pid, 0), .events = POLLIN};
		kill(pid, SIGKILL);
		assert_int_equal(poll(&gone, 1, 5000), 1);
		close(gone.fd);
	}
	closedir(dir);
}

/* Jobs and sessions that the worker started live on when `up` ends. */
static void test_orphans_kept(void **data)
{
	struct fixture *f = *data;
	setenv("KEEP_ORPHANS", "1", 1);
	START(f, "a=orphan", "b=ready");
	unsetenv("KEEP_ORPHANS");
	do_call(f, "{\"op\":\"wait\"}");
	end(f);
	assert_int_equal(survivors(f), 2); /* the deaf pair */
	kill_survivors(f);
}

static void test_config_error(void **data)
{
	struct fixture *f = *data;
	struct err err = {0};
	START(f, "good=ready", "bad=config");
	cleanup_json cJSON *reply = call_with(f, "{\"op\":\"wait\"}", &err);
	assert_int_equal(err.code, ERR_FAILED);
	assert_string_equal(json_text(reply, "service"), "bad");
	assert_string_equal(json_text(reply, "log.1"), "BAD_KEY: what is this?");
	cleanup_json cJSON *status = call(f, "{\"op\":\"status\"}");
	assert_string_equal(json_text(status, "services.1.state"), "failed");
	assert_int_equal(json_int(status, "services.1.exit", 0), 3);
	assert_int_equal(json_int(status, "services.1.restarts", -1), 0);
	cleanup_json cJSON *other = call(f, "{\"op\":\"start\",\"service\":\"good\"}"); /* goes on running */
	assert_string_equal(json_text(other, "services.0.state"), "ready");
}

static void test_crashes(void **data)
{
	struct fixture *f = *data;
	struct err err = {0};
	int64_t before = clock_mono_ms();
	START(f, "heal=heal", "bad=crash");
	cleanup_json cJSON *reply = call_with(f, "{\"op\":\"wait\"}", &err);
	assert_in_range(clock_mono_ms() - before, 100 + 200 + 400 + 800, 6000);
	assert_string_equal(json_text(reply, "service"), "bad");
	assert_int_equal(cJSON_GetArraySize(json_at(reply, "log")), 1); /* of five processes the last one's */
	cleanup_json cJSON *status = call(f, "{\"op\":\"start\",\"service\":\"heal\"}");
	assert_int_equal(json_int(status, "services.0.restarts", 0), 2);
	assert_int_equal(json_int(status, "services.0.exit", 0), 128 + SIGABRT);
	assert_int_equal(json_int(status, "services.1.restarts", 0), 4);
	assert_true(cJSON_IsNull(json_at(status, "services.1.pid")));
}

static void test_missing_program(void **data)
{
	struct fixture *f = *data;
	struct err err = {0};
	START(f, "bad=missing");
	cleanup_json cJSON *reply = call_with(f, "{\"op\":\"wait\"}", &err);
	assert_non_null(strstr(json_text(reply, "log.0"), "/nonexistent/program"));
}

static void test_kill(void **data)
{
	struct fixture *f = *data;
	START(f, "a=ready");
	cleanup_json cJSON *before = call(f, "{\"op\":\"wait\"}"),
	                   *gone = call(f, "{\"op\":\"kill\",\"service\":\"a\",\"signal\":9}"),
	                   *after = call(f, "{\"op\":\"wait\"}");
	assert_int_equal(json_int(gone, "services.0.exit", 0), 128 + SIGKILL);
	assert_string_equal(json_text(gone, "services.0.state"), "backoff");
	assert_int_equal(json_int(after, "services.0.restarts", 0), 1);
	assert_int_not_equal(json_int(after, "services.0.pid", 0), json_int(before, "services.0.pid", 0));
}

static void test_stop_start_restart(void **data)
{
	struct fixture *f = *data;
	struct err err = {0};
	START(f, "a=ready", "b=stubborn");
	cleanup_json cJSON *all = call(f, "{\"op\":\"wait\"}"),
	                   *stop = call(f, "{\"op\":\"stop\",\"service\":\"b\"}");
	assert_string_equal(json_text(stop, "services.1.state"), "stopped");
	assert_int_equal(json_int(stop, "services.1.exit", 0), 128 + SIGKILL); /* it did not listen */
	do_call(f, "{\"op\":\"stop\",\"service\":\"b\"}");                     /* again is fine */
	do_call(f, "{\"op\":\"wait\"}");                                       /* it is not waited for */
	cleanup_json cJSON *refused = call_with(f, "{\"op\":\"kill\",\"service\":\"b\"}", &err),
	                   *start = call(f, "{\"op\":\"start\",\"service\":\"b\"}"),
	                   *restart = call(f, "{\"op\":\"restart\",\"service\":\"a\"}");
	assert_string_equal(json_text(refused, "error"), "b is not running (stopped)");
	assert_string_equal(json_text(start, "services.1.state"), "ready");
	assert_string_equal(json_text(restart, "services.0.state"), "ready");
	assert_int_not_equal(json_int(restart, "services.0.pid", 0), json_int(all, "services.0.pid", 0));
}

static void test_bad_requests(void **data)
{
	static const struct {
		const char *line, *part;
	} cases[] = {
	        {"nonsense\n", "\"ok\":false"},
	        {"[]\n", "op must be"},
	        {"{\"op\":7}\n", "op must be"},
	        {"{\"op\":\"fly\"}\n", "op must be"},
	        {"{\"op\":\"stop\"}\n", "no service (none named)"},
	        {"{\"op\":\"stop\",\"service\":\"../x\"}\n", "no service ../x"},
	        {"{\"op\":\"kill\",\"service\":\"a\",\"signal\":0}\n", "signal must be"},
	        {"{\"op\":\"kill\",\"service\":\"a\",\"signal\":1e9}\n", "signal must be"},
	        {"\n", "\"ok\":false"},
	};
	struct fixture *f = *data;
	START(f, "a=ready");
	cleanup_json cJSON *obj = cJSON_Parse("{\"op\":\"status\"}");
	struct err err = {0};
	cleanup_close int fd = supervisor_connect(f->dir, obj, &err);
	char buf[4096];
	assert_true(recv(fd, buf, sizeof(buf), 0) > 0);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		/* in two pieces: lines need not come whole */
		size_t n = strlen(cases[i].line);
		send(fd, cases[i].line, n / 2, 0);
		send(fd, cases[i].line + n / 2, n - n / 2, 0);
		ssize_t got = recv(fd, buf, sizeof(buf) - 1, 0);
		assert_true(got > 0);
		buf[got] = '\0';
		if (!strstr(buf, cases[i].part))
			fail_msg("%s → %s", cases[i].line, buf);
	}
	/* a line without end is hung up on, and nobody else notices */
	cleanup_free char *flood = mem_alloc(100000);
	memset(flood, 'x', 100000);
	while (send(fd, flood, 100000, MSG_NOSIGNAL) > 0)
		;
	do_call(f, "{\"op\":\"wait\"}");
}

/* Two requests in one packet are answered in order although the first has to wait; one client vanishes while waiting. */
static void test_clients(void **data)
{
	struct fixture *f = *data;
	struct err err = {0};
	START(f, "a=mute", "b=ready");
	cleanup_json cJSON *wait = cJSON_Parse("{\"op\":\"wait\"}");
	int gone = supervisor_connect(f->dir, wait, &err);
	cleanup_close int first = supervisor_connect(f->dir, wait, &err);
	assert_int_equal(send(first, "{\"op\":\"status\"}\n", 16, 0), 16);
	close(gone);
	cleanup_json cJSON *now = call(f, "{\"op\":\"status\"}"); /* not held up by those who wait */
	assert_string_equal(json_text(now, "services.0.state"), "starting");
	cleanup_str struct str got = STR_INIT;
	char buf[4096];
	while (!got.len || strchr(got.p, '\n') == strrchr(got.p, '\n')) {
		ssize_t n = recv(first, buf, sizeof(buf), 0);
		assert_true(n > 0);
		str_addn(&got, buf, (size_t)n);
	}
	*strchr(got.p, '\n') = '\0';
	cleanup_json cJSON *reply = cJSON_Parse(got.p);
	assert_string_equal(json_text(reply, "services.0.state"), "ready");
}

static void test_two_supervisors(void **data)
{
	struct fixture *f = *data;
	START(f, "a=ready");
	const char *argv[] = {proc_self(), "supervise", f->dir, "b=ready", NULL};
	struct proc_spec spec = PROC_SPEC_INIT;
	struct proc_result r;
	spec.argv = argv;
	assert_ok(proc_run(&spec, NULL, PATIENCE_MS, 4096, &r, err));
	assert_int_equal(r.status, 1);
	assert_non_null(strstr(r.errs, "already"));
	proc_result_free(&r);
	do_call(f, "{\"op\":\"wait\"}");
}

/* Its services must not outlive a supervisor that was killed; the socket it left is replaced by the next one. */
static void test_supervisor_killed(void **data)
{
	struct fixture *f = *data;
	START(f, "a=ready");
	cleanup_json cJSON *all = call(f, "{\"op\":\"wait\"}");
	kill(f->pid, SIGKILL);
	test_wait_end(f->pid);
	f->pid = 0;
	wait_gone((pid_t)json_int(all, "services.0.pid", 0));
	close(f->out);
	struct err err = {0};
	assert_null(call_with(f, "{\"op\":\"status\"}", &err));
	assert_int_equal(err.code, ERR_NOT_FOUND);
	START(f, "a=ready");
	do_call(f, "{\"op\":\"wait\"}");
}

/* Nobody could end it any more, and the next one would find its ports taken. What stands there by now is not its to remove. */
static void test_moved(void **data)
{
	struct fixture *f = *data;
	cleanup_free char *away = mem_printf("%s.away", f->dir),
	                  *socket = mem_printf("%s/control.sock", f->dir);
	setenv("LOST_MS", "20", 1);
	START(f, "a=ready");
	do_call(f, "{\"op\":\"wait\"}");
	assert_int_equal(rename(f->dir, away), 0);
	assert_ok(dir_make(f->dir, 0700, err));
	assert_ok(file_write(socket, "another's", 9, 0600, err));
	alarm(PATIENCE_MS / 1000);
	assert_int_equal(test_wait_end(f->pid), err_exit_code(ERR_STATE));
	alarm(0);
	f->pid = 0;
	assert_true(path_exists(socket));
	assert_int_equal(survivors(f), 0);
	assert_ok(tree_remove(f->dir, err));
	assert_int_equal(rename(away, f->dir), 0);
}

/* Parts look too, and may be the first to see it: one that ends for that reason would make anew what was moved. */
static void test_moved_before_the_look(void **data)
{
	struct fixture *f = *data;
	cleanup_free char *away = mem_printf("%s.away", f->dir);
	setenv("LOST_MS", "600000", 1);
	START(f, "a=ready", "b=ready");
	cleanup_json cJSON *all = call(f, "{\"op\":\"wait\"}");
	assert_int_equal(rename(f->dir, away), 0);
	kill((pid_t)json_int(all, "services.0.pid", 0), SIGKILL);
	alarm(PATIENCE_MS / 1000);
	assert_int_equal(test_wait_end(f->pid), err_exit_code(ERR_STATE));
	alarm(0);
	f->pid = 0;
	assert_int_equal(rename(away, f->dir), 0);
}

/* Whether a supervisor of ${dir} would take itself for lost, seen by a user who may not look into ${above}. */
static bool lost_to_nobody(const char *dir, const char *above)
{
	struct supervisor_options options = {.dir = dir};
	struct supervisor sv = {.options = &options};
	assert_ok(loop_open(&sv.loop, err) || control_open(&sv.control, &sv, err));
	assert_int_equal(chmod(above, 0), 0);
	pid_t pid = fork();
	if (pid == 0)
		_exit((geteuid() == 0 && setresuid(NOBODY, NOBODY, NOBODY)) ? 2
		                                                            : !control_reachable(sv.control));
	int status = test_wait_end(pid);
	assert_int_equal(chmod(above, 0700), 0);
	control_close(sv.control);
	loop_close(sv.loop);
	control_free(sv.control);
	return status != 0;
}

/* A file system that answers with an error for a while is no reason to end everything. */
static void test_what_cannot_be_told(void **data)
{
	struct fixture *f = *data;
	cleanup_free char *above = mem_strdup(f->dir);
	*strrchr(above, '/') = '\0';
	assert_false(lost_to_nobody(f->dir, above));
}

static void test_logs(void **data)
{
	struct fixture *f = *data;
	START(f, "long-name=shout", "many=chatty");
	do_call(f, "{\"op\":\"wait\"}");
	end(f);
	cleanup_json cJSON *shout = supervisor_log_tail(f->dir, "long-name", 10),
	                   *many = supervisor_log_tail(f->dir, "many", 150),
	                   *none = supervisor_log_tail(f->dir, "../order", 10);
	assert_int_equal(cJSON_GetArraySize(none), 0);
	assert_int_equal(cJSON_GetArraySize(many), 150); /* from both files */
	assert_string_equal(json_text(many, "149"), "line 199 of many that fill the file");
	assert_string_equal(json_text(many, "0"), "line 50 of many that fill the file");
	assert_string_equal(json_text(shout, "1"), "last words");
	assert_int_equal(strlen(json_text(shout, "0")), 8192);
	cleanup_free char *path = mem_printf("%s/log/many.log", f->dir);
	struct stat st;
	assert_int_equal(stat(path, &st), 0);
	assert_true(st.st_size <= 4096);
	cleanup_str struct str echoed = STR_INIT;
	char buf[4096];
	for (ssize_t n; (n = read(f->out, buf, sizeof(buf))) > 0;)
		str_addn(&echoed, buf, (size_t)n);
	assert_non_null(strstr(echoed.p, "\nmany      | line 199 of many that fill the file\n"));
	assert_non_null(strstr(echoed.p, "\nlong-name | last words\n"));
	assert_non_null(strstr(echoed.p, "aaa … (cut)\n"));
	assert_null(strchr(echoed.p, 27));
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(int argc, char **argv)
{
	if (argc >= 4 && !strcmp(argv[1], "service"))
		return service(argv[2], argv[3]);
	if (argc >= 4 && !strcmp(argv[1], "supervise"))
		return supervise(argc, argv);
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_table),
	        TEST(test_ready_and_end),
	        TEST(test_signal_ends),
	        TEST(test_second_signal),
	        TEST(test_orphans),
	        TEST(test_orphans_kept),
	        TEST(test_config_error),
	        TEST(test_crashes),
	        TEST(test_missing_program),
	        TEST(test_kill),
	        TEST(test_stop_start_restart),
	        TEST(test_bad_requests),
	        TEST(test_clients),
	        TEST(test_two_supervisors),
	        TEST(test_supervisor_killed),
	        TEST(test_moved),
	        TEST(test_moved_before_the_look),
	        TEST(test_what_cannot_be_told),
	        TEST(test_logs),
	};
	return cmocka_run_group_tests_name("supervisor", tests, NULL, NULL);
}
