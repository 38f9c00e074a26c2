#include "sessions/reap.h"
#include "core/clock.h"
#include "core/log.h"
#include "core/mem.h"
#include "sessions/clock_watch.h"
#include "sessions/expiry.h"
#include "sessions/operation.h"
#include "sessions/pool.h"
#include "sessions/receipt.h"
#include <dirent.h>
#include <stdlib.h>
#include <string.h>

#define REASON_ORPHAN "orphan"
#define ENGINES_MAX 8

struct findings {
	struct reap_finding *list;
	size_t n;
};

static void add(struct findings *f, enum reap_kind kind, const char *what, const char *uuid,
                const char *reason)
{
	f->list = mem_resize(f->list, f->n + 1, sizeof(*f->list));
	f->list[f->n++] = (struct reap_finding){.kind = kind,
	                                        .what = mem_strdup(what),
	                                        .uuid = uuid ? mem_strdup(uuid) : NULL,
	                                        .reason = reason};
}

void reap_free(struct reap_finding *list, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		free(list[i].what);
		free(list[i].uuid);
	}
	free(list);
}

/* In a state that only lasts while an operation holds the guard, and none does: it was killed. Its job may be run again
 * later; that finds what we left, which is nothing, and begins anew. */
static int look_abandoned(struct state *st, const struct session_row *row, int64_t now, struct findings *f,
                          struct err *err)
{
	int64_t next;
	if (guard_busy(st, row->name))
		return 0;
	if (receipt_next_try(st, row->uuid, &next, err))
		return -1;
	if (next <= now)
		add(f, REAP_SESSION, row->name, row->uuid, REASON_INTERRUPTED);
	return 0;
}

static int look_alive(struct state *st, struct session_row *row, int64_t now, int64_t held_until,
                      bool expired, struct findings *f, struct err *err)
{
	struct err why = {0};
	const struct engine *engine = engine_by_name(row->engine, &why);
	if (!engine) { /* of another build of this program: the others are looked at all the same */
		log_warn("session %s: %s", row->name, why.msg);
		return 0;
	}
	if (row->state == SESSION_CREATING || row->state == SESSION_STARTING ||
	    row->state == SESSION_STOPPING)
		return look_abandoned(st, row, now, f, err);
	if (row->state == SESSION_RUNNING && !engine->alive(st, row)) {
		add(f, REAP_SESSION, row->name, row->uuid, REASON_CRASHED);
		return 0;
	}
	if (row->pool && !*row->pool) {
		add(f, REAP_SESSION, row->name, row->uuid, REASON_RETIRED);
		return 0;
	}
	const char *reason = NULL;
	int due = expired ? expiry_due(st, row, now, held_until, &reason, err) : 0;
	if (due > 0)
		add(f, REAP_SESSION, row->name, row->uuid, reason);
	return due < 0 ? -1 : 0;
}

static int look_rows(struct state *st, bool expired, struct findings *f, struct err *err)
{
	struct session_row *rows = NULL;
	size_t n = 0;
	int64_t now = clock_now_ms(), keep = 3600000 * config_int(st->cfg, "SESSION_MAX_AGE_HOURS"), held = 0;
	if (clock_watch_look(st, &held, err) || store_rows(st, STORE_ALIVE, 0, &rows, &n, err))
		return -1;
	int rc = 0;
	for (size_t i = 0; i < n && rc == 0; i++)
		rc = look_alive(st, &rows[i], now, held, expired, f, err);
	store_rows_free(rows, n);
	if (rc || store_rows(st, STORE_OLD_FAILED, now - keep, &rows, &n, err))
		return -1;
	for (size_t i = 0; i < n; i++)
		add(f, REAP_FAILED, rows[i].name, rows[i].uuid, REASON_FAILED);
	store_rows_free(rows, n);
	return 0;
}

static int look_objects_of(struct state *st, const struct engine *engine, bool *silent, struct findings *f,
                           struct err *err)
{
	struct err why = {0};
	cleanup_json cJSON *found = engine->found(st, &why);
	const cJSON *one;
	if (!found && !*silent)
		log_warn("what engine %s left cannot be looked for: %s", engine->name, why.msg);
	*silent = !found;
	cJSON_ArrayForEach(one, found)
	{
		int has = store_has(st, one->valuestring, err);
		if (has < 0)
			return -1;
		if (!has) {
			add(f, REAP_OBJECTS, one->valuestring, NULL, REASON_ORPHAN);
			f->list[f->n - 1].engine = engine;
		}
	}
	return 0;
}

static int look_objects(struct state *st, struct findings *f, struct err *err)
{
	static bool silent[ENGINES_MAX]; /* a worker looks twice a minute: it says so once */
	for (size_t i = 0; engines[i] && i < ENGINES_MAX; i++)
		if (look_objects_of(st, engines[i], &silent[i], f, err))
			return -1;
	return 0;
}

static int look_directories(struct state *st, struct findings *f, struct err *err)
{
	cleanup_free char *root = state_path(st, "sessions");
	DIR *dir = opendir(root);
	struct dirent *e;
	int rc = 0;
	while (dir && rc == 0 && (e = readdir(dir))) {
		if (e->d_name[0] == '.')
			continue;
		int has = store_has_directory(st, e->d_name, err);
		rc = has < 0 ? -1 : 0;
		if (has == 0)
			add(f, REAP_DIRECTORY, e->d_name, NULL, REASON_ORPHAN);
	}
	if (dir)
		closedir(dir);
	return rc;
}

static int look_leases(struct state *st, struct findings *f, struct err *err)
{
	cleanup_query struct query q = QUERY_INIT;
	if (db_query(st->db, &q, err,
	             "SELECT DISTINCT session FROM leases WHERE session NOT IN (SELECT uuid FROM sessions)",
	             ""))
		return -1;
	int rc;
	while ((rc = query_next(&q, err)) > 0)
		add(f, REAP_LEASES, query_text(&q, 0), NULL, REASON_ORPHAN);
	return rc;
}

int reap_look(struct state *st, bool expired, struct reap_finding **list, size_t *n, struct err *err)
{
	struct findings f = {0};
	/* objects first: a directory or lease of theirs must outlive them */
	if (look_objects(st, &f, err) || look_rows(st, expired, &f, err) || look_directories(st, &f, err) ||
	    look_leases(st, &f, err)) {
		reap_free(f.list, f.n);
		return -1;
	}
	*list = f.list;
	*n = f.n;
	return 0;
}
