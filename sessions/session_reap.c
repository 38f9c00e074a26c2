#include "compose/docker.h"
#include "core/clock.h"
#include "core/file.h"
#include "core/log.h"
#include "core/mem.h"
#include "sessions/clock_watch.h"
#include "sessions/operation.h"
#include "sessions/pool.h"
#include "sessions/reap.h"
#include "sessions/receipt.h"
#include "sessions/session.h"
#include <string.h>

#define LOOK_EVERY_MS 30000
#define PATIENCE_MS 5000 /* with an engine that hangs: the worker has other things to do meanwhile */
#define RECEIPTS_KEEP_MS (90 * 86400000LL)
#define OWNER "system:reaper"

static int look(struct state *st, bool expired, struct reap_finding **list, size_t *n, struct err *err)
{
	docker_patience(PATIENCE_MS);
	int rc = reap_look(st, expired, list, n, err);
	docker_patience(0);
	return rc;
}

/* What a reap has done so far. */
struct tally {
	cJSON *removed;
	int orphans, failed;
};

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

static int reap_session(struct job *job, const struct reap_finding *f, struct tally *t, struct err *err)
{
	cleanup_row struct session_row row = {0};
	if (store_by_name(job_state(job), f->what, &row, err))
		return err->code == ERR_NOT_FOUND ? 0 : -1;
	if (strcmp(row.uuid, f->uuid)) /* another one of that name by now */
		return 0;
	if (f->kind == REAP_FAILED)
		return row.state == SESSION_FAILED
		               ? store_apply(job_state(job), &row, EVENT_GONE, NULL, NULL, 0, err)
		               : 0;
	cJSON *receipt = NULL;
	int rc = take_down(job, f, &row, &receipt, err);
	if (rc || row.state == SESSION_STOPPED) /* the start that was cut off had resumed it */
		return rc;
	cJSON *one = json_object();
	json_add_text(one, "name", f->what);
	json_add_text(one, "reason", row.reason ? row.reason : f->reason);
	json_add(one, "receipt", receipt ? receipt : cJSON_CreateNull());
	cJSON_AddItemToArray(t->removed, one);
	job_progress(job, "reap", 50, "session %s: %s", f->what, f->reason);
	return rc;
}

static int reap_directory(struct state *st, const struct reap_finding *f, struct err *err)
{
	cleanup_free char *path = state_path(st, "sessions/%s", f->what);
	int has = store_has_directory(st, f->what, err);
	return has ? (has < 0 ? -1 : 0) : tree_remove(path, err);
}

static int reap_objects(struct state *st, const struct reap_finding *f, struct err *err)
{
	cleanup_json cJSON *left = json_object();
	struct session_row ghost = {0};
	memcpy(ghost.uuid, f->what, ID_UUID_LEN);
	if (f->engine->stop(st, &ghost, false, err))
		return -1;
	int n = f->engine->left(st, &ghost, left, err);
	if (n <= 0)
		return n;
	cleanup_free char *kinds = json_print(left);
	return err_set(err, ERR_BUSY, "%d objects of orphaned session %s are left after their removal: %s", n,
	               f->what, kinds);
}

static int reap_orphan(struct job *job, const struct reap_finding *f, struct tally *t, struct err *err)
{
	struct state *st = job_state(job);
	int has = f->kind == REAP_DIRECTORY ? 0 : store_has(st, f->what, err);
	if (has)
		return has < 0 ? -1 : 0;
	t->orphans++;
	job_progress(job, "reap", 50, "orphaned %s: %s",
	             f->kind == REAP_OBJECTS     ? "objects of session"
	             : f->kind == REAP_DIRECTORY ? "directory"
	                                         : "leases of session",
	             f->what);
	if (f->kind == REAP_DIRECTORY)
		return reap_directory(st, f, err);
	if (f->kind == REAP_LEASES)
		return db_run(
		        st->db, err,
		        "DELETE FROM leases WHERE session = ?1 AND ?1 NOT IN (SELECT uuid FROM sessions)",
		        "t", f->what);
	return reap_objects(st, f, err);
}

/* One finding under its guard; what another operation works on is left to it. */
static int reap_one(struct job *job, const struct reap_finding *f, struct tally *t, struct err *err)
{
	int guard = GUARD_NONE;
	int rc = guard_take(job_state(job), f->what, &guard, err);
	if (rc == 0)
		rc = f->kind == REAP_SESSION || f->kind == REAP_FAILED ? reap_session(job, f, t, err)
		                                                       : reap_orphan(job, f, t, err);
	else if (rc == 1)
		rc = 0;
	guard_release(job_state(job), &guard);
	return rc;
}

static cJSON *plan_of(const struct reap_finding *list, size_t n, int *orphans)
{
	cJSON *removed = json_array();
	for (size_t i = 0; i < n; i++) {
		bool session = list[i].kind == REAP_SESSION;
		*orphans += !session && list[i].kind != REAP_FAILED;
		if (!session)
			continue;
		cJSON *one = json_object();
		json_add_text(one, "name", list[i].what);
		json_add_text(one, "reason", list[i].reason);
		cJSON_AddItemToArray(removed, one);
	}
	return removed;
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

static int set_result(struct job *job, cJSON *removed, int orphans, struct err *err)
{
	int64_t alive = 0;
	bool dry = json_bool(job_args(job), "dry_run", false);
	cJSON *result = json_object();
	int n = cJSON_GetArraySize(removed);
	json_add(result, "removed", removed);
	json_add_int(result, "orphans", orphans);
	int rc = db_get_int(job_state(job)->db, &alive, err,
	                    "SELECT count(*) FROM sessions WHERE state <> 'failed' AND pool IS NULL", "");
	json_add_int(result, "kept", dry ? alive - n : alive);
	json_add_bool(result, "dry_run", dry);
	add_held(job, result);
	job_result(job, result);
	job_progress(job, "done", 100, "%d sessions and %d orphans %s", n, orphans,
	             dry ? "would be removed" : "removed");
	return rc;
}

static int reap_all(struct job *job, const struct reap_finding *list, size_t n, struct err *err)
{
	struct tally t = {.removed = json_array()};
	struct err first = {0};
	job_shield(job);
	for (size_t i = 0; i < n; i++) {
		struct err one = {0};
		if (reap_one(job, &list[i], &t, &one) == 0)
			continue;
		job_log(job, "%s: %s", list[i].what, one.msg);
		if (!t.failed++)
			first = one;
	}
	/* all are tried; one that failed makes the job fail, so that it is seen */
	if (set_result(job, t.removed, t.orphans, err) ||
	    receipt_prune(job_state(job), clock_now_ms() - RECEIPTS_KEEP_MS, err))
		return -1;
	if (t.failed)
		*err = first;
	return t.failed ? -1 : 0;
}

static int reap_run(struct job *job, struct err *err)
{
	struct reap_finding *list = NULL;
	size_t n = 0;
	int orphans = 0;
	if (!json_bool(job_args(job), "dry_run", false) && pool_trim(job_state(job), err))
		return -1;
	if (look(job_state(job), json_bool(job_args(job), "expired", true), &list, &n, err))
		return -1;
	int rc;
	if (json_bool(job_args(job), "dry_run", false)) {
		cJSON *removed = plan_of(list, n, &orphans);
		rc = set_result(job, removed, orphans, err);
	} else {
		rc = reap_all(job, list, n, err);
	}
	reap_free(list, n);
	return rc;
}

const struct job_kind session_reap_kind = {.name = "session.reap", .run = reap_run, .max_attempts = 2};

/* -- the worker's timer -- */

static bool reap_open(struct state *st)
{
	struct err ignored = {0};
	cleanup_json cJSON *last = jobs_list(st, OWNER, -1, 1, &ignored);
	const char *state = json_text(cJSON_GetArrayItem(last, 0), "state");
	return state &&
	       (!strcmp(state, job_state_name(JOB_QUEUED)) || !strcmp(state, job_state_name(JOB_RUNNING)));
}

static int reap_task_look(struct state *st, struct err *err)
{
	bool expired = config_bool(st->cfg, "SESSION_AUTO_CLEANUP");
	struct reap_finding *list = NULL;
	size_t n = 0;
	if (reap_open(st))
		return 0;
	if (look(st, expired, &list, &n, err))
		return -1;
	reap_free(list, n);
	if (!n)
		return 0;
	cleanup_json cJSON *args = json_object();
	json_add_bool(args, "expired", expired);
	struct job_request request = {.kind = session_reap_kind.name, .args = args, .owner = OWNER};
	int64_t id;
	return jobs_enqueue(st, &request, &id, NULL, err);
}

const struct worker_task session_reap_task = {
        .name = "session.reap", .every_ms = LOOK_EVERY_MS, .look = reap_task_look};
