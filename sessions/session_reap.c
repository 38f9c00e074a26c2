#include "compose/docker.h"
#include "core/clock.h"
#include "core/file.h"
#include "core/log.h"
#include "core/mem.h"
#include "sessions/adopt.h"
#include "sessions/clock_watch.h"
#include "sessions/counters.h"
#include "sessions/operation.h"
#include "sessions/pool.h"
#include "sessions/reap.h"
#include "sessions/receipt.h"
#include "sessions/session.h"
#include <string.h>

#define PATIENCE_MS 5000 /* with an engine that hangs */
#define ACTIONS_MAX 1000
#define RECEIPTS_KEEP_MS (90 * 86400000LL)

/* What a reap has done so far, or would do. */
struct tally {
	cJSON *removed, *actions;
	int64_t foreign;
	int orphans, adopted, failed, left_off;
};

static struct tally tally_new(void)
{
	return (struct tally){.removed = json_array(), .actions = json_array()};
}

/* Note ${f} among the actions; ${done} is NULL for what was only planned. */
static cJSON *note(struct tally *t, const struct reap_finding *f, const bool *done)
{
	if (cJSON_GetArraySize(t->actions) >= ACTIONS_MAX) {
		t->left_off++;
		return NULL;
	}
	cJSON *one = reap_show(f);
	if (done)
		json_add_bool(one, "done", *done);
	cJSON_AddItemToArray(t->actions, one);
	return one;
}

static void note_removed(struct tally *t, const char *name, const char *reason, cJSON *receipt)
{
	cJSON *one = json_object();
	json_add_text(one, "name", name);
	json_add_text(one, "reason", reason);
	if (receipt)
		json_add(one, "receipt", receipt);
	cJSON_AddItemToArray(t->removed, one);
}

static enum session_event event_for(const struct reap_finding *f)
{
	return !strcmp(f->reason, REASON_CRASHED)                                      ? EVENT_CRASH
	       : !strcmp(f->reason, REASON_EXPIRED) || !strcmp(f->reason, REASON_IDLE) ? EVENT_EXPIRE
	                                                                               : EVENT_STOP;
}

static int take_down(struct job *job, const struct reap_finding *f, struct session_row *row, cJSON **receipt,
                     struct err *err)
{
	struct state *st = job_state(job);
	if (row->state == SESSION_STOPPING)
		return operation_finish(st, row, job_id(job), receipt, err);
	if (operation_resumed(row) && row->state == SESSION_STARTING)
		return operation_down(st, row, EVENT_KEEP, REASON_KEPT, NULL, job_id(job), receipt, err);
	return operation_down(st, row, event_for(f), f->reason, NULL, job_id(job), receipt, err);
}

/* Each deals with one finding and returns 1 when something was done, 0 when there was nothing to do any more, or -1. */

static int reap_session(struct job *job, const struct reap_finding *f, struct tally *t, struct err *err)
{
	cleanup_row struct session_row row = {0};
	if (store_by_name(job_state(job), f->what, &row, err))
		return err->code == ERR_NOT_FOUND ? (err_clear(err), 0) : -1;
	/* another one of that name by now, or something happened to it since: the next look decides anew */
	if (strcmp(row.uuid, f->uuid) || row.generation != f->generation)
		return 0;
	if (f->kind == REAP_FAILED)
		return row.state != SESSION_FAILED                                         ? 0
		       : store_apply(job_state(job), &row, EVENT_GONE, NULL, NULL, 0, err) ? -1
		                                                                           : 1;
	cJSON *receipt = NULL;
	if (take_down(job, f, &row, &receipt, err)) {
		cJSON_Delete(receipt);
		return -1;
	}
	job_progress(job, "reap", 50, "session %s: %s", f->what, f->reason);
	if (row.state != SESSION_STOPPED) /* the start that was cut off had resumed it */
		note_removed(t, f->what, row.reason ? row.reason : f->reason,
		             receipt ? receipt : cJSON_CreateNull());
	return 1;
}

static int reap_adopt(struct job *job, const struct reap_finding *f, struct tally *t, struct str *said,
                      struct err *err)
{
	struct state *st = job_state(job);
	int rc = f->engine ? adopt_labels(st, f->engine, f->uuid, said, err)
	                   : adopt_file(st, f->directory, f->what, said, err);
	if (rc <= 0)
		return rc;
	t->adopted++;
	job_progress(job, "reap", 50, "session %s is adopted: %s%s", f->what, f->reason, str_text(said));
	return 1;
}

static int reap_directory(struct state *st, const struct reap_finding *f, struct err *err)
{
	cleanup_free char *path = state_path(st, "sessions/%s", f->what);
	int has = store_has_directory(st, f->what, err);
	return has ? (has < 0 ? -1 : 0) : tree_remove(path, err) ? -1 : 1;
}

static int reap_objects(struct state *st, const struct reap_finding *f, struct err *err)
{
	cleanup_json cJSON *before = json_object(), *left = json_object();
	struct session_row ghost = {0};
	memcpy(ghost.uuid, f->what, ID_UUID_LEN);
	int had = f->engine->left(st, &ghost, before, err);
	/* also when it has none: an empty control group may be left */
	if (had < 0 || f->engine->stop(st, &ghost, false, err))
		return -1;
	int n = f->engine->left(st, &ghost, left, err);
	if (n <= 0)
		return n < 0 ? -1 : had > 0;
	cleanup_free char *kinds = json_print(left);
	return err_set(err, ERR_BUSY, "%d objects of orphaned session %s are left after their removal: %s", n,
	               f->what, kinds);
}

static int reap_leases(struct state *st, const struct reap_finding *f, struct err *err)
{
	if (db_run(st->db, err,
	           "DELETE FROM leases WHERE session = ?1 AND ?1 NOT IN (SELECT uuid FROM sessions)", "t",
	           f->what))
		return -1;
	return db_changes(st->db) > 0;
}

static int reap_orphan(struct job *job, const struct reap_finding *f, struct tally *t, struct err *err)
{
	struct state *st = job_state(job);
	int has = f->kind == REAP_DIRECTORY ? 0 : store_has(st, f->what, err);
	if (has)
		return has < 0 ? -1 : 0;
	int rc = f->kind == REAP_DIRECTORY ? reap_directory(st, f, err)
	         : f->kind == REAP_OBJECTS ? reap_objects(st, f, err)
	                                   : reap_leases(st, f, err);
	if (rc <= 0)
		return rc;
	t->orphans++;
	job_progress(job, "reap", 50, "orphaned %s: %s",
	             f->kind == REAP_OBJECTS     ? "objects of session"
	             : f->kind == REAP_DIRECTORY ? "directory"
	                                         : "leases of session",
	             f->what);
	return 1;
}

static int reap_guarded(struct job *job, const struct reap_finding *f, struct tally *t, struct str *said,
                        struct err *err)
{
	switch (f->kind) {
	case REAP_SESSION:
	case REAP_FAILED:
		return reap_session(job, f, t, err);
	case REAP_ADOPT:
		return reap_adopt(job, f, t, said, err);
	default:
		return reap_orphan(job, f, t, err);
	}
}

/* One finding under its guard; what another operation works on is left to it. */
static int reap_one(struct job *job, const struct reap_finding *f, struct tally *t, struct err *err)
{
	cleanup_str struct str said = STR_INIT_MAX(1000);
	int guard = GUARD_NONE;
	int rc = guard_take(job_state(job), f->what, &guard, err);
	if (rc == 0)
		rc = reap_guarded(job, f, t, &said, err);
	else if (rc == 1)
		rc = 0;
	guard_release(job_state(job), &guard);
	bool done = rc == 1;
	cJSON *action = rc ? note(t, f, &done) : NULL;
	if (action && said.len)
		json_add_text(action, "also", str_text(&said) + strspn(str_text(&said), "; "));
	if (action && rc < 0)
		json_add_text(action, "error", err->msg);
	return rc < 0 ? -1 : 0;
}

static void add_held(struct job *job, cJSON *result)
{
	int64_t until;
	char iso[32];
	cleanup_free char *why = clock_watch_why(job_state(job), clock_now_ms(), &until);
	if (!why)
		return;
	cJSON *held = json_object();
	json_add_int(held, "until", until);
	json_add_text(held, "why", why);
	json_add(result, "held", held);
	job_log(job, "%s: no session is removed for its age before %s", why,
	        clock_iso(until, iso, sizeof(iso)));
}

/* Whether the row of ${uuid}, if there is one, is nobody's: of a start that failed, or of a session that is only warm yet. */
static int is_nobodys(struct state *st, const char *uuid, int64_t *is, struct err *err)
{
	return db_get_int(
	        st->db, is, err,
	        "SELECT count(*) FROM sessions WHERE (state = 'failed' OR pool IS NOT NULL) AND uuid = ?",
	        "t", uuid);
}

/* ${kept}: how many more are kept than there are rows of. */
static int set_result(struct job *job, struct tally *t, int64_t kept, struct err *err)
{
	bool dry = json_bool(job_args(job), "dry_run", false);
	cJSON *result = json_object();
	int n = cJSON_GetArraySize(t->removed);
	int64_t rows = 0;
	int rc = db_get_int(job_state(job)->db, &rows, err,
	                    "SELECT count(*) FROM sessions WHERE state <> 'failed' AND pool IS NULL", "");
	json_add(result, "removed", t->removed);
	json_add_int(result, "orphans", t->orphans);
	json_add_int(result, "adopted", t->adopted);
	json_add_int(result, "foreign", t->foreign);
	json_add_int(result, "kept", rows + kept);
	json_add_bool(result, "dry_run", dry);
	json_add(result, "actions", t->actions);
	if (t->left_off)
		json_add_int(result, "actions_left_off", t->left_off);
	add_held(job, result);
	job_result(job, result);
	job_progress(job, "done", 100, "%d sessions and %d orphans %s", n, t->orphans,
	             dry ? "would be removed" : "removed");
	return rc;
}

static int look(struct job *job, struct reap_plan *plan, struct err *err)
{
	docker_patience(PATIENCE_MS);
	int rc = reap_look(job_state(job), json_bool(job_args(job), "expired", true), plan, err);
	docker_patience(0);
	return rc;
}

/* One round over ${plan}. What is foreign is noted in the first. */
static void reap_round(struct job *job, const struct reap_plan *plan, bool again, struct tally *t,
                       struct err *first)
{
	for (size_t i = 0; i < plan->n; i++) {
		struct err one = {0};
		if (plan->list[i].kind == REAP_FOREIGN) {
			if (!again)
				note(t, &plan->list[i], NULL);
			continue;
		}
		if (reap_one(job, &plan->list[i], t, &one) == 0)
			continue;
		job_log(job, "%s: %s", plan->list[i].what, one.msg);
		if (!t->failed++)
			*first = one;
	}
}

/* For whoever watches. */
static int count_up(struct state *st, const struct tally *t, int64_t took_ms, struct err *err)
{
	return counter_add(st, COUNTER_ADOPTED, t->adopted, err) ||
	                       counter_add(st, COUNTER_ORPHANS, t->orphans, err) ||
	                       counter_add(st, COUNTER_REAPS, 1, err) ||
	                       counter_add(st, COUNTER_REAP_MS, took_ms, err) ||
	                       counter_set(st, COUNTER_LAST_REAP_MS, took_ms, err) ||
	                       counter_set(st, COUNTER_LAST_FOREIGN, t->foreign, err)
	               ? -1
	               : 0;
}

static int reap_all(struct job *job, struct reap_plan *plan, int64_t began, struct err *err)
{
	struct tally t = tally_new();
	struct err first = {0};
	t.foreign = plan->foreign;
	job_shield(job);
	reap_round(job, plan, false, &t, &first);
	/* those that were adopted are looked at as what they are now: expired, crashed, or sound */
	if (t.adopted) {
		reap_free(plan);
		if (look(job, plan, err) == 0)
			reap_round(job, plan, true, &t, &first);
		else if (!t.failed++)
			first = *err;
	}
	/* all are tried; one that failed makes the job fail, so that it is seen */
	if (count_up(job_state(job), &t, clock_mono_ms() - began, err) || set_result(job, &t, 0, err) ||
	    receipt_prune(job_state(job), clock_now_ms() - RECEIPTS_KEEP_MS, err))
		return -1;
	if (t.failed)
		*err = first;
	return t.failed ? -1 : 0;
}

/* What would be done. */
static int plan_all(struct job *job, const struct reap_plan *plan, struct err *err)
{
	struct tally t = tally_new();
	int64_t kept = 0, nobodys = 0;
	int rc = 0;
	t.foreign = plan->foreign;
	for (size_t i = 0; i < plan->n; i++) {
		const struct reap_finding *f = &plan->list[i];
		note(&t, f, NULL);
		t.orphans += f->kind == REAP_OBJECTS || f->kind == REAP_DIRECTORY || f->kind == REAP_LEASES;
		t.adopted += f->kind == REAP_ADOPT;
		kept += f->kind == REAP_ADOPT && store_has(job_state(job), f->uuid, err) == 0;
		if (f->kind != REAP_SESSION)
			continue;
		note_removed(&t, f->what, f->reason, NULL);
		rc |= is_nobodys(job_state(job), f->uuid, &nobodys, err);
		kept -= !nobodys;
	}
	return set_result(job, &t, kept, err) || rc ? -1 : 0;
}

static int reap_run(struct job *job, struct err *err)
{
	struct reap_plan plan;
	int64_t began = clock_mono_ms();
	if (!json_bool(job_args(job), "dry_run", false) && pool_trim(job_state(job), err))
		return -1;
	if (look(job, &plan, err))
		return -1;
	int rc = json_bool(job_args(job), "dry_run", false) ? plan_all(job, &plan, err)
	                                                    : reap_all(job, &plan, began, err);
	reap_free(&plan);
	return rc;
}

const struct job_kind session_reap_kind = {.name = "session.reap", .run = reap_run, .max_attempts = 2};
