#include "sessions/admission.h"
#include "core/clock.h"
#include "core/mem.h"
#include "core/str.h"
#include "sessions/engine.h"
#include "sessions/host.h"
#include "sessions/usage.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>

#define HOLDERS_MAX 1500 /* bytes */
#define FRESH_MS 60000   /* what was read since is not read again for a start */
#define MIB (INT64_C(1) << 20)

static int64_t mib(int64_t bytes)
{
	return bytes / MIB;
}

/* -- who holds what -- */

/* "demo (tg:5, running, 31 MiB, 2 h)", the largest first: of ${owner} only (NULL: of all), with the ${warm} ones that are nobody's yet.
 * Returns how many, or -1. */
static int64_t add_holders(struct state *st, const char *owner, bool warm, struct str *out, struct err *err)
{
	cleanup_query struct query q = QUERY_INIT;
	int64_t n = 0, now = clock_now_ms();
	int rc;
	if (db_query(
	            st->db, &q, err,
	            "SELECT name, owner, state, created_at, coalesce(u.memory_bytes, 0) AS used FROM sessions"
	            " LEFT JOIN session_usage u ON u.session = uuid AND state <> 'stopped'"
	            " WHERE state <> 'failed' AND (pool IS NULL OR ?2) AND (?1 IS NULL OR owner = ?1)"
	            " ORDER BY used DESC, created_at",
	            "ti", owner, (int64_t)warm))
		return -1;
	while ((rc = query_next(&q, err)) > 0) {
		char age[32], memory[32] = "";
		if (query_int(&q, 4))
			snprintf(memory, sizeof(memory), "%lld MiB, ", (long long)mib(query_int(&q, 4)));
		str_addf(out, "%s%s (%s, %s, %s%s)", n++ ? ", " : "", query_text(&q, 0), query_text(&q, 1),
		         query_text(&q, 2), memory, clock_rough(now - query_int(&q, 3), age, sizeof(age)));
	}
	return rc ? -1 : n;
}

int admission_quota(struct state *st, const char *owner, struct err *err)
{
	cleanup_str struct str all = STR_INIT_MAX(HOLDERS_MAX), own = STR_INIT_MAX(HOLDERS_MAX);
	int64_t max = config_int(st->cfg, "SESSION_MAX_COUNT"),
	        per_user = config_int(st->cfg, "SESSION_MAX_PER_USER");
	int64_t alive = add_holders(st, NULL, false, &all, err),
	        mine = add_holders(st, owner, false, &own, err);
	if (alive < 0 || mine < 0)
		return -1;
	if (alive >= max)
		return err_set(err, ERR_QUOTA,
		               "%lld of %lld sessions are alive (SESSION_MAX_COUNT): %s%sstop one first",
		               (long long)alive, (long long)max, str_text(&all), alive ? "; " : "");
	if (per_user && mine >= per_user)
		return err_set(err, ERR_QUOTA,
		               "%s has %lld of %lld sessions (SESSION_MAX_PER_USER): %s; stop one first",
		               owner, (long long)mine, (long long)per_user, str_text(&own));
	return 0;
}

/* -- disk -- */

int admission_disk(struct state *st, const char *what, const char *path, struct err *err)
{
	struct statvfs fs;
	int64_t reserve = config_int(st->cfg, "SESSION_DISK_RESERVE_MB");
	if (!reserve)
		return 0;
	if (statvfs(path, &fs))
		return errno == ENOENT ? 0 : err_sys(err, errno, "%s %s", what, path);
	int64_t free_mib = (int64_t)(fs.f_bavail * fs.f_frsize) >> 20;
	if (free_mib >= reserve)
		return 0;
	cleanup_str struct str all = STR_INIT_MAX(HOLDERS_MAX);
	struct err ignored = {0};
	add_holders(st, NULL, true, &all, &ignored);
	return err_set(err, ERR_QUOTA,
	               "only %lld MiB are free where %s is (%s), and %lld must be left to start a session "
	               "(SESSION_DISK_RESERVE_MB)%s%s: stop a session, or see what `docker system df` and "
	               "`codefoundry doctor` say",
	               (long long)free_mib, what, path, (long long)reserve, all.len ? "; alive: " : "",
	               str_text(&all));
}

/* -- memory -- */

void admission_free(struct admission *a)
{
	free(a->stack);
	*a = (struct admission){0};
}

static bool is_asked(struct state *st)
{
	return config_int(st->cfg, "SESSION_MEMORY_RESERVE_MB") > 0;
}

int admission_ask(struct state *st, const struct session_row *row, struct admission *a, struct err *err)
{
	a->stack = usage_stack(row);
	if (usage_expect(st, row, a->stack, &a->need_bytes, &a->starts, err))
		return -1;
	return is_asked(st) ? usage_look(st, FRESH_MS, err) : 0;
}

/* What alive sessions other than ${uuid} were promised and do not use yet; of engine ${engine} only (NULL: of all). */
static int promised(struct state *st, const char *uuid, const char *engine, int64_t *bytes, struct err *err)
{
	return db_get_int(
	        st->db, bytes, err,
	        "SELECT coalesce(sum(max(0, promised_bytes - coalesce(u.memory_bytes, 0))), 0) FROM sessions"
	        " LEFT JOIN session_usage u ON u.session = uuid"
	        " WHERE state <> 'failed' AND uuid <> ?1 AND (?2 IS NULL OR engine = ?2)",
	        "tt", uuid, engine);
}

static int refuse(struct state *st, const struct session_row *row, const struct admission *a,
                  const char *where, int64_t free_bytes, int64_t reserve, int64_t open, struct err *err)
{
	char why[64] = "assumed: it was never started here";
	cleanup_str struct str all = STR_INIT_MAX(HOLDERS_MAX);
	if (a->starts)
		snprintf(why, sizeof(why), "learned from %d start%s", a->starts, a->starts > 1 ? "s" : "");
	if (add_holders(st, NULL, true, &all, err) < 0)
		return -1;
	int64_t left = free_bytes - reserve - open;
	return err_set(
	        err, ERR_QUOTA,
	        "session %s needs %lld MiB of memory (%s), and there are %lld: of %lld MiB that %s, %lld "
	        "are kept free (SESSION_MEMORY_RESERVE_MB) and %lld were promised to sessions that do not "
	        "use them yet%s%s: stop one first, or keep less free",
	        row->name, (long long)mib(a->need_bytes + MIB - 1), why,
	        (long long)(left > 0 ? mib(left) : 0), (long long)mib(free_bytes), where,
	        (long long)mib(reserve), (long long)mib(open), all.len ? "; alive: " : "", str_text(&all));
}

int admission_memory(struct state *st, const struct session_row *row, const struct admission *a,
                     struct err *err)
{
	if (!is_asked(st))
		return 0;
	int64_t reserve = config_int(st->cfg, "SESSION_MEMORY_RESERVE_MB") * MIB, open = 0,
	        host = host_memory_free(), group = host_group_free();
	if (promised(st, row->uuid, NULL, &open, err))
		return -1;
	if (host >= 0 && host - reserve - open < a->need_bytes)
		return refuse(st, row, a, "this machine has available", host, reserve, open, err);
	if (strcmp(row->engine, engine_process.name) != 0) /* the engine's own groups are elsewhere */
		return 0;
	if (promised(st, row->uuid, row->engine, &open, err))
		return -1;
	return group - open < a->need_bytes
	               ? refuse(st, row, a, "this program's control group leaves", group, 0, open, err)
	               : 0;
}

int admission_promise(struct state *st, const struct session_row *row, const struct admission *a,
                      struct err *err)
{
	return db_run(st->db, err, "UPDATE sessions SET stack = ?, promised_bytes = ? WHERE uuid = ?", "tit",
	              a->stack, a->need_bytes, row->uuid);
}

int admission_resume(struct state *st, const struct session_row *row, struct err *err)
{
	cleanup_admission struct admission a = {0};
	if (db_get_text(st->db, &a.stack, err, "SELECT stack FROM sessions WHERE uuid = ?", "t", row->uuid))
		return -1;
	if (!a.stack) /* of an earlier version of this program */
		a.stack = usage_stack(row);
	if (usage_expect(st, row, a.stack, &a.need_bytes, &a.starts, err) ||
	    (is_asked(st) && usage_look(st, FRESH_MS, err)) || db_begin(st->db, err))
		return -1;
	if (admission_memory(st, row, &a, err) || admission_promise(st, row, &a, err) ||
	    db_commit(st->db, err)) {
		db_rollback(st->db);
		return -1;
	}
	return 0;
}

int admission_release(struct state *st, const struct session_row *row, struct err *err)
{
	return db_run(st->db, err, "UPDATE sessions SET promised_bytes = 0 WHERE uuid = ?", "t", row->uuid);
}
