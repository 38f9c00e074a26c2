#include "sessions/clock_watch.h"
#include "core/clock.h"
#include "core/log.h"
#include "core/mem.h"
#include <stdlib.h>
#include <string.h>

#define NOTE_EVERY_MS 60000 /* a look that finds nothing need not write */
#define GRACE_MS (10 * 60000)

/* The clocks at one instant, and what expiry is held back by. */
struct reading {
	bool known;
	char boot[40];
	int64_t boot_ms, wall_ms, held_until;
};

int64_t clock_watch_grace_ms(const struct state *st)
{
	int64_t warn_ms = config_int(st->cfg, "SESSION_WARN_MINUTES") * 60000;
	return warn_ms ? warn_ms : GRACE_MS;
}

static int read_noted(struct state *st, struct reading *r, struct err *err)
{
	cleanup_query struct query q = QUERY_INIT;
	if (db_query(st->db, &q, err, "SELECT boot, boot_ms, wall_ms, held_until FROM clock", ""))
		return -1;
	int rc = query_next(&q, err);
	r->known = rc > 0;
	if (rc <= 0)
		return rc;
	strncpy(r->boot, query_text(&q, 0), sizeof(r->boot) - 1);
	r->boot_ms = query_int(&q, 1);
	r->wall_ms = query_int(&q, 2);
	r->held_until = query_int(&q, 3);
	return 0;
}

static struct reading read_clocks(void)
{
	struct reading now = {.known = true, .boot_ms = clock_boot_ms(), .wall_ms = clock_now_ms()};
	clock_boot_id(now.boot, sizeof(now.boot));
	return now;
}

/* How far the wall clock has moved beyond the time that is known to have passed. After another boot that is the time since it:
 * whether the machine was off or its clock was set, nobody can tell. */
static int64_t leap(const struct reading *noted, const struct reading *now)
{
	bool same = !strcmp(noted->boot, now->boot);
	int64_t moved = now->wall_ms - noted->wall_ms;
	if (same)
		return moved - (now->boot_ms - noted->boot_ms);
	return moved < 0 ? moved : moved > now->boot_ms ? moved - now->boot_ms : 0;
}

/* Made after now: by a clock that went ahead. It begins to count here, with the whole life that it was given. */
static int rejuvenate(struct state *st, int64_t now_ms, struct err *err)
{
	return db_run(st->db, err,
	              "UPDATE sessions SET used_at = min(used_at, ?1), created_at = ?1,"
	              " hard_expires_at = ?1 + hard_expires_at - created_at,"
	              " expires_at = ?1 + expires_at - created_at"
	              " WHERE created_at > ?1 + ?2",
	              "ii", now_ms, (int64_t)CLOCK_WATCH_JUMP_MS);
}

static char *describe(const struct reading *noted, const struct reading *now, int64_t by)
{
	char shown[48];
	clock_rough(by < 0 ? -by : by, shown, sizeof(shown));
	if (by < 0)
		return mem_printf("the clock went back by %s", shown);
	return strcmp(noted->boot, now->boot)
	               ? mem_printf("the machine was off for %s, or its clock went forward by that", shown)
	               : mem_printf("the clock went forward by %s", shown);
}

static int write_note(struct state *st, const struct reading *now, const char *why, struct err *err)
{
	return db_run(st->db, err,
	              "INSERT INTO clock (one, boot, boot_ms, wall_ms, held_until, why) VALUES (1, ?1, ?2, "
	              "?3, ?4, ?5)"
	              " ON CONFLICT (one) DO UPDATE SET boot = ?1, boot_ms = ?2, wall_ms = ?3, held_until = "
	              "?4,"
	              " why = coalesce(?5, why)",
	              "tiiit", now->boot, now->boot_ms, now->wall_ms, now->held_until, why);
}

static void tell(const struct reading *now, int64_t by, const char *why)
{
	char iso[32];
	if (by < 0)
		log_warn("%s: sessions made after now begin to count their age now", why);
	else
		log_warn("%s: no session is removed for its age before %s", why,
		         clock_iso(now->held_until, iso, sizeof(iso)));
}

/* Who has no sessions writes nothing: the database of a session's own stack that is written to is a session in use. After another
 * boot those count that are older than it. */
static int concerned(struct state *st, const struct reading *noted, const struct reading *now,
                     struct err *err)
{
	int64_t n = 0, since = now->wall_ms - now->boot_ms;
	bool booted = noted->known && strcmp(noted->boot, now->boot);
	if (db_get_int(st->db, &n, err,
	               "SELECT EXISTS (SELECT 1 FROM sessions WHERE state <> 'failed' AND (NOT ?1 OR "
	               "created_at < ?2))",
	               "ii", (int64_t)booted, since))
		return -1;
	return n != 0;
}

/* Within a transaction: another process may have noted the same jump meanwhile. ${*why} says what was found, NULL: nothing. */
static int note(struct state *st, struct reading *now, int64_t *by, char **why, struct err *err)
{
	struct reading noted = {0};
	int64_t grace = clock_watch_grace_ms(st);
	if (read_noted(st, &noted, err))
		return -1;
	*now = read_clocks();
	int counts = concerned(st, &noted, now, err);
	if (counts < 0)
		return -1;
	*by = noted.known && counts ? leap(&noted, now) : 0;
	bool jumped = *by > CLOCK_WATCH_JUMP_MS || *by < -CLOCK_WATCH_JUMP_MS;
	now->held_until = *by > CLOCK_WATCH_JUMP_MS          ? now->wall_ms + grace
	                  : noted.held_until <= now->wall_ms ? 0
	                  : *by < -CLOCK_WATCH_JUMP_MS       ? 0 /* what held it back is undone */
	                                                     : noted.held_until;
	*why = jumped ? describe(&noted, now, *by) : NULL;
	if ((!noted.known || *by < 0) && rejuvenate(st, now->wall_ms, err))
		return -1;
	return write_note(st, now, *why, err);
}

static bool is_news(const struct reading *noted, const struct reading *now)
{
	if (!noted->known || strcmp(noted->boot, now->boot) || now->boot_ms - noted->boot_ms > NOTE_EVERY_MS)
		return true;
	int64_t by = leap(noted, now);
	return by > CLOCK_WATCH_JUMP_MS || by < -CLOCK_WATCH_JUMP_MS;
}

int clock_watch_look(struct state *st, int64_t *held_until, struct err *err)
{
	struct reading noted = {0}, now = read_clocks();
	cleanup_free char *why = NULL;
	int64_t by = 0;
	if (read_noted(st, &noted, err))
		return -1;
	*held_until = noted.held_until > now.wall_ms ? noted.held_until : 0;
	if (!is_news(&noted, &now))
		return 0;
	int counts = concerned(st, &(struct reading){0}, &now, err);
	if (counts <= 0)
		return counts;
	if (db_begin(st->db, err))
		return -1;
	if (note(st, &now, &by, &why, err) || db_commit(st->db, err)) {
		db_rollback(st->db);
		return -1;
	}
	if (why)
		tell(&now, by, why);
	*held_until = now.held_until;
	return 0;
}

char *clock_watch_why(struct state *st, int64_t now_ms, int64_t *held_until)
{
	char *why = NULL;
	struct err ignored = {0};
	*held_until = 0;
	if (db_get_int(st->db, held_until, &ignored, "SELECT held_until FROM clock WHERE held_until > ?", "i",
	               now_ms) ||
	    !*held_until)
		return NULL;
	db_get_text(st->db, &why, &ignored, "SELECT why FROM clock", "");
	return why ? why : mem_strdup("the clock jumped");
}
