/* Real processes throughout: this program starts itself again as the child of a job. */
#include "core/bell.h"
#include "core/clock.h"
#include "core/mem.h"
#include "core/proc.h"
#include "core/str.h"
#include "jobs/job.h"
#include "jobs/job_private.h"
#include "jobs/test_state.h"
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* -- kinds -- */

static void note(struct job *job, const char *name)
{
	cleanup_free char *path = state_path(job_state(job), "%s", name);
	FILE *f = fopen(path, "a");
	fprintf(f, "%d\n", job_attempt(job));
	fclose(f);
}

static int echo_run(struct job *job, struct err *err)
{
	(void)err;
	job_progress(job, "one", 60, "step %d", 1);
	job_progress(job, "two", 30, "back?");
	job_log(job, "said \x1b[31mred\x1b[0m \xff");
	job_result(job, cJSON_Duplicate(job_args(job), true));
	return 0;
}

static int wait_run(struct job *job, struct err *err)
{
	job_progress(job, "waiting", 10, "waiting");
	int rc = job_poll(job, NULL, 0, -1, err);
	job_shield(job);
	note(job, "undone");
	return rc;
}

static int undo(struct job *job, struct err *err)
{
	note(job, "undone");
	/* shielded: a cancel must not disturb it */
	return job_check(job, err) || job_poll(job, NULL, 0, 0, err) < 0;
}

/* Dies by SIGKILL in as many attempts as args.times says. */
static int crash_run(struct job *job, struct err *err)
{
	(void)err;
	note(job, "tried");
	if (job_attempt(job) <= json_int(job_args(job), "times", 0))
		raise(SIGKILL);
	job_result(job, json_object());
	return 0;
}

static int fail_run(struct job *job, struct err *err)
{
	assert_ok(
	        db_begin(job_state(job)->db, err)); /* left open: must not keep the end from being written */
	return err_set(err, ERR_QUOTA, "no room for %s", json_text(job_args(job), "what"));
}

static int deaf_run(struct job *job, struct err *err)
{
	(void)err;
	while (!job->cancelled)
		job_progress(job, "deaf", 1, "no check");
	return err_set(err, ERR_IO, "child got a signal");
}

static int flood_run(struct job *job, struct err *err)
{
	job->events = JOB_EVENTS_MAX - 10; /* as if so many had been written */
	for (int i = 0; i < 100; i++)
		job_log(job, "line %d", i);
	job_progress(job, "end", 99, "still told in the row");
	return job_check(job, err);
}

static int undo_fails(struct job *job, struct err *err)
{
	(void)job;
	return err_set(err, ERR_BUSY, "still mounted");
}

static const struct job_kind kinds_list[] = {
        {.name = "echo", .run = echo_run, .max_attempts = 1},
        {.name = "wait", .run = wait_run, .undo = undo, .max_attempts = 2},
        {.name = "brief", .run = wait_run, .undo = undo, .max_attempts = 1, .timeout_ms = 50},
        {.name = "crash", .run = crash_run, .undo = undo, .max_attempts = 2},
        {.name = "stuck", .run = crash_run, .undo = undo_fails, .max_attempts = 1},
        {.name = "plain", .run = crash_run, .max_attempts = 1},
        {.name = "fail", .run = fail_run, .max_attempts = 1},
        {.name = "deaf", .run = deaf_run, .max_attempts = 1},
        {.name = "flood", .run = flood_run, .max_attempts = 1},
};
static const struct job_kind *const kinds[] = {
        &kinds_list[0], &kinds_list[1], &kinds_list[2], &kinds_list[3], &kinds_list[4],
        &kinds_list[5], &kinds_list[6], &kinds_list[7], &kinds_list[8], NULL,
};

/* -- helpers -- */

static int setup(void **data)
{
	struct test_state *t = mem_alloc(sizeof(*t));
	test_state_open(t);
	*data = t;
	return 0;
}

static int teardown(void **data)
{
	test_state_close(*data);
	free(*data);
	return 0;
}

static int64_t enqueue(struct state *st, const char *kind, const char *args)
{
	cleanup_json cJSON *json = args ? cJSON_Parse(args) : NULL;
	struct job_request req = {.kind = kind, .args = json, .owner = "tg:1"};
	int64_t id = 0;
	assert_ok(jobs_enqueue(st, &req, &id, NULL, err));
	return id;
}

/* Start this program as the process of job ${id}, as the worker does; or, with ${how} "run", as a terminal. */
static pid_t start(const char *how, const char *what)
{
	const char *argv[] = {proc_self(), "job", how, what, NULL};
	struct proc_spec spec = PROC_SPEC_INIT;
	spec.argv = argv;
	pid_t pid = 0;
	assert_ok(proc_spawn(&spec, &pid, err));
	return pid;
}

static pid_t start_exec(int64_t id)
{
	cleanup_free char *text = mem_printf("%lld", (long long)id);
	return start("exec", text);
}

static int exec_job(int64_t id)
{
	return test_wait_end(start_exec(id));
}

#define assert_job(st, id, want, want_code, want_error)                                                      \
	do {                                                                                                 \
		struct job_row row_;                                                                         \
		assert_ok(jobs_get(st, id, &row_, err));                                                     \
		assert_string_equal(job_state_name(row_.state), job_state_name(want));                       \
		assert_string_equal(err_name(row_.error_code), err_name(want_code));                         \
		if (want_error)                                                                              \
			assert_string_equal(row_.error, want_error);                                         \
		job_row_free(&row_);                                                                         \
	} while (0)

#define assert_notes(st, name, want)                                                                         \
	do {                                                                                                 \
		cleanup_free char *text_ = test_file(st, name);                                              \
		assert_string_equal(text_, want);                                                            \
	} while (0)

static void add_event(void *arg, const struct job_event *e)
{
	str_addf(arg, "%s:%s:%d:%s\n", e->type, e->stage ? e->stage : "", e->percent, e->text);
}

static char *events(struct state *st, int64_t id)
{
	struct str s = STR_INIT;
	assert_ok(jobs_events(st, id, 0, 100000, add_event, &s, err));
	return str_take(&s);
}

/* -- tests -- */

static void test_done(void **data)
{
	struct test_state *t = *data;
	int64_t id = enqueue(t->st, "echo", "{\"a\":[1,2]}");
	assert_int_equal(exec_job(id), 0);
	struct job_row row;
	assert_ok(jobs_get(t->st, id, &row, err));
	assert_int_equal(row.state, JOB_DONE);
	assert_int_equal(json_int(row.result, "a.1", 0), 2);
	assert_int_equal(row.attempt, 1);
	assert_int_equal(row.percent, 100);
	assert_true(row.created_at && row.started_at >= row.created_at && row.finished_at >= row.started_at);
	job_row_free(&row);
	cleanup_free char *text = events(t->st, id);
	assert_string_equal(text, "state:queued:-1:queued\nstate:running:-1:started\nprogress:one:60:step 1\n"
	                          "progress:two:60:back?\nlog::-1:said red ?\nstate:done:-1:done\n");
	cleanup_free char *lock = state_path(t->st, "jobs/1.lock");
	assert_false(path_exists(lock));
	assert_int_equal(exec_job(id), 1); /* a second time is refused and changes nothing */
	assert_job(t->st, id, JOB_DONE, ERR_NONE, NULL);
	assert_false(path_exists(lock));
}

static void test_fail(void **data)
{
	struct test_state *t = *data;
	int64_t id = enqueue(t->st, "fail", "{\"what\":\"tea\"}");
	assert_int_equal(exec_job(id), 0);
	assert_job(t->st, id, JOB_FAILED, ERR_QUOTA, "no room for tea");
}

static void test_bad_requests(void **data)
{
	struct test_state *t = *data;
	cleanup_json cJSON *array = json_array();
	const struct job_request bad[] = {{.kind = "", .owner = "x"},
	                                  {.owner = "x"},
	                                  {.kind = "echo"},
	                                  {.kind = "echo", .owner = "x", .args = array}};
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct err err = {0};
		int64_t id = 0;
		assert_int_equal(jobs_enqueue(t->st, &bad[i], &id, NULL, &err), -1);
		assert_int_equal(err.code, ERR_INVALID);
	}
	struct err err = {0};
	struct job_row row;
	assert_int_equal(jobs_get(t->st, 99, &row, &err), -1);
	assert_int_equal(err.code, ERR_NOT_FOUND);
	int64_t id = enqueue(t->st, "from the future", NULL);
	assert_int_equal(exec_job(id), 1);
	assert_job(t->st, id, JOB_FAILED, ERR_NOT_FOUND, NULL);
}

static void test_origin(void **data)
{
	struct test_state *t = *data;
	for (int i = 0; i < 8; i++)
		start("enqueue", "tg:update:7");
	int status, bad = 0;
	while (wait(&status) > 0)
		bad |= status;
	assert_int_equal(bad, 0);
	struct err err = {0};
	cleanup_json cJSON *list = jobs_list(t->st, NULL, -1, 100, &err);
	assert_int_equal(cJSON_GetArraySize(list), 1);
	assert_string_equal(json_text(list, "0.state"), "queued");
	assert_null(json_text(list, "0.error"));
	struct job_request req = {.kind = "echo", .owner = "x", .origin = "tg:update:7"};
	int64_t id = 0;
	bool fresh = true;
	assert_ok(jobs_enqueue(t->st, &req, &id, &fresh, err));
	assert_int_equal(id, 1);
	assert_false(fresh);
}

static void test_list(void **data)
{
	struct test_state *t = *data;
	struct err err = {0};
	enqueue(t->st, "echo", NULL);
	enqueue(t->st, "echo", NULL);
	exec_job(1);
	cleanup_json cJSON *queued = jobs_list(t->st, "tg:1", JOB_QUEUED, 10, &err);
	assert_int_equal(cJSON_GetArraySize(queued), 1);
	assert_int_equal(json_int(queued, "0.id", 0), 2);
	cleanup_json cJSON *none = jobs_list(t->st, "tg:2", -1, 10, &err);
	assert_int_equal(cJSON_GetArraySize(none), 0);
	cleanup_json cJSON *one = jobs_list(t->st, NULL, -1, 1, &err);
	assert_int_equal(json_int(one, "0.id", 0), 2);
	assert_int_equal(cJSON_GetArraySize(one), 1);
}

static void test_cancel_queued(void **data)
{
	struct test_state *t = *data;
	int64_t id = enqueue(t->st, "echo", NULL);
	assert_ok(jobs_cancel(t->st, id, "tg:9", err));
	assert_job(t->st, id, JOB_CANCELLED, ERR_CANCELLED, "cancelled by tg:9");
	assert_int_equal(exec_job(id), 1);
	struct err err = {0};
	assert_int_equal(jobs_cancel(t->st, id, "tg:9", &err), -1);
	assert_int_equal(err.code, ERR_STATE);
	assert_int_equal(jobs_cancel(t->st, 77, "tg:9", &err), -1);
	assert_int_equal(err.code, ERR_NOT_FOUND);
}

static void test_cancel_running(void **data)
{
	struct test_state *t = *data;
	int64_t id = enqueue(t->st, "wait", NULL);
	pid_t pid = start_exec(id);
	test_wait_job(t->st, "stage = 'waiting'");
	assert_ok(jobs_cancel(t->st, id, "tg:9", err));
	assert_ok(jobs_cancel(t->st, id, "tg:8", err)); /* twice is fine, the first counts */
	assert_int_equal(test_wait_end(pid), 0);
	assert_job(t->st, id, JOB_CANCELLED, ERR_CANCELLED, "cancelled by tg:9");
	assert_notes(t->st, "undone", "1\n");
}

static void test_cancel_by_signal(void **data)
{
	struct test_state *t = *data;
	int64_t id = enqueue(t->st, "wait", NULL);
	pid_t pid = start_exec(id);
	test_wait_job(t->st, "stage = 'waiting'");
	kill(pid, SIGTERM);
	assert_int_equal(test_wait_end(pid), 0);
	assert_job(t->st, id, JOB_CANCELLED, ERR_CANCELLED, "cancelled");
}

static void test_cancel_unchecked(void **data)
{
	struct test_state *t = *data;
	int64_t id = enqueue(t->st, "deaf", NULL);
	pid_t pid = start_exec(id);
	test_wait_job(t->st, "stage = 'deaf'");
	assert_ok(jobs_cancel(t->st, id, "x", err));
	assert_int_equal(test_wait_end(pid), 0);
	assert_job(t->st, id, JOB_CANCELLED, ERR_CANCELLED,
	           "cancelled by x; it ended with: child got a signal");
}

static void test_timeout(void **data)
{
	struct test_state *t = *data;
	int64_t id = enqueue(t->st, "brief", NULL);
	assert_int_equal(exec_job(id), 0);
	assert_job(t->st, id, JOB_FAILED, ERR_TIMEOUT, "brief took longer than its limit of 50 ms");
	assert_notes(t->st, "undone", "1\n");
}

static int recover(struct state *st)
{
	struct err err = {0};
	int n = jobs_recover(st, kinds, &err);
	if (n < 0)
		fail_msg("%s", err.msg);
	return n;
}

static void test_crash_retried(void **data)
{
	struct test_state *t = *data;
	int64_t id = enqueue(t->st, "crash", "{\"times\":1}");
	assert_int_equal(exec_job(id), 128 + SIGKILL);
	assert_job(t->st, id, JOB_RUNNING, ERR_NONE, NULL);
	assert_int_equal(recover(t->st), 1);
	assert_int_equal(recover(t->st), 0);
	assert_job(t->st, id, JOB_QUEUED, ERR_NONE, NULL);
	assert_int_equal(exec_job(id), 0);
	assert_job(t->st, id, JOB_DONE, ERR_NONE, NULL);
	assert_notes(t->st, "tried", "1\n2\n");
	assert_notes(t->st, "undone", "");
}

static void test_crash_used_up(void **data)
{
	struct test_state *t = *data;
	int64_t id = enqueue(t->st, "crash", "{\"times\":9}");
	exec_job(id);
	recover(t->st);
	exec_job(id);
	assert_int_equal(recover(t->st), 1); /* no attempt left: undone here */
	assert_job(t->st, id, JOB_FAILED, ERR_FAILED, "interrupted 2 times (killed or crashed)");
	assert_notes(t->st, "tried", "1\n2\n");
	assert_notes(t->st, "undone", "3\n");
	assert_int_equal(recover(t->st), 0);
}

static void test_crash_by_child(void **data)
{
	struct test_state *t = *data;
	struct err err = {0};
	int64_t id = enqueue(t->st, "crash", "{\"times\":9}"),
	        plain = enqueue(t->st, "plain", "{\"times\":9}");
	exec_job(id);
	exec_job(plain);
	assert_int_equal(job_settle(t->st, kinds, false, &err), 2); /* as the worker: only queued again */
	exec_job(id);
	assert_int_equal(job_settle(t->st, kinds, false, &err), 1);
	assert_int_equal(exec_job(id), 0);
	assert_int_equal(exec_job(plain), 0);
	assert_job(t->st, id, JOB_FAILED, ERR_FAILED, NULL);
	assert_job(t->st, plain, JOB_FAILED, ERR_FAILED, "interrupted 1 times (killed or crashed)");
	assert_notes(t->st, "undone", "3\n");
}

static void test_crash_cancelled(void **data)
{
	struct test_state *t = *data;
	int64_t id = enqueue(t->st, "wait", NULL);
	pid_t pid = start_exec(id);
	test_wait_job(t->st, "stage = 'waiting'");
	kill(pid, SIGKILL);
	test_wait_end(pid);
	assert_ok(jobs_cancel(t->st, id, "tg:9", err));
	assert_int_equal(recover(t->st), 1);
	assert_job(t->st, id, JOB_CANCELLED, ERR_CANCELLED, "cancelled by tg:9");
	assert_notes(t->st, "undone", "2\n");
}

static void test_cancel_requeued(void **data)
{
	struct test_state *t = *data;
	int64_t id = enqueue(t->st, "crash", "{\"times\":1}");
	exec_job(id);
	recover(t->st);
	assert_ok(jobs_cancel(t->st, id, "tg:9", err)); /* queued, but something is there to undo */
	assert_job(t->st, id, JOB_QUEUED, ERR_NONE, NULL);
	assert_int_equal(exec_job(id), 0);
	assert_job(t->st, id, JOB_CANCELLED, ERR_CANCELLED, NULL);
	assert_notes(t->st, "undone", "2\n");
}

static void test_undo_fails(void **data)
{
	struct test_state *t = *data;
	int64_t id = enqueue(t->st, "stuck", "{\"times\":1}");
	exec_job(id);
	recover(t->st);
	assert_job(t->st, id, JOB_FAILED, ERR_BUSY,
	           "interrupted 1 times (killed or crashed); undoing it failed: still mounted");
}

static void test_same_job_twice(void **data)
{
	struct test_state *t = *data;
	int64_t id = enqueue(t->st, "wait", NULL);
	pid_t first = start_exec(id);
	test_wait_job(t->st, "stage = 'waiting'");
	assert_int_equal(exec_job(id), 1);
	assert_int_equal(recover(t->st), 0);
	assert_job(t->st, id, JOB_RUNNING, ERR_NONE, NULL);
	kill(first, SIGTERM);
	assert_int_equal(test_wait_end(first), 0);
}

static void test_event_bound(void **data)
{
	struct test_state *t = *data;
	int64_t id = enqueue(t->st, "flood", NULL), n = 0;
	assert_int_equal(exec_job(id), 0);
	assert_ok(db_get_int(t->st->db, &n, err, "SELECT count(*) FROM job_events", ""));
	assert_int_equal(n, 2 + 10 + 1);
	cleanup_free char *text = events(t->st, id);
	assert_non_null(strstr(text, "log::-1:more lines were left out\nstate:done"));
	struct job_row row;
	assert_ok(jobs_get(t->st, id, &row, err));
	assert_string_equal(row.message, "still told in the row");
	job_row_free(&row);
}

static void check_order(void *arg, const struct job_event *e)
{
	int64_t *seen = arg;
	assert_true(e->id > seen[0]);
	seen[0] = e->id;
	seen[1]++;
}

/* Four jobs write at once; a follower that always asks "after the last" misses nothing. */
static void test_event_order(void **data)
{
	struct test_state *t = *data;
	int64_t seen[2] = {0, 0}, total = 0;
	for (int i = 0; i < 4; i++)
		start_exec(enqueue(t->st, "flood", NULL));
	for (int open = 4; open;) {
		assert_ok(jobs_events(t->st, 0, seen[0], 7, check_order, seen, err));
		open -= waitpid(-1, NULL, WNOHANG) > 0;
	}
	for (int64_t before = -1; before != seen[1];) {
		before = seen[1];
		assert_ok(jobs_events(t->st, 0, seen[0], 7, check_order, seen, err));
	}
	assert_ok(db_get_int(t->st->db, &total, err, "SELECT count(*) FROM job_events", ""));
	assert_int_equal(seen[1], total);
	assert_int_equal(total, 4 * 13);
}

static void test_prune(void **data)
{
	struct test_state *t = *data;
	struct err err = {0};
	int64_t n = 0;
	for (int i = 0; i < 3; i++)
		enqueue(t->st, "echo", NULL);
	exec_job(1);
	exec_job(2);
	cleanup_free char *log = state_path(t->st, "jobs/1.log");
	assert_ok(file_write(log, "x", 1, 0600, err));
	assert_int_equal(job_store_prune(t->st, clock_now_ms() - 1000, 10, &err), 0);
	assert_int_equal(job_store_prune(t->st, clock_now_ms() + 1000, 1, &err), 1);
	assert_int_equal(job_store_prune(t->st, clock_now_ms() + 1000, 10, &err), 1);
	assert_false(path_exists(log));
	assert_ok(db_get_int(t->st->db, &n, err, "SELECT count(*) FROM job_events", ""));
	assert_int_equal(n, 1); /* job 3 was only queued */
}

/* -- in the foreground -- */

static void test_run(void **data)
{
	struct test_state *t = *data;
	cleanup_json cJSON *args = cJSON_Parse("{\"b\":2}"), *result = NULL;
	cleanup_str struct str s = STR_INIT;
	struct job_request req = {.kind = "echo", .args = args, .owner = "cli:root", .origin = "once"};
	assert_ok(jobs_run(t->st, kinds, &req, add_event, &s, &result, err));
	assert_int_equal(json_int(result, "b", 0), 2);
	assert_string_equal(str_text(&s),
	                    "state:queued:-1:queued\nstate:running:-1:started\nprogress:one:60:step 1\n"
	                    "progress:two:60:back?\nlog::-1:said red ?\nstate:done:-1:done\n");
	struct err err = {0};
	assert_int_equal(jobs_run(t->st, kinds, &req, NULL, NULL, NULL, &err), -1);
	assert_int_equal(err.code, ERR_EXISTS);
	req = (struct job_request){.kind = "fail", .owner = "cli:root"};
	assert_int_equal(jobs_run(t->st, kinds, &req, NULL, NULL, NULL, &err), -1);
	assert_int_equal(err.code, ERR_QUOTA);
	req.kind = "nonsense";
	assert_int_equal(jobs_run(t->st, kinds, &req, NULL, NULL, NULL, &err), -1);
	assert_int_equal(err.code, ERR_INVALID);
}

static void test_run_interrupted(void **data)
{
	struct test_state *t = *data;
	pid_t pid = start("run", "wait");
	test_wait_job(t->st, "stage = 'waiting'");
	kill(pid, SIGINT);
	assert_int_equal(test_wait_end(pid), err_exit_code(ERR_CANCELLED));
	assert_job(t->st, 1, JOB_CANCELLED, ERR_CANCELLED, "cancelled");
}

static void test_run_killed(void **data)
{
	struct test_state *t = *data;
	pid_t pid = start("run", "wait");
	test_wait_job(t->st, "stage = 'waiting'");
	kill(pid, SIGKILL);
	test_wait_end(pid);
	assert_int_equal(recover(t->st), 1); /* a terminal's job is undone, not tried again later */
	assert_job(t->st, 1, JOB_FAILED, ERR_FAILED, "interrupted: the terminal that ran it went away");
	assert_notes(t->st, "undone", "2\n");
}

/* Two terminals and one session: the second waits its turn; a third is killed while it waits. */
static void test_run_in_turn(void **data)
{
	struct test_state *t = *data;
	pid_t first = start("run", "wait");
	test_wait_job(t->st, "stage = 'waiting'");
	pid_t second = start("run", "echo");
	test_wait_job(t->st, "id = 2");
	pid_t third = start("run", "echo");
	test_wait_job(t->st, "id = 3");
	pid_t fourth = start("run", "echo");
	test_wait_job(t->st, "id = 4");
	kill(third, SIGKILL);
	test_wait_end(third);
	kill(fourth, SIGTERM);
	assert_int_equal(test_wait_end(fourth), err_exit_code(ERR_CANCELLED));
	assert_job(t->st, 2, JOB_QUEUED, ERR_NONE, NULL);
	assert_job(t->st, 4, JOB_CANCELLED, ERR_CANCELLED, NULL);
	assert_ok(jobs_cancel(t->st, 1, "x", err));
	assert_int_equal(test_wait_end(first), 130);
	assert_int_equal(test_wait_end(second), 0);
	recover(t->st);
	assert_job(t->st, 3, JOB_CANCELLED, ERR_CANCELLED, "the terminal that asked for it went away");
}

/* -- this program as a job's process -- */

static int child(const char *how, const char *what)
{
	struct test_state t = {0};
	struct err err = {0};
	test_state_connect(&t);
	struct job_request req = {.kind = what, .owner = "cli:x", .session = "demo"};
	int64_t id = 0;
	int status;
	if (!strcmp(how, "enqueue")) {
		req = (struct job_request){.kind = "echo", .owner = "x", .origin = what};
		status = jobs_enqueue(t.st, &req, &id, NULL, &err) ? 1 : 0;
	} else if (!strcmp(how, "run")) {
		status = jobs_run(t.st, kinds, &req, NULL, NULL, NULL, &err) ? err_exit_code(err.code) : 0;
	} else {
		status = jobs_exec(t.st, kinds, atoll(what), &err) ? 1 : 0;
	}
	test_state_disconnect(&t);
	return status;
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(int argc, char **argv)
{
	if (argc == 4 && !strcmp(argv[1], "job"))
		return child(argv[2], argv[3]);
	const struct CMUnitTest tests[] = {
	        TEST(test_done),
	        TEST(test_fail),
	        TEST(test_bad_requests),
	        TEST(test_origin),
	        TEST(test_list),
	        TEST(test_cancel_queued),
	        TEST(test_cancel_running),
	        TEST(test_cancel_by_signal),
	        TEST(test_cancel_unchecked),
	        TEST(test_timeout),
	        TEST(test_crash_retried),
	        TEST(test_crash_used_up),
	        TEST(test_crash_by_child),
	        TEST(test_crash_cancelled),
	        TEST(test_cancel_requeued),
	        TEST(test_undo_fails),
	        TEST(test_same_job_twice),
	        TEST(test_event_bound),
	        TEST(test_event_order),
	        TEST(test_prune),
	        TEST(test_run),
	        TEST(test_run_interrupted),
	        TEST(test_run_killed),
	        TEST(test_run_in_turn),
	};
	return cmocka_run_group_tests_name("job", tests, NULL, NULL);
}
