/* Real processes: this program starts itself as worker, and that one starts it as the children of jobs. */
#include "core/log.h"
#include "core/proc.h"
#include "jobs/state_watch.h"
#include "jobs/test_state.h"
#include "jobs/worker.h"
#include "jobs/worker_private.h"
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#define ALARM_S 20 /* for what ends by itself, or never */
#define GRACE_MS 300

struct fixture {
	struct test_state t;
	pid_t worker;
};

/* -- kinds -- */

static void note(struct job *job, const char *name)
{
	cleanup_free char *path = state_path(job_state(job), "%s", name);
	FILE *f = fopen(path, "a");
	fprintf(f, "%lld:%d\n", (long long)job_id(job), job_attempt(job));
	fclose(f);
}

static int echo_run(struct job *job, struct err *err)
{
	(void)err;
	note(job, "ran");
	printf("told to its log\n");
	fflush(stdout);
	job_result(job, cJSON_Duplicate(job_args(job), true));
	return 0;
}

/* Goes on until the test opens STATE_DIR/fifo for writing, or it is cancelled. */
static int until_run(struct job *job, struct err *err)
{
	cleanup_free char *path = state_path(job_state(job), "fifo");
	mkfifo(path, 0600);
	cleanup_close int fd = open(path, O_RDONLY | O_NONBLOCK);
	struct pollfd p = {.fd = fd, .events = POLLIN};
	note(job, "ran");
	job_progress(job, "until", 1, "waiting");
	return job_poll(job, &p, 1, -1, err) < 0 ? -1 : 0;
}

static int undo(struct job *job, struct err *err)
{
	(void)err;
	note(job, "undone");
	return 0;
}

/* Never looks whether it should end. */
static int deaf_run(struct job *job, struct err *err)
{
	job_shield(job);
	note(job, "ran");
	job_progress(job, "deaf", 1, "deaf");
	return job_poll(job, NULL, 0, -1, err);
}

static const struct job_kind kinds_list[] = {
        {.name = "echo", .run = echo_run, .max_attempts = 1},
        {.name = "until", .run = until_run, .undo = undo, .max_attempts = 3},
        {.name = "deaf", .run = deaf_run, .undo = undo, .max_attempts = 3},
        {.name = "late", .run = deaf_run, .undo = undo, .max_attempts = 3, .timeout_ms = 100},
};
static const struct job_kind *const kinds[] = {&kinds_list[0], &kinds_list[1], &kinds_list[2], &kinds_list[3],
                                               NULL};

static int look(struct state *st, struct err *err)
{
	struct job_request req = {.kind = "echo", .owner = "timer", .origin = "task:once"};
	int64_t id;
	return jobs_enqueue(st, &req, &id, NULL, err);
}

static int look_badly(struct state *st, struct err *err)
{
	(void)st;
	return err_set(err, ERR_FAILED, "nothing to see");
}

static const struct worker_task good_task = {"good", 60000, look}, bad_task = {"bad", 60000, look_badly};

/* -- helpers -- */

static pid_t start(const char *const *argv)
{
	struct proc_spec spec = PROC_SPEC_INIT;
	int ready[2];
	pid_t pid = 0;
	char c;
	assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
	spec.argv = argv;
	spec.out = spec.errfd = PROC_NULL; /* what a failed test leaves must not hold our pipe open */
	spec.ready_fd = ready[1];
	assert_ok(proc_spawn(&spec, &pid, err));
	close(ready[1]);
	if (read(ready[0], &c, 1) < 0) /* 0: it ended, or is no server */
		fail();
	close(ready[0]);
	return pid;
}

static void start_worker(struct fixture *f)
{
	f->worker = start((const char *const[]){proc_self(), "worker", NULL});
}

static void stop_worker(struct fixture *f, int sig)
{
	kill(f->worker, sig);
	assert_int_equal(test_wait_end(f->worker), sig == SIGKILL ? 128 + SIGKILL : 0);
	f->worker = 0;
}

static int setup(void **data)
{
	struct fixture *f = mem_alloc(sizeof(*f));
	setenv("WORKER_JOBS", "2", 1);
	test_state_open(&f->t);
	*data = f;
	return 0;
}

static int teardown(void **data)
{
	struct fixture *f = *data;
	unsetenv("TEST_CANNOT_BEGIN");
	unsetenv("TEST_TASKS");
	unsetenv("TEST_BELL_ONLY");
	if (f->worker)
		stop_worker(f, SIGTERM);
	int64_t pid = 0; /* only a failed test leaves one */
	assert_ok(db_get_int(f->t.st->db, &pid, err, "SELECT pid FROM jobs WHERE state = 'running'", ""));
	if (pid)
		kill((pid_t)pid, SIGKILL);
	test_state_close(&f->t);
	free(f);
	return 0;
}

static int64_t enqueue(struct fixture *f, const char *kind, const char *session)
{
	struct job_request req = {.kind = kind, .owner = "tg:1", .session = session};
	int64_t id = 0;
	assert_ok(jobs_enqueue(f->t.st, &req, &id, NULL, err));
	return id;
}

static void wait_state(struct fixture *f, int64_t id, const char *state)
{
	cleanup_free char *sql = mem_printf("id = %lld AND state = '%s'", (long long)id, state);
	test_wait_job(f->t.st, sql);
}

static void wait_stage(struct fixture *f, int64_t id, const char *stage)
{
	cleanup_free char *sql =
	        mem_printf("id = %lld AND stage = '%s' AND state = 'running'", (long long)id, stage);
	test_wait_job(f->t.st, sql);
}

static pid_t pid_of(struct fixture *f, int64_t id)
{
	int64_t pid = 0;
	assert_ok(db_get_int(f->t.st->db, &pid, err, "SELECT pid FROM jobs WHERE id = ?", "i", id));
	return (pid_t)pid;
}

static void release(struct fixture *f)
{
	cleanup_free char *path = state_path(f->t.st, "fifo");
	cleanup_close int fd = open(path, O_WRONLY | O_NONBLOCK);
	assert_int_equal(write(fd, "x", 1), 1);
}

#define assert_file(f, name, want)                                                                           \
	do {                                                                                                 \
		cleanup_free char *text_ = test_file((f)->t.st, name);                                       \
		assert_string_equal(text_, want);                                                            \
	} while (0)

static void assert_error(struct fixture *f, int64_t id, enum err_code code, const char *part)
{
	struct job_row row;
	assert_ok(jobs_get(f->t.st, id, &row, err));
	assert_int_equal(row.error_code, code);
	assert_non_null(strstr(row.error, part));
	job_row_free(&row);
}

/* -- tests -- */

static void test_runs(void **data)
{
	struct fixture *f = *data;
	setenv("TEST_BELL_ONLY", "1", 1);
	int64_t before = enqueue(f, "echo", NULL);
	assert_false(worker_alive(f->t.st));
	start_worker(f);
	assert_true(worker_alive(f->t.st));
	int64_t after = enqueue(f, "echo", NULL);
	wait_state(f, before, "done");
	wait_state(f, after, "done");
	assert_file(f, "jobs/1.log", "told to its log\n");
	struct fixture second = *f;
	start_worker(&second);
	assert_int_equal(test_wait_end(second.worker), err_exit_code(ERR_BUSY)); /* only one at a time */
	stop_worker(f, SIGTERM);
	assert_false(worker_alive(f->t.st));
}

/* Killed between the end of its job and the removal of its lock, a process leaves the file. */
static void test_old_locks_are_removed(void **data)
{
	struct fixture *f = *data;
	int64_t waits = enqueue(f, "until", NULL);
	cleanup_free char *over = state_path(f->t.st, "jobs/999.lock"),
	                  *held = state_path(f->t.st, "jobs/998.lock"),
	                  *odd = state_path(f->t.st, "jobs/1.lock.txt"), *dir = state_path(f->t.st, "jobs");
	cleanup_close int fd = -1;
	assert_ok(dir_make(dir, 0700, err));
	assert_ok(file_write(over, "", 0, 0600, err) || file_write(odd, "", 0, 0600, err));
	assert_ok(lock_take(held, &fd, err)); /* by somebody whose job is not to be seen yet */
	start_worker(f);
	assert_false(path_exists(over));
	assert_true(path_exists(held));
	assert_true(path_exists(odd));
	wait_stage(f, waits, "until");
	cleanup_free char *running = state_path(f->t.st, "jobs/%lld.lock", (long long)waits);
	stop_worker(f, SIGKILL);
	start_worker(f);
	assert_true(path_exists(running));
	release(f);
	wait_state(f, waits, "done");
}

static void test_places_and_order(void **data)
{
	struct fixture *f = *data;
	setenv("TEST_BELL_ONLY", "1", 1);
	int64_t n = 0;
	start_worker(f);
	int64_t a1 = enqueue(f, "until", "a"), a2 = enqueue(f, "until", "a"), b1 = enqueue(f, "until", "b"),
	        b2 = enqueue(f, "echo", "b"), c1 = enqueue(f, "echo", "c");
	wait_stage(f, a1, "until");
	wait_stage(f, b1, "until");
	assert_ok(jobs_cancel(f->t.st, b1, "x", err));
	wait_state(f, b1, "cancelled");
	wait_state(f, b2, "done");
	wait_state(f, c1, "done");
	wait_state(f, a2, "queued"); /* a place is free, but its session is busy */
	assert_ok(db_get_int(f->t.st->db, &n, err, "SELECT count(*) FROM jobs WHERE state = 'running'", ""));
	assert_int_equal(n, 1);
	assert_ok(jobs_cancel(f->t.st, a1, "x", err));
	wait_stage(f, a2, "until");
	release(f);
	wait_state(f, a2, "done");
	cleanup_free char *ran = test_file(f->t.st, "ran");
	assert_true(strstr(ran, "1:1\n") < strstr(ran, "2:1\n"));
	assert_true(strstr(ran, "3:1\n") < strstr(ran, "4:1\n"));
	assert_int_equal(strlen(ran), 5 * 4);
}

static void test_child_killed(void **data)
{
	struct fixture *f = *data;
	setenv("TEST_BELL_ONLY", "1", 1);
	start_worker(f);
	int64_t id = enqueue(f, "until", NULL);
	wait_stage(f, id, "until");
	kill(pid_of(f, id), SIGKILL);
	test_wait_job(f->t.st, "attempt = 2 AND state = 'running'");
	test_wait_job(f->t.st, "EXISTS (SELECT 1 FROM job_events e WHERE e.type = 'progress' AND e.id > 5)");
	release(f);
	wait_state(f, id, "done");
	assert_file(f, "ran", "1:1\n1:2\n");
	assert_file(f, "undone", "");
}

static void test_attempts_used_up(void **data)
{
	struct fixture *f = *data;
	setenv("TEST_BELL_ONLY", "1", 1);
	start_worker(f);
	int64_t id = enqueue(f, "until", NULL);
	for (int i = 1; i <= 3; i++) {
		cleanup_free char *sql =
		        mem_printf("attempt = %d AND state = 'running' AND EXISTS (SELECT 1 FROM job_events"
		                   " e WHERE e.type = 'progress' GROUP BY job HAVING count(*) = %d)",
		                   i, i);
		test_wait_job(f->t.st, sql);
		kill(pid_of(f, id), SIGKILL);
	}
	wait_state(f, id, "failed");
	assert_error(f, id, ERR_FAILED, "interrupted 3 times");
	assert_file(f, "undone", "1:4\n");
}

/* The child goes on without a worker; the next one adopts it and sees its end at once. */
static void test_worker_killed(void **data)
{
	struct fixture *f = *data;
	setenv("TEST_BELL_ONLY", "1", 1);
	start_worker(f);
	int64_t id = enqueue(f, "until", "s");
	wait_stage(f, id, "until");
	pid_t pid = pid_of(f, id);
	stop_worker(f, SIGKILL);
	int64_t next = enqueue(f, "until", "s");
	start_worker(f);
	wait_state(f, next, "queued");
	assert_int_equal(pid_of(f, id), pid);
	release(f);
	wait_state(f, id, "done");
	wait_stage(f, next, "until");
	/* and an adopted one that is killed is tried again, and can be cancelled */
	pid = pid_of(f, next);
	stop_worker(f, SIGTERM);
	assert_int_equal(kill(pid, 0), 0); /* an orderly end leaves it running too */
	start_worker(f);
	kill(pid, SIGKILL);
	test_wait_job(f->t.st, "id = 2 AND attempt = 2 AND state = 'running'");
	assert_ok(jobs_cancel(f->t.st, next, "x", err));
	wait_state(f, next, "cancelled");
}

static void test_cancel_deaf(void **data)
{
	struct fixture *f = *data;
	setenv("TEST_BELL_ONLY", "1", 1);
	start_worker(f);
	int64_t id = enqueue(f, "deaf", NULL);
	wait_stage(f, id, "deaf");
	assert_ok(jobs_cancel(f->t.st, id, "tg:7", err));
	wait_state(f, id, "cancelled");
	assert_error(f, id, ERR_CANCELLED, "cancelled by tg:7");
	assert_file(f, "ran", "1:1\n");
	assert_file(f, "undone", "1:2\n");
}

static void test_timeout_deaf(void **data)
{
	struct fixture *f = *data;
	start_worker(f);
	int64_t id = enqueue(f, "late", NULL);
	wait_state(f, id, "failed");
	assert_error(f, id, ERR_TIMEOUT, "took longer");
	assert_file(f, "ran", "1:1\n");
	assert_file(f, "undone", "1:2\n");
}

/* The worker dies between telling a job to end and killing it. */
static void test_cancel_over_restart(void **data)
{
	struct fixture *f = *data;
	setenv("TEST_BELL_ONLY", "1", 1);
	start_worker(f);
	int64_t id = enqueue(f, "deaf", NULL);
	wait_stage(f, id, "deaf");
	stop_worker(f, SIGKILL);
	assert_ok(jobs_cancel(f->t.st, id, "x", err));
	start_worker(f);
	wait_state(f, id, "cancelled");
	assert_file(f, "undone", "1:2\n");
}

static void test_terminal(void **data)
{
	struct fixture *f = *data;
	setenv("TEST_BELL_ONLY", "1", 1);
	start_worker(f);
	pid_t terminal = start((const char *const[]){proc_self(), "job", "run", "until", NULL});
	test_wait_job(f->t.st, "id = 1");
	wait_stage(f, 1, "until");
	int64_t next = enqueue(f, "echo", "demo"); /* its session is busy in the terminal */
	kill(terminal, SIGKILL);
	test_wait_end(terminal);
	wait_state(f, 1, "failed");
	assert_error(f, 1, ERR_FAILED, "terminal that ran it went away");
	wait_state(f, next, "done");
	assert_file(f, "undone", "1:2\n");
	assert_file(f, "ran", "1:1\n2:1\n");
}

/* A terminal waits for the worker's job of the same session. */
static void test_terminal_waits(void **data)
{
	struct fixture *f = *data;
	setenv("TEST_BELL_ONLY", "1", 1);
	start_worker(f);
	int64_t first = enqueue(f, "until", "demo");
	wait_stage(f, first, "until");
	pid_t terminal = start((const char *const[]){proc_self(), "job", "run", "echo", NULL});
	wait_state(f, 2, "queued");
	release(f);
	assert_int_equal(test_wait_end(terminal), 0);
	assert_file(f, "ran", "1:1\n2:1\n");
}

static void test_cannot_begin(void **data)
{
	struct fixture *f = *data;
	setenv("TEST_CANNOT_BEGIN", "1", 1);
	start_worker(f);
	int64_t id = enqueue(f, "echo", NULL), n = 0;
	wait_state(f, id, "failed");
	assert_error(f, id, ERR_FAILED, "could not begin (exit 3): BAD_KEY");
	assert_ok(db_get_int(f->t.st->db, &n, err, "SELECT count(*) FROM job_events WHERE stage = 'launch'",
	                     ""));
	assert_int_equal(n, WORKER_LAUNCHES_MAX);
}

static void test_tasks(void **data)
{
	struct fixture *f = *data;
	setenv("TEST_BELL_ONLY", "1", 1);
	setenv("TEST_TASKS", "1", 1);
	start_worker(f);
	test_wait_job(f->t.st, "owner = 'timer' AND state = 'done'");
	stop_worker(f, SIGTERM);
	start_worker(f); /* the same origin again */
	int64_t id = enqueue(f, "echo", NULL);
	wait_state(f, id, "done");
	assert_int_equal(id, 2);
}

/* It would look at rows that nobody else sees, for ever. */
static void test_database_replaced(void **data)
{
	struct fixture *f = *data;
	cleanup_free char *path = state_path(f->t.st, "codefoundry.db"), *old = state_path(f->t.st, "old.db");
	start_worker(f);
	assert_ok(db_backup(f->t.st->db, old, err));
	assert_int_equal(rename(old, path), 0);
	alarm(ALARM_S);
	assert_int_equal(test_wait_end(f->worker), err_exit_code(ERR_STATE));
	alarm(0);
	test_state_disconnect(&f->t);
	test_state_connect(&f->t);
	start_worker(f);
	wait_state(f, enqueue(f, "echo", NULL), "done");
}

/* -- this program in its other parts -- */

static int other(int argc, char **argv)
{
	struct test_state t = {0};
	struct err err = {0};
	const struct worker_task *const tasks[] = {&bad_task, &good_task, NULL};
	int rc;
	if (argc == 4 && getenv("TEST_CANNOT_BEGIN")) {
		fprintf(stderr, "BAD_KEY: not like this\n");
		return 3;
	}
	test_state_connect(&t);
	worker_grace_ms = GRACE_MS;
	state_watch_ms = 50;
	if (getenv("TEST_BELL_ONLY"))
		worker_slow_ms = 3600000;
	log_open("test", LOG_DEBUG);
	if (argc == 2) {
		rc = worker_main(t.st, kinds, getenv("TEST_TASKS") ? tasks : NULL, &err);
	} else if (!strcmp(argv[2], "exec")) {
		rc = jobs_exec(t.st, kinds, atoll(argv[3]), &err);
	} else {
		struct job_request req = {.kind = argv[3], .owner = "cli:x", .session = "demo"};
		proc_ready();
		rc = jobs_run(t.st, kinds, &req, NULL, NULL, NULL, &err);
	}
	if (rc)
		fprintf(stderr, "%s\n", err.msg);
	test_state_disconnect(&t);
	return rc ? err_exit_code(err.code) : 0;
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(int argc, char **argv)
{
	if (argc > 1)
		return other(argc, argv);
	const struct CMUnitTest tests[] = {
	        TEST(test_runs),
	        TEST(test_places_and_order),
	        TEST(test_child_killed),
	        TEST(test_attempts_used_up),
	        TEST(test_worker_killed),
	        TEST(test_cancel_deaf),
	        TEST(test_timeout_deaf),
	        TEST(test_cancel_over_restart),
	        TEST(test_terminal),
	        TEST(test_terminal_waits),
	        TEST(test_cannot_begin),
	        TEST(test_tasks),
	        TEST(test_old_locks_are_removed),
	        TEST(test_database_replaced),
	};
	return cmocka_run_group_tests_name("worker", tests, NULL, NULL);
}
