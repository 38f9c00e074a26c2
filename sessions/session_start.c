#include "core/clock.h"
#include "core/mem.h"
#include "sessions/admission.h"
#include "sessions/adopt.h"
#include "sessions/lease.h"
#include "sessions/lease_file.h"
#include "sessions/name.h"
#include "sessions/operation.h"
#include "sessions/pool.h"
#include "sessions/session.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NAME_TRIES 100
#define OWNER_CLI "cli:"

/* Whether ${job} makes one for the pool, which no person can ask for. */
static bool is_warm(const struct job *job)
{
	return json_bool(job_args(job), "pool", false) && !strcmp(job_owner(job), POOL_OWNER);
}

static void fill_row(struct job *job, const char *name, const struct engine *engine, struct session_row *row)
{
	struct state *st = job_state(job);
	id_uuid(row->uuid);
	row->state = SESSION_CREATING;
	row->name = mem_strdup(name);
	row->owner = mem_strdup(job_owner(job));
	row->engine = mem_strdup(engine->name);
	row->dir = state_path(st, "sessions/%s", name);
	row->spec = json_object();
	row->job = job_id(job);
	row->created_at = row->used_at = clock_now_ms();
	row->idle_ms = is_warm(job) ? 0 : config_int(st->cfg, "SESSION_TIMEOUT") * 1000;
	row->hard_expires_at = row->created_at + config_int(st->cfg, "SESSION_MAX_AGE_HOURS") * 3600000;
	row->expires_at = row->hard_expires_at;
	if (row->idle_ms && row->created_at + row->idle_ms < row->expires_at)
		row->expires_at = row->created_at + row->idle_ms;
}

/* The chat that ${job} was asked for in, as a row keeps it; NULL when it does not say. */
static char *chat_of(const struct job *job)
{
	int64_t chat = json_int(job_args(job), "chat.chat", 0);
	return chat ? mem_printf("{\"chat\":%lld,\"topic\":%lld}", (long long)chat,
	                         (long long)json_int(job_args(job), "chat.topic", 0))
	            : NULL;
}

static int forget(struct state *st, struct session_row *failed, struct err *err)
{
	return failed->name ? store_apply(st, failed, EVENT_GONE, NULL, NULL, 0, err) : 0;
}

static int insert(struct job *job, struct session_row *row, struct session_row *failed,
                  const struct lease_wants *wants, const struct admission *room, struct err *err)
{
	struct state *st = job_state(job);
	cleanup_free char *chat = chat_of(job);
	return forget(st, failed, err) || lease_possible(st, err) || admission_quota(st, row->owner, err) ||
	                       admission_memory(st, row, room, err) || store_insert(st, row, err) ||
	                       admission_promise(st, row, room, err) || store_chat(st, row, chat, err) ||
	                       lease_take(st, row->uuid, wants, err)
	               ? -1
	               : 0;
}

/* Take a warm session of what ${want} was planned to be. Returns 1 with ${row}, 0 when there is none, or -1. */
static int claim(struct job *job, struct session_row *want, struct session_row *failed,
                 struct session_row *row, struct err *err)
{
	struct state *st = job_state(job);
	char recipe[SHA256_HEX + 1];
	cleanup_free char *chat = chat_of(job);
	int guard = GUARD_NONE;
	pool_recipe(st->cfg, want, recipe);
	int rc = pool_find(st, recipe, &guard, row, err);
	if (rc != 1)
		return rc;
	if (db_begin(st->db, err) || forget(st, failed, err) || admission_quota(st, want->owner, err) ||
	    pool_take(st, row, want, err) || store_chat(st, row, chat, err) || db_commit(st->db, err)) {
		db_rollback(st->db);
		rc = err->code == ERR_STATE ? 0 : -1; /* it was retired just now: another is made */
	}
	if (rc == 1)
		lease_file_follow(st, row->uuid);
	guard_release(st, &guard);
	return rc;
}

/* Row, room and leases in one transaction; the failed session of that name, if any, is forgotten in it. */
static int make_row(struct job *job, struct session_row *row, struct session_row *failed,
                    const struct lease_wants *wants, struct err *err)
{
	struct state *st = job_state(job);
	cleanup_admission struct admission room = {0};
	if (admission_ask(st, row, &room, err) || db_begin(st->db, err))
		return -1;
	if (insert(job, row, failed, wants, &room, err) || db_commit(st->db, err)) {
		db_rollback(st->db);
		return -1;
	}
	state_ring(st);
	return 0;
}

/* The same; where there is no room, warm sessions give way to what somebody waits for. */
static int make_room_and_row(struct job *job, struct session_row *row, struct session_row *failed,
                             const struct lease_wants *wants, struct err *err)
{
	int rc;
	while ((rc = make_row(job, row, failed, wants, err)) && err->code == ERR_QUOTA && !is_warm(job)) {
		struct err why = {0};
		if (pool_yield(job, &why) != 1)
			break;
		err_clear(err);
	}
	return rc;
}

/* ${row} is planned: take a warm session for it, or make it. A warm one of its own is told what it is made of. */
static int settle(struct job *job, struct session_row *row, struct session_row *failed,
                  const struct lease_wants *wants, struct err *err)
{
	struct state *st = job_state(job);
	struct session_row warm = {0};
	if (is_warm(job)) {
		row->pool = mem_alloc(SHA256_HEX + 1);
		pool_recipe(st->cfg, row, row->pool);
	}
	int rc = pool_fits(job_args(job)) ? claim(job, row, failed, &warm, err) : 0;
	if (rc <= 0) {
		store_row_free(&warm);
		return rc < 0 ? -1 : make_room_and_row(job, row, failed, wants, err);
	}
	store_row_free(row);
	*row = warm;
	return 0;
}

static int create(struct job *job, const char *name, struct session_row *failed, struct session_row *row,
                  struct err *err)
{
	struct state *st = job_state(job);
	const struct engine *engine = engine_chosen(st->cfg, err);
	struct lease_wants wants = {0};
	if (!engine)
		return -1;
	fill_row(job, name, engine, row);
	/* what a plan takes long for is not done for a start that would be refused anyway */
	int rc = lease_possible(st, err) || admission_quota(st, row->owner, err) ||
	                         admission_disk(st, "the state directory", st->dir, err) ||
	                         engine->plan(job, row, &wants, err) || settle(job, row, failed, &wants, err)
	                 ? -1
	                 : 0;
	lease_wants_free(&wants);
	return rc;
}

/* -- opening the row -- */

static int exists(const struct session_row *row, struct err *err)
{
	char age[32];
	return err_set(err, ERR_EXISTS,
	               "session %s exists: %s, owned by %s, made %s ago; choose another name, restart it or "
	               "stop it first",
	               row->name, lifecycle_state_name(row->state), row->owner,
	               clock_rough(clock_now_ms() - row->created_at, age, sizeof(age)));
}

/* Take the guard of ${name} and its row: a new one, or a stopped one to resume. ERR_EXISTS when it is taken. */
static int open_named(struct job *job, const char *name, int *guard, struct session_row *row, struct err *err)
{
	struct state *st = job_state(job);
	cleanup_row struct session_row found = {0};
	int busy = guard_take(st, name, guard, err);
	if (busy < 0 || (!busy && adopt_named(st, name, err) < 0) ||
	    (store_by_name(st, name, &found, err) && err->code != ERR_NOT_FOUND))
		return -1;
	err_clear(err);
	bool alive = found.name && found.state != SESSION_FAILED;
	if (busy || (alive && found.state != SESSION_STOPPED))
		return found.name ? exists(&found, err)
		                  : err_set(err, ERR_EXISTS,
		                            "session %s is just being started or removed by another", name);
	if (!alive)
		return create(job, name, &found, row, err);
	if (admission_resume(st, &found, err))
		return -1;
	*row = found;
	found = (struct session_row){0};
	return 0;
}

static int open_generated(struct job *job, int *claim, int *guard, struct session_row *row, struct err *err)
{
	int64_t now = clock_now_ms();
	for (int i = 0; i < NAME_TRIES; i++) {
		cleanup_free char *name = NULL;
		cleanup_close int mine = -1;
		if (name_generate(job_state(job), job_owner(job), now, i, &name, err))
			return -1;
		if (!name_claim(job_state(job), name, &mine))
			continue;
		if (open_named(job, name, guard, row, err) == 0) {
			*claim = TAKE_FD(mine);
			return 0;
		}
		if (err->code != ERR_EXISTS)
			return -1;
		store_row_free(row);
		guard_release(job_state(job), guard);
		err_clear(err);
	}
	return err_set(err, ERR_EXISTS, "no free name could be made: give one");
}

/* -- taking up what an attempt that was killed left -- */

static int undo_row(struct job *job, struct session_row *row, const char *reason, struct err *err)
{
	struct state *st = job_state(job);
	if (row->state == SESSION_STOPPED || row->state == SESSION_FAILED)
		return 0;
	if (row->state == SESSION_STOPPING)
		return operation_finish(st, row, job_id(job), NULL, err);
	bool keep = operation_resumed(row);
	return operation_down(st, row, keep ? EVENT_KEEP : EVENT_STOP, keep ? REASON_KEPT : reason, NULL,
	                      job_id(job), NULL, err);
}

/* Returns 1 when the session runs already: the earlier attempt was killed after its end. */
static int take_up(struct job *job, char **name, struct err *err)
{
	int guard = GUARD_NONE;
	cleanup_row struct session_row row = {0};
	int rc = operation_own(job, &guard, &row, err);
	if (rc > 0) {
		*name = mem_strdup(row.name);
		if (row.state == SESSION_RUNNING) {
			rc = operation_result(job, &row, row.started_at - row.created_at, err) ? -1 : 1;
		} else {
			job_progress(job, "undo", 1, "session %s: removing what an interrupted start left",
			             row.name);
			rc = undo_row(job, &row, REASON_INTERRUPTED, err);
		}
	}
	guard_release(job_state(job), &guard);
	return rc;
}

/* -- the kind -- */

static bool are_texts(const cJSON *list, const char *begin)
{
	const cJSON *one;
	bool good = cJSON_GetArraySize(list) > 0;
	cJSON_ArrayForEach(one, list) good &=
	        cJSON_IsString(one) && !strncmp(one->valuestring, begin, strlen(begin));
	return good;
}

/* Files are named by who sits at this machine, and what of them may reach out of a session: a chat could point at any. */
static int check_files(struct job *job, struct err *err)
{
	static const char *const ours[] = {"compose", "env_file", "profiles", "allow"};
	const cJSON *args = job_args(job);
	const char *env_file = json_text(args, "env_file");
	bool any = false;
	for (size_t i = 0; i < ARRAY_LEN(ours); i++)
		any |= json_at(args, ours[i]) != NULL;
	if (!any)
		return 0;
	if (strncmp(job_owner(job), OWNER_CLI, strlen(OWNER_CLI)) != 0)
		return err_set(
		        err, ERR_DENIED,
		        "a compose file, its profiles and what it may reach are named in a terminal of this "
		        "machine only: codefoundry session start --compose FILE");
	bool files = (!json_at(args, "compose") && !json_at(args, "env_file")) ||
	             (are_texts(json_at(args, "compose"), "/") &&
	              (!json_at(args, "env_file") || (env_file && *env_file == '/')));
	if (!files)
		return err_set(
		        err, ERR_INVALID,
		        "compose is a list of absolute paths, and env_file, which goes with it, is one");
	if ((json_at(args, "profiles") && !are_texts(json_at(args, "profiles"), "")) ||
	    (json_at(args, "allow") && !are_texts(json_at(args, "allow"), "")))
		return err_set(err, ERR_INVALID, "profiles and allow are lists of names");
	return 0;
}

/* A warm one was taken: it is healthy already. */
static int taken(struct job *job, const struct session_row *row, int64_t ready_ms, struct err *err)
{
	char took[32];
	state_ring(job_state(job));
	job_progress(job, "done", 100, "session %s is healthy after %s: it was warm", row->name,
	             clock_duration(ready_ms, took, sizeof(took)));
	return operation_result(job, row, ready_ms, err);
}

static int start_run(struct job *job, struct err *err)
{
	const char *wanted = json_text(job_args(job), "name");
	if ((wanted && session_name_check(wanted, err)) || check_files(job, err))
		return -1;
	int64_t began = clock_mono_ms();
	cleanup_free char *name = wanted         ? mem_strdup(wanted)
	                          : is_warm(job) ? pool_name()
	                                         : NULL,
	                  *earlier = NULL;
	int rc = take_up(job, &earlier, err);
	if (rc)
		return rc < 0 ? -1 : 0;
	if (earlier && !wanted) {
		free(name);
		name = TAKE(earlier);
	}
	int guard = GUARD_NONE;
	cleanup_close int claim = -1;
	cleanup_row struct session_row row = {0};
	rc = name ? open_named(job, name, &guard, &row, err) : open_generated(job, &claim, &guard, &row, err);
	if (rc == 0)
		rc = row.state == SESSION_RUNNING ? taken(job, &row, clock_mono_ms() - began, err)
		                                  : operation_up(job, &row, err);
	lease_unclaim();
	guard_release(job_state(job), &guard);
	return rc;
}

static int start_undo(struct job *job, struct err *err)
{
	int guard = GUARD_NONE;
	cleanup_row struct session_row row = {0};
	int rc = operation_own(job, &guard, &row, err);
	if (rc > 0)
		rc = undo_row(job, &row, REASON_CANCELLED, err);
	guard_release(job_state(job), &guard);
	return rc;
}

const struct job_kind session_start_kind = {
        .name = "session.start", .run = start_run, .undo = start_undo, .max_attempts = 3};
