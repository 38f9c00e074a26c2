/* Real processes throughout: this program starts itself again as the child of a job. */
#include "core/clock.h"
#include "jobs/job_testing.h"

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
	kill(pid, SIGSTOP); /* it must not be over between the two */
	assert_ok(jobs_cancel(t->st, id, "tg:9", err));
	assert_ok(jobs_cancel(t->st, id, "tg:8", err)); /* twice is fine, the first counts */
	kill(pid, SIGCONT);
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

/* The worker asks for the order too; this is for when a terminal comes in between. */
static void test_not_its_turn(void **data)
{
	struct test_state *t = *data;
	struct job_request first = {.kind = "wait", .owner = "x", .session = "demo"},
	                   second = {.kind = "echo", .owner = "x", .session = "demo"};
	int64_t a = 0, b = 0, delay = 0;
	assert_ok(jobs_enqueue(t->st, &first, &a, NULL, err));
	assert_ok(jobs_enqueue(t->st, &second, &b, NULL, err));
	pid_t pid = start_exec(a);
	test_wait_job(t->st, "stage = 'waiting'");
	assert_int_equal(exec_job(b), 1);
	assert_job(t->st, b, JOB_QUEUED, ERR_NONE, NULL);
	assert_ok(db_get_int(t->st->db, &delay, err, "SELECT not_before FROM jobs WHERE id = ?", "i", b));
	assert_true(delay > 0); /* so that the worker does not try for ever */
	kill(pid, SIGTERM);
	test_wait_end(pid);
	assert_int_equal(exec_job(b), 0);
	assert_job(t->st, b, JOB_DONE, ERR_NONE, NULL);
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

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, test_state_setup, test_state_teardown)

int main(int argc, char **argv)
{
	if (argc == 4 && !strcmp(argv[1], "job"))
		return job_testing_child(argv[2], argv[3]);
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
	        TEST(test_not_its_turn),
	        TEST(test_event_bound),
	        TEST(test_event_order),
	        TEST(test_prune),
	};
	return cmocka_run_group_tests_name("job", tests, NULL, NULL);
}
