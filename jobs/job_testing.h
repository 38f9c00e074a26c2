/* For the tests of the job module: kinds that end in every way, and the program itself as the process that runs them.
 * main() hands over to job_testing_child() when it was started as one. */
#ifndef JOBS_JOB_TESTING_H
#define JOBS_JOB_TESTING_H

#include "core/proc.h"
#include "core/str.h"
#include "jobs/job_private.h"
#include "jobs/test_state.h"
#include <signal.h>
#include <unistd.h>

/* -- kinds -- */

static inline void note(struct job *job, const char *name)
{
	cleanup_free char *path = state_path(job_state(job), "%s", name);
	FILE *f = fopen(path, "a");
	fprintf(f, "%d\n", job_attempt(job));
	fclose(f);
}

static inline int echo_run(struct job *job, struct err *err)
{
	(void)err;
	job_progress(job, "one", 60, "step %d", 1);
	job_progress(job, "two", 30, "back?");
	job_log(job, "said \x1b[31mred\x1b[0m \xff");
	job_result(job, cJSON_Duplicate(job_args(job), true));
	return 0;
}

static inline int wait_run(struct job *job, struct err *err)
{
	job_progress(job, "waiting", 10, "waiting");
	int rc = job_poll(job, NULL, 0, -1, err);
	job_shield(job);
	note(job, "undone");
	return rc;
}

static inline int undo(struct job *job, struct err *err)
{
	note(job, "undone");
	/* shielded: a cancel must not disturb it */
	return job_check(job, err) || job_poll(job, NULL, 0, 0, err) < 0;
}

/* Dies by SIGKILL in as many attempts as args.times says. */
static inline int crash_run(struct job *job, struct err *err)
{
	(void)err;
	note(job, "tried");
	if (job_attempt(job) <= json_int(job_args(job), "times", 0))
		raise(SIGKILL);
	job_result(job, json_object());
	return 0;
}

static inline int fail_run(struct job *job, struct err *err)
{
	assert_ok(
	        db_begin(job_state(job)->db, err)); /* left open: must not keep the end from being written */
	return err_set(err, ERR_QUOTA, "no room for %s", json_text(job_args(job), "what"));
}

static inline int deaf_run(struct job *job, struct err *err)
{
	(void)err;
	while (!job->cancelled)
		job_progress(job, "deaf", 1, "no check");
	return err_set(err, ERR_IO, "child got a signal");
}

static inline int flood_run(struct job *job, struct err *err)
{
	job->events = JOB_EVENTS_MAX - 10; /* as if so many had been written */
	for (int i = 0; i < 100; i++)
		job_log(job, "line %d", i);
	job_progress(job, "end", 99, "still told in the row");
	return job_check(job, err);
}

static inline int undo_fails(struct job *job, struct err *err)
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

static inline int64_t enqueue(struct state *st, const char *kind, const char *args)
{
	cleanup_json cJSON *json = args ? cJSON_Parse(args) : NULL;
	struct job_request req = {.kind = kind, .args = json, .owner = "tg:1"};
	int64_t id = 0;
	assert_ok(jobs_enqueue(st, &req, &id, NULL, err));
	return id;
}

/* Start this program as the process of job ${id}, as the worker does; or, with ${how} "run", as a terminal. */
static inline pid_t start(const char *how, const char *what)
{
	const char *argv[] = {proc_self(), "job", how, what, NULL};
	struct proc_spec spec = PROC_SPEC_INIT;
	spec.argv = argv;
	spec.out = PROC_NULL;
	spec.die_with_parent = true;
	pid_t pid = 0;
	assert_ok(proc_spawn(&spec, &pid, err));
	return pid;
}

static inline pid_t start_exec(int64_t id)
{
	cleanup_free char *text = mem_printf("%lld", (long long)id);
	return start("exec", text);
}

static inline int exec_job(int64_t id)
{
	return test_wait_end(start_exec(id));
}

static inline void assert_job(struct state *st, int64_t id, enum job_state state, enum err_code code,
                              const char *error)
{
	struct job_row row;
	assert_ok(jobs_get(st, id, &row, err));
	assert_string_equal(job_state_name(row.state), job_state_name(state));
	assert_string_equal(err_name(row.error_code), err_name(code));
	if (error)
		assert_string_equal(row.error, error);
	job_row_free(&row);
}

static inline int recover(struct state *st)
{
	struct err err = {0};
	int n = jobs_recover(st, kinds, &err);
	if (n < 0)
		fail_msg("%s", err.msg);
	return n;
}

#define assert_notes(st, name, want)                                                                         \
	do {                                                                                                 \
		cleanup_free char *text_ = test_file(st, name);                                              \
		assert_string_equal(text_, want);                                                            \
	} while (0)

static inline void add_event(void *arg, const struct job_event *e)
{
	str_addf(arg, "%s:%s:%d:%s\n", e->type, e->stage ? e->stage : "", e->percent, e->text);
}

static inline char *events(struct state *st, int64_t id)
{
	struct str s = STR_INIT;
	assert_ok(jobs_events(st, id, 0, 100000, add_event, &s, err));
	return str_take(&s);
}

/* -- this program as a job's process -- */

static inline int job_testing_child(const char *how, const char *what)
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

#endif
