#include "sessions/reap.h"
#include "core/clock.h"
#include "core/log.h"
#include "core/mem.h"
#include "sessions/clock_watch.h"
#include "sessions/expiry.h"
#include "sessions/operation.h"
#include "sessions/pool.h"
#include "sessions/receipt.h"
#include "sessions/scan.h"
#include <stdlib.h>
#include <string.h>

#define REASON_ORPHAN "orphan"

static struct reap_finding *add(struct reap_plan *p, enum reap_kind kind, const char *what,
                                const char *reason)
{
	p->list = mem_resize(p->list, p->n + 1, sizeof(*p->list));
	struct reap_finding *f = &p->list[p->n++];
	*f = (struct reap_finding){.kind = kind, .what = mem_strdup(what), .reason = mem_strdup(reason)};
	return f;
}

static void add_row(struct reap_plan *p, enum reap_kind kind, const struct session_row *row,
                    const char *reason)
{
	struct reap_finding *f = add(p, kind, row->name, reason);
	f->uuid = mem_strdup(row->uuid);
	f->generation = row->generation;
}

void reap_free(struct reap_plan *p)
{
	for (size_t i = 0; i < p->n; i++) {
		free(p->list[i].what);
		free(p->list[i].uuid);
		free(p->list[i].reason);
		free(p->list[i].directory);
	}
	free(p->list);
	*p = (struct reap_plan){0};
}

bool reap_due(const struct reap_plan *p)
{
	for (size_t i = 0; i < p->n; i++)
		if (p->list[i].kind != REAP_FOREIGN)
			return true;
	return false;
}

cJSON *reap_show(const struct reap_finding *f)
{
	static const struct {
		const char *action, *what;
	} words[] = {[REAP_SESSION] = {"remove", "session"},
	             [REAP_ADOPT] = {"adopt", "session"},
	             [REAP_OBJECTS] = {"remove", "objects"},
	             [REAP_FAILED] = {"remove", "record"},
	             [REAP_DIRECTORY] = {"remove", "directory"},
	             [REAP_LEASES] = {"free", "leases"},
	             [REAP_FOREIGN] = {"leave", NULL}};
	cJSON *one = json_object();
	json_add_text(one, "action", words[f->kind].action);
	json_add_text(one, "what", f->kind == REAP_FOREIGN ? f->directory : words[f->kind].what);
	json_add_text(one, "name", f->what);
	if (f->uuid)
		json_add_text(one, "uuid", f->uuid);
	json_add_text(one, "why", f->reason);
	return one;
}

/* In a state that only lasts while an operation holds the guard, and none does: it was killed. Its job may be run again
 * later; that finds what we left, which is nothing, and begins anew. */
static int look_abandoned(struct state *st, const struct session_row *row, int64_t now, struct reap_plan *p,
                          struct err *err)
{
	int64_t next;
	if (guard_busy(st, row->name))
		return 0;
	if (receipt_next_try(st, row->uuid, &next, err))
		return -1;
	if (next <= now)
		add_row(p, REAP_SESSION, row, REASON_INTERRUPTED);
	return 0;
}

/* When it is, and whether sessions past their time are to go. */
struct moment {
	int64_t now, held_until;
	bool expired;
};

/* From the listing of all; what is not in it is asked for by itself, for it may have come after the listing. */
static bool is_alive(struct state *st, const struct engine *engine, const struct scan_session *s)
{
	return (s->found_by == engine && json_bool(s->found, "alive", false)) || engine->alive(st, &s->row);
}

/* Why ${s}, which has come to rest, must not stay; NULL when it may. */
static const char *look_settled(struct state *st, const struct scan *scan, const struct engine *engine,
                                const struct scan_session *s)
{
	if (s->row.state == SESSION_RUNNING && !is_alive(st, engine, s))
		return REASON_CRASHED;
	if (s->row.state == SESSION_STOPPED && !s->has_directory && !s->found && scan_answered(scan, engine))
		return REASON_LOST;
	return s->row.pool && !*s->row.pool ? REASON_RETIRED : NULL;
}

static int look_session(struct state *st, const struct scan *scan, struct scan_session *s,
                        const struct moment *m, struct reap_plan *p, struct err *err)
{
	struct err why = {0};
	struct session_row *row = &s->row;
	const struct engine *engine = engine_by_name(row->engine, &why);
	if (!engine) { /* of another build of this program: the others are looked at all the same */
		log_warn("session %s: %s", row->name, why.msg);
		return 0;
	}
	if (row->state == SESSION_CREATING || row->state == SESSION_STARTING ||
	    row->state == SESSION_STOPPING)
		return look_abandoned(st, row, m->now, p, err);
	const char *reason = look_settled(st, scan, engine, s);
	int due = reason ? 1 : m->expired ? expiry_due(st, row, m->now, m->held_until, &reason, err) : 0;
	if (due > 0)
		add_row(p, REAP_SESSION, row, reason);
	return due < 0 ? -1 : 0;
}

static int look_rows(struct state *st, const struct scan *scan, const struct moment *m, struct reap_plan *p,
                     struct err *err)
{
	for (size_t i = 0; i < scan->n_sessions; i++)
		if (scan->sessions[i].source == SCAN_ROW &&
		    look_session(st, scan, &scan->sessions[i], m, p, err))
			return -1;
	return 0;
}

/* Before those that have rows: a row of older days may hold what is theirs by now. What has expired is seen once it has a row. */
static int look_unknown(struct state *st, const struct scan *scan, struct reap_plan *p, struct err *err)
{
	struct moment m = {.now = clock_now_ms()};
	for (size_t i = 0; i < scan->n_sessions; i++) {
		struct scan_session *s = &scan->sessions[i];
		if (s->source == SCAN_ROW)
			continue;
		add_row(p, REAP_ADOPT, &s->row, s->why);
		if (s->source == SCAN_LABELS)
			p->list[p->n - 1].engine = s->found_by;
		else
			p->list[p->n - 1].directory = mem_strdup(store_directory(&s->row));
		if (s->source == SCAN_FILE && look_session(st, scan, s, &m, p, err))
			return -1;
	}
	return 0;
}

static int look_failed(struct state *st, struct reap_plan *p, struct err *err)
{
	struct session_row *rows = NULL;
	size_t n = 0;
	int64_t keep = 3600000 * config_int(st->cfg, "SESSION_MAX_AGE_HOURS");
	if (store_rows(st, STORE_OLD_FAILED, clock_now_ms() - keep, &rows, &n, err))
		return -1;
	for (size_t i = 0; i < n; i++)
		add_row(p, REAP_FAILED, &rows[i], REASON_FAILED);
	store_rows_free(rows, n);
	return 0;
}

static void look_orphans(const struct scan *scan, struct reap_plan *p)
{
	for (size_t i = 0; i < scan->n_orphans; i++)
		add(p, REAP_OBJECTS, json_text_or(scan->orphans[i].found, "uuid", ""), REASON_ORPHAN)
		        ->engine = scan->orphans[i].engine;
	for (size_t i = 0; i < scan->n_directories; i++)
		add(p, REAP_DIRECTORY, scan->directories[i], REASON_ORPHAN);
}

static void look_foreign(const struct scan *scan, struct reap_plan *p)
{
	const cJSON *one;
	for (size_t i = 0; i < SCAN_ENGINES_MAX; i++) {
		p->foreign += json_int(scan->found[i], "foreign_total", 0);
		cJSON_ArrayForEach(one, json_at(scan->found[i], "foreign"))
		        add(p, REAP_FOREIGN, json_text_or(one, "name", "?"), json_text_or(one, "why", ""))
		                ->directory = mem_strdup(json_text_or(one, "kind", "object"));
	}
}

/* Whether ${session} has a row, failed ones too. Asked for in the order of the rows, where ${*at} is, it costs a comparison; out of
 * order, or when its row is newer than the scan, a query. */
static int has_row(struct state *st, const struct scan *scan, size_t *at, const char *session,
                   struct err *err)
{
	const struct scan_session *s = scan->sessions;
	while (*at < scan->n_sessions && strcmp(s[*at].row.uuid, session) < 0)
		++*at;
	if (*at < scan->n_sessions && s[*at].source == SCAN_ROW && !strcmp(s[*at].row.uuid, session))
		return 1;
	return store_has(st, session, err);
}

static int look_leases(struct state *st, const struct scan *scan, struct reap_plan *p, struct err *err)
{
	cleanup_query struct query q = QUERY_INIT;
	size_t at = 0;
	int rc, has = 1;
	if (db_query(st->db, &q, err, "SELECT DISTINCT session FROM leases ORDER BY session", ""))
		return -1;
	while ((rc = query_next(&q, err)) > 0 && (has = has_row(st, scan, &at, query_text(&q, 0), err)) >= 0)
		if (!has)
			add(p, REAP_LEASES, query_text(&q, 0), REASON_ORPHAN);
	return has < 0 ? -1 : rc;
}

int reap_look(struct state *st, bool expired, struct reap_plan *plan, struct err *err)
{
	struct scan scan;
	struct moment m = {.now = clock_now_ms(), .expired = expired};
	*plan = (struct reap_plan){0};
	if (clock_watch_look(st, &m.held_until, err) || scan_open(&scan, st, err))
		return -1;
	int rc = look_unknown(st, &scan, plan, err) || look_rows(st, &scan, &m, plan, err) ||
	                         look_failed(st, plan, err)
	                 ? -1
	                 : 0;
	/* objects first: a directory or lease of theirs must outlive them */
	look_orphans(&scan, plan);
	look_foreign(&scan, plan);
	if (rc == 0)
		rc = look_leases(st, &scan, plan, err);
	scan_close(&scan);
	if (rc)
		reap_free(plan);
	return rc;
}
