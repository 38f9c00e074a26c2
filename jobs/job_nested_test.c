/* A job that runs another one in its own process, as a test run does with its session. */
#include "core/mem.h"
#include "jobs/job.h"
#include "jobs/test_state.h"
#include <signal.h>
#include <string.h>

static int inner_code, inner_after_signal;

static int inner_run(struct job *job, struct err *err)
{
	(void)err;
	struct err why = {0};
	struct pollfd none = {.fd = -1};
	inner_code = job_check(job, &why);
	if (job_poll(job, &none, 1, 0, &why))
		inner_code = -1;
	raise((int)json_int(job_args(job), "raise", 0)); /* 0: none */
	inner_after_signal = job_check(job, &why);
	return 0;
}
static const struct job_kind inner = {.name = "inner", .run = inner_run, .max_attempts = 1};
static const struct job_kind *const inner_kinds[] = {&inner, NULL};

/* before: a signal before the inner job; during: one while it runs. */
static int outer_run(struct job *job, struct err *err)
{
	struct job_request req = {
	        .kind = "inner", .owner = "t", .session = "demo", .args = json_at(job_args(job), "inner")};
	if (json_bool(job_args(job), "before", false))
		raise(SIGTERM);
	if (jobs_run(job_state(job), inner_kinds, &req, NULL, NULL, NULL, err))
		return -1;
	struct pollfd none = {.fd = -1};
	return job_poll(job, &none, 1, 0, err) < 0 ? -1 : 0;
}
static const struct job_kind outer = {.name = "outer", .run = outer_run, .max_attempts = 1};
static const struct job_kind *const outer_kinds[] = {&outer, NULL};

static const struct {
	const char *args;
	enum err_code code;
	int inner_code, inner_after_signal;
} cases[] = {
        {"{\"inner\":{}}", ERR_NONE, 0, 0},
        {"{\"inner\":{},\"before\":true}", ERR_CANCELLED, 0, 0},
        {"{\"inner\":{\"raise\":15}}", ERR_CANCELLED, 0, -1},
        {"{\"inner\":{}}", ERR_NONE, 0, 0},
};

static void signals_reach_the_right_job(void **state)
{
	struct test_state *t = *state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct err err = {0};
		cleanup_json cJSON *args = cJSON_Parse(cases[i].args);
		struct job_request req = {.kind = "outer", .owner = "t", .session = "demo", .args = args};
		jobs_run(t->st, outer_kinds, &req, NULL, NULL, NULL, &err);
		if (err.code != cases[i].code)
			fail_msg("%s: %s", cases[i].args, err.msg);
		assert_int_equal(inner_code, cases[i].inner_code);
		assert_int_equal(inner_after_signal, cases[i].inner_after_signal);
	}
}

/* The end of a connection ends a job, unless it was begun with nohup. */
static void hangup_is_a_wish(void **state)
{
	struct test_state *t = *state;
	static const struct {
		void (*before)(int sig);
		enum err_code code;
	} hangups[] = {{SIG_IGN, ERR_NONE}, {SIG_DFL, ERR_CANCELLED}};
	for (size_t i = 0; i < ARRAY_LEN(hangups); i++) {
		struct err err = {0};
		cleanup_json cJSON *args = cJSON_Parse("{\"inner\":{\"raise\":1}}");
		struct job_request req = {.kind = "outer", .owner = "t", .session = "demo", .args = args};
		signal(SIGHUP, hangups[i].before);
		jobs_run(t->st, outer_kinds, &req, NULL, NULL, NULL, &err);
		assert_int_equal(err.code, hangups[i].code);
		assert_int_equal(inner_after_signal, hangups[i].code ? -1 : 0);
		assert_ptr_equal(signal(SIGHUP, SIG_DFL), hangups[i].before);
	}
}

static int setup(void **state)
{
	static struct test_state t;
	test_state_open(&t);
	*state = &t;
	return 0;
}

static int teardown(void **state)
{
	test_state_close(*state);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test_setup_teardown(signals_reach_the_right_job, setup, teardown),
	        cmocka_unit_test_setup_teardown(hangup_is_a_wish, setup, teardown)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
