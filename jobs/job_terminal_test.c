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

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(int argc, char **argv)
{
	if (argc == 4 && !strcmp(argv[1], "job"))
		return job_testing_child(argv[2], argv[3]);
	const struct CMUnitTest tests[] = {TEST(test_run), TEST(test_run_interrupted), TEST(test_run_killed),
	                                   TEST(test_run_in_turn)};
	return cmocka_run_group_tests_name("job_terminal", tests, NULL, NULL);
}
