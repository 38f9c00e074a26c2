#include "testsuite/test_run.h"
#include "compose/stack.h"
#include "core/clock.h"
#include "core/file.h"
#include "core/log.h"
#include "core/mem.h"
#include "sessions/name.h"
#include "sessions/session.h"
#include "testsuite/history.h"
#include "testsuite/play.h"
#include "testsuite/preflight.h"
#include "testsuite/selection.h"
#include "testsuite/suite.h"
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define NAME_TRIES 5

const struct setting test_settings[] = {
        {.key = "TEST_TIMEOUT_SECONDS",
         .type = SETTING_INT,
         .def = "60",
         .min = 1,
         .max = 86400,
         .group = "Tests",
         .help = "How long one scenario may take"},
        {.key = "TEST_STEP_SECONDS",
         .type = SETTING_INT,
         .def = "10",
         .min = 1,
         .max = 3600,
         .group = "Tests",
         .help = "How long one step waits for what it expects, unless it says otherwise"},
        {.key = "TEST_RETRY_COUNT",
         .type = SETTING_INT,
         .def = "0",
         .min = 0,
         .max = 10,
         .group = "Tests",
         .help = "Further attempts of a failed scenario; passed on a retry is shown as flaky"},
        {.key = "TEST_PARALLEL",
         .type = SETTING_CHOICE,
         .def = "true",
         .allowed = "true|false|1|2|3|4|5|6|7|8|9|10|11|12|13|14|15|16",
         .group = "Tests",
         .help = "How many scenarios run at once; true is 4, false is 1"},
        {.key = NULL},
};

struct test_run {
	struct job *job;
	struct state *st;
	struct selection selection;
	char *session;
	bool ephemeral; /* made by us: to be removed */
	struct target *target;
	int64_t id, started;
	cJSON *result;
	char *dir; /* of the plays' files */
};

/* -- the session -- */

static const struct job_kind *const session_kinds[] = {&session_start_kind, &session_stop_kind, NULL};

static void relay(void *arg, const struct job_event *event)
{
	struct test_run *t = arg;
	if (strcmp(event->type, "progress") == 0)
		job_progress(t->job, "session", event->percent / 10, "%s", event->text);
}

static int session_job(struct test_run *t, const char *kind, const char *name, struct err *err)
{
	cleanup_json cJSON *args = json_object();
	json_add_text(args, "name", name);
	struct job_request req = {.kind = kind, .args = args, .owner = job_owner(t->job), .session = name};
	return jobs_run(t->st, session_kinds, &req, relay, t, NULL, err);
}

/* The row of the run names the session before it is made, so that an attempt after a crash finds and removes it. */
static int make_session(struct test_run *t, struct err *err)
{
	int64_t now = clock_now_ms() / 1000;
	for (int i = 0; i < NAME_TRIES; i++) {
		cleanup_close int claim = -1;
		cleanup_free char *name = mem_printf("test-%lld", (long long)now + i);
		if (!name_claim(t->st, name, &claim))
			continue;
		if (db_run(t->st->db, err, "UPDATE test_runs SET session = ? WHERE id = ?", "ti", name,
		           t->id))
			return -1;
		t->session = mem_strdup(name);
		t->ephemeral = true;
		if (session_job(t, "session.start", name, err) == 0)
			return 0;
		t->ephemeral = false;
		free(TAKE(t->session));
		if (err->code != ERR_EXISTS)
			return err_wrap(err, "start a session for the tests");
		err_clear(err);
	}
	return err_set(err, ERR_EXISTS, "no free name for a session");
}

static int find_session(struct test_run *t, struct err *err)
{
	const char *given = json_text(job_args(t->job), "session");
	if (!selection_needs_target(&t->selection))
		return 0;
	if (given)
		t->session = mem_strdup(given);
	else if (make_session(t, err))
		return -1;
	session_touch(t->st, t->session);
	return target_of_session(&t->target, t->st, t->session, err) ||
	                       preflight_check(t->job, t->target, err)
	               ? -1
	               : 0;
}

static int remove_session(struct test_run *t, const char *name, struct err *err)
{
	struct err why = {0};
	if (session_job(t, "session.stop", name, &why) == 0 || why.code == ERR_NOT_FOUND)
		return 0;
	*err = why;
	return err_wrap(err, "remove the tests' session %s", name);
}

/* -- playing -- */

static void on_result(void *arg, const cJSON *r, size_t done, size_t total)
{
	struct test_run *t = arg;
	struct err err = {0};
	char took[32];
	const char *message = json_text(r, "message"), *status = json_text(r, "status");
	if (history_add(t->st, t->id, r, &err))
		log_warn("test run %lld: %s", (long long)t->id, err.msg);
	clock_duration(json_int(r, "duration_ms", 0), took, sizeof(took));
	job_progress(t->job, json_text(r, "name"), 10 + (int)(done * 90 / total), "%zu/%zu %s: %s (%s)", done,
	             total, json_text(r, "name"), status, took);
	if (message && strcmp(status, "passed") != 0)
		job_log(t->job, "%s: %s", json_text(r, "name"), message);
}

static int64_t option(const struct test_run *t, const char *arg, const char *setting, int64_t low,
                      int64_t high)
{
	int64_t v = json_int(job_args(t->job), arg, setting ? config_int(t->st->cfg, setting) : low);
	return v < low ? low : v > high ? high : v;
}

static int parallel(const struct test_run *t)
{
	const char *set = config_text(t->st->cfg, "TEST_PARALLEL");
	int n = !set || strcmp(set, "true") == 0 ? 4 : strcmp(set, "false") == 0 ? 1 : atoi(set);
	int64_t asked = json_int(job_args(t->job), "parallel", n);
	return asked > 64 ? 64 : asked < 1 ? 1 : (int)asked; /* the suite knows its own bound */
}

static int play_all(struct test_run *t, cJSON **results, struct err *err)
{
	struct suite_options o = {.target = t->target,
	                          .dir = t->dir,
	                          .parallel = parallel(t),
	                          .retry = (int)option(t, "retry", "TEST_RETRY_COUNT", 0, 10),
	                          .repeat = (int)option(t, "repeat", NULL, 1, 1000),
	                          .timeout_ms =
	                                  option(t, "timeout_s", "TEST_TIMEOUT_SECONDS", 1, 86400) * 1000,
	                          .step_ms = option(t, "step_s", "TEST_STEP_SECONDS", 1, 3600) * 1000};
	return suite_run(t->job, (const struct scenario *const *)t->selection.scenarios, t->selection.n, &o,
	                 on_result, t, results, err);
}

static cJSON *summary(const struct test_run *t, cJSON *results)
{
	static const char *const kinds[] = {"passed", "failed", "skipped", "flaky"};
	int64_t counts[ARRAY_LEN(kinds)] = {0}, total = cJSON_GetArraySize(results);
	const cJSON *r;
	cJSON_ArrayForEach(r, results) for (size_t i = 0; i < ARRAY_LEN(kinds); i++) counts[i] +=
	        strcmp(json_text(r, "status"), kinds[i]) == 0;
	counts[0] += counts[3]; /* what passed on a retry has passed */
	cJSON *s = json_object();
	json_add_int(s, "run_id", t->id);
	json_add_int(s, "total", total);
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
		json_add_int(s, kinds[i], counts[i]);
	json_add_int(s, "pass_rate", history_pass_rate(total, counts[2], counts[0]));
	json_add_int(s, "duration_ms", clock_mono_ms() - t->started);
	json_add_int(s, "at", clock_now_ms());
	if (t->session)
		json_add_text(s, "session", t->session);
	if (json_text(job_args(t->job), "label"))
		json_add_text(s, "label", json_text(job_args(t->job), "label"));
	json_add(s, "scenarios", results);
	return s;
}

static int work(struct test_run *t, struct err *err)
{
	cJSON *results = NULL;
	if (selection_make(&t->selection, job_args(t->job), job_owner(t->job), err) || find_session(t, err))
		return -1;
	if (mkdir(t->dir, 0700))
		return err_sys(err, errno, "make %s", t->dir);
	if (play_all(t, &results, err))
		return -1;
	t->result = summary(t, results);
	return history_end(t->st, t->id, t->result, err);
}

/* Short, because paths of sockets are; known, so that an attempt after a crash ends the stacks that were left in it. */
static char *dir_of(const struct job *job)
{
	return mem_printf("/tmp/cft-%.8s-%lld", job_state(job)->install, (long long)job_id(job));
}

static void sweep(const char *dir)
{
	struct err ignored = {0};
	struct stat s;
	/* in /tmp anybody may have made one of that name, with "stacks" in it for us to stop and remove */
	if (lstat(dir, &s) || !S_ISDIR(s.st_mode) || s.st_uid != geteuid())
		return;
	DIR *d = opendir(dir);
	struct dirent *e;
	while (d && (e = readdir(d))) {
		cleanup_free char *play = mem_printf("%s/%s", dir, e->d_name);
		if (e->d_name[0] != '.')
			play_sweep(play);
	}
	if (d)
		closedir(d);
	tree_remove(dir, &ignored);
}

static void forget(struct test_run *t)
{
	selection_free(&t->selection);
	sweep(t->dir);
	target_free(t->target);
	cJSON_Delete(t->result);
	free(t->session);
	free(t->dir);
}

/* What an earlier attempt of this job left: its session, unless the user named it, and its open row. */
static int undo_attempt(struct test_run *t, struct err *err)
{
	int64_t run;
	cleanup_free char *session = NULL, *dir = dir_of(t->job);
	sweep(dir);
	if (history_open_run(t->st, job_id(t->job), &run, &session, err))
		return -1;
	if (!run)
		return 0;
	bool ours = session && !json_text(job_args(t->job), "session");
	if (ours && remove_session(t, session, err))
		return -1;
	return history_end(t->st, run, NULL, err);
}

static int test_run(struct job *job, struct err *err)
{
	struct test_run *t = mem_alloc(sizeof(*t));
	cleanup_free void *owned = t;
	*t = (struct test_run){
	        .job = job, .st = job_state(job), .dir = dir_of(job), .started = clock_mono_ms()};
	struct err cleanup = {0}, ignored = {0};
	const char *session = json_text(job_args(job), "session");
	const char *label = json_text(job_args(job), "label");
	int rc = undo_attempt(t, err) ||
	                         history_begin(t->st, job_id(job), job_owner(job), session, label, &t->id,
	                                       err) ||
	                         work(t, err)
	                 ? -1
	                 : 0;
	if (t->ephemeral && remove_session(t, t->session, &cleanup)) {
		job_log(job, "%s", cleanup.msg);
		if (t->result)
			json_add_text(t->result, "residue", cleanup.msg);
	}
	if (rc)
		history_end(t->st, t->id, NULL, &ignored);
	else
		job_result(job, TAKE(t->result));
	forget(t);
	return rc;
}

static int test_undo(struct job *job, struct err *err)
{
	struct test_run t = {.job = job, .st = job_state(job)};
	return undo_attempt(&t, err);
}

const struct job_kind test_run_kind = {
        .name = "test.run",
        .run = test_run,
        .undo = test_undo,
        .max_attempts = 2,
        .timeout_ms = 3600000,
};
