/* Jobs in the foreground, with this program as the terminal's process. */
#include "jobs/job_testing.h"

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
	static const int ends[] = {SIGINT, SIGTERM, SIGHUP};
	for (size_t i = 0; i < ARRAY_LEN(ends); i++) {
		pid_t pid = start("run", "wait");
		test_wait_job(t->st, "stage = 'waiting' AND state = 'running'");
		kill(pid, ends[i]);
		assert_int_equal(test_wait_end(pid), err_exit_code(ERR_CANCELLED));
		assert_job(t->st, (int64_t)i + 1, JOB_CANCELLED, ERR_CANCELLED, "cancelled");
	}
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
	test_wait_job(
	        t->st,
	        "id = 2 AND EXISTS (SELECT 1 FROM job_events e WHERE e.job = 2 AND text = 'waiting for job "
	        "1 (wait for cli:x) of the same session')");
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

/* No worker is there to notice that the one before it died. */
static void test_run_after_one_that_died(void **data)
{
	struct test_state *t = *data;
	pid_t first = start("run", "wait");
	test_wait_job(t->st, "stage = 'waiting'");
	pid_t second = start("run", "echo");
	test_wait_job(t->st,
	              "id = 2 AND EXISTS (SELECT 1 FROM job_events WHERE text LIKE 'waiting for job 1 %')");
	kill(first, SIGKILL);
	test_wait_end(first);
	test_wait_job(t->st, "id = 2 AND state = 'done'");
	assert_int_equal(test_wait_end(second), 0);
	assert_job(t->st, 1, JOB_FAILED, ERR_FAILED, "interrupted: the terminal that ran it went away");
	assert_notes(t->st, "undone", "2\n");
}

struct watched {
	struct str said;
	pid_t pid; /* told to end once it waits */
};

static void watch(void *arg, const struct job_event *e)
{
	struct watched *w = arg;
	add_event(&w->said, e);
	if (e->stage && !strcmp(e->stage, "waiting"))
		kill(w->pid, SIGTERM);
}

/* Somebody else runs it, and it ends while it is followed; once it is over, following it is reading it. */
static void test_follow(void **data)
{
	struct test_state *t = *data;
	struct err err = {0};
	int64_t queued = enqueue(t->st, "echo", NULL);
	assert_int_equal(jobs_follow(t->st, queued, add_event, &(struct str){.max = 1000}, &err), -1);
	assert_int_equal(err.code, ERR_STATE); /* no worker */
	assert_int_equal(jobs_follow(t->st, 99, add_event, NULL, &err), -1);
	assert_int_equal(err.code, ERR_NOT_FOUND);
	struct watched first = {.said = STR_INIT, .pid = start("run", "wait")}, again = first;
	test_wait_job(t->st, "kind = 'wait'");
	assert_ok(jobs_follow(t->st, queued + 1, watch, &first, err));
	assert_non_null(
	        strstr(str_text(&first.said), "state:running:-1:started\nprogress:waiting:10:waiting\n"));
	assert_non_null(strstr(str_text(&first.said), "state:cancelled:-1:cancelled\n"));
	test_wait_end(first.pid);
	assert_ok(jobs_follow(t->st, queued + 1, add_event, &again.said, err));
	assert_string_equal(str_text(&again.said), str_text(&first.said));
	str_free(&first.said);
	str_free(&again.said);
}

static void test_retry(void **data)
{
	struct test_state *t = *data;
	struct err err = {0};
	cleanup_json cJSON *args = cJSON_Parse("{\"what\":\"two\"}"), *result = NULL;
	struct job_request req = {.kind = "fail", .args = args, .owner = "tg:5", .session = "demo"};
	assert_int_equal(jobs_run(t->st, kinds, &req, NULL, NULL, NULL, &err), -1);
	assert_int_equal(jobs_retry(t->st, kinds, 1, NULL, NULL, &result, &err), -1);
	assert_int_equal(err.code, ERR_QUOTA);
	assert_string_equal(err.msg, "no room for two");
	int64_t same = 0;
	assert_ok(db_get_int(
	        t->st->db, &same, err,
	        "SELECT count(*) FROM jobs a JOIN jobs b USING (kind, args, owner, session) WHERE a.id = "
	        "1 AND b.id = 2",
	        ""));
	assert_int_equal(same, 1);
	req.kind = "echo";
	assert_ok(jobs_run(t->st, kinds, &req, NULL, NULL, NULL, err));
	assert_int_equal(jobs_retry(t->st, kinds, 3, NULL, NULL, &result, &err), -1);
	assert_int_equal(err.code, ERR_STATE);
	int64_t waits = enqueue(t->st, "echo", NULL);
	assert_ok(jobs_cancel(t->st, waits, "x", err));
	assert_ok(jobs_retry(t->st, kinds, waits, NULL, NULL, &result, err));
	assert_int_equal(jobs_retry(t->st, kinds, 99, NULL, NULL, &result, &err), -1);
	assert_int_equal(err.code, ERR_NOT_FOUND);
}

/* Who has no worker forgets old jobs as well. */
static void test_recover_forgets(void **data)
{
	struct test_state *t = *data;
	struct job_request req = {.kind = "echo", .owner = "cli:root"};
	for (int i = 0; i < 3; i++)
		assert_ok(jobs_run(t->st, kinds, &req, NULL, NULL, NULL, err));
	assert_ok(db_run(t->st->db, err, "UPDATE jobs SET finished_at = finished_at - ? WHERE id < 3", "i",
	                 JOB_KEEP_MS + 1000));
	assert_int_equal(recover(t->st), 0);
	int64_t jobs = 0, events = 0;
	assert_ok(db_get_int(t->st->db, &jobs, err, "SELECT count(*) FROM jobs", ""));
	assert_ok(db_get_int(t->st->db, &events, err, "SELECT count(*) FROM job_events WHERE job < 3", ""));
	assert_int_equal(jobs, 1);
	assert_int_equal(events, 0);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, test_state_setup, test_state_teardown)

int main(int argc, char **argv)
{
	if (argc == 4 && !strcmp(argv[1], "job"))
		return job_testing_child(argv[2], argv[3]);
	const struct CMUnitTest tests[] = {
	        TEST(test_run),         TEST(test_run_interrupted),         TEST(test_run_killed),
	        TEST(test_run_in_turn), TEST(test_run_after_one_that_died), TEST(test_follow),
	        TEST(test_retry),       TEST(test_recover_forgets)};
	return cmocka_run_group_tests_name("job_terminal", tests, NULL, NULL);
}
