#include "bot/commands.h"
#include "core/mem.h"
#include "jobs/audit.h"
#include "jobs/job.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RECENT 1000 /* rows of the audit log, within which what a crash cut off must stand */

/* The newest job of this user that is not over; 0 when there is none. */
static int newest(struct call *c, int64_t *id, struct err *err)
{
	char owner[32];
	return db_get_int(c->bot->st->db, id, err,
	                  "SELECT id FROM jobs WHERE owner = ? AND state IN ('queued','running') ORDER BY id "
	                  "DESC LIMIT 1",
	                  "t", call_owner(c, owner));
}

/* What this update is called in the audit log. */
static char *detail_of(const struct call *c)
{
	return mem_printf("{\"bot\":%" PRId64 ",\"update\":%" PRId64 "}", c->bot->id, c->u->id);
}

/* The job that a killed attempt at this update cancelled, 0 for none: "the newest one" is another by now. */
static int cancelled_before(struct call *c, int64_t *id, struct err *err)
{
	char owner[32];
	cleanup_free char *detail = detail_of(c);
	return db_get_int(
	        c->bot->st->db, id, err,
	        "SELECT CAST(target AS INTEGER) FROM audit WHERE id > (SELECT max(id) FROM audit) - ?"
	        " AND actor = ? AND action = 'job.cancel' AND outcome = 'ok' AND detail = ?",
	        "itt", (int64_t)RECENT, call_owner(c, owner), detail);
}

/* The cancel and its line in the audit log in one commit. */
static int cancel_once(struct call *c, int64_t id, const char *number, struct err *err)
{
	struct state *st = c->bot->st;
	char owner[32];
	cleanup_free char *detail = detail_of(c);
	call_owner(c, owner);
	if (db_begin(st->db, err))
		return -1;
	if (jobs_cancel(st, id, owner, err) ||
	    audit_add(st, owner, "bot", "job.cancel", number, "ok", detail, err) || db_commit(st->db, err)) {
		db_rollback(st->db);
		return -1;
	}
	state_ring(st);
	return 0;
}

/* ${*text} tells the outcome. */
static int cancel(struct call *c, int64_t id, char **text, struct err *err)
{
	char number[24];
	int64_t before = 0;
	struct job_row row = {0};
	if (cancelled_before(c, &before, err))
		return -1;
	id = before ? before : id;
	if (!id) {
		*text = mem_strdup(texts_raw(c->lang, T_CANCEL_NONE));
		return 0;
	}
	snprintf(number, sizeof(number), "%" PRId64, id);
	if (jobs_get(c->bot->st, id, &row, err))
		return -1;
	cleanup_free char *kind = mem_strdup(row.kind);
	bool may = call_may(c, row.owner);
	job_row_free(&row);
	if (!may) {
		*text = texts_make(c->lang, T_NOT_JOB_OWNER, TEXT_ARGS({"job", number}));
		return call_audit(c, "job.cancel", number, "denied", err);
	}
	if (!before && cancel_once(c, id, number, err)) {
		if (err->code != ERR_STATE)
			return -1;
		err_clear(err);
		*text = texts_make(c->lang, T_CANCEL_OVER, TEXT_ARGS({"job", number}));
		return 0;
	}
	*text = texts_make(c->lang, T_CANCEL_ASKED, TEXT_ARGS({"job", number}, {"kind", kind}));
	return 0;
}

/* The progress message itself tells the end; the button only flashes a notice. */
int cmd_cancel_job(struct call *c, const char *payload, struct err *err)
{
	cleanup_free char *text = NULL;
	if (cancel(c, strtoll(payload, NULL, 10), &text, err))
		return -1;
	c->notice = mem_strdup(text);
	return 0;
}

static int run(struct call *c, const char *args, struct err *err)
{
	char word[24], *end;
	int64_t id = 0;
	cleanup_free char *text = NULL;
	if (*call_word(&args, word, sizeof(word))) {
		id = strtoll(word[0] == '#' ? word + 1 : word, &end, 10);
		if (*end || id <= 0)
			return call_usage(c, err);
	} else if (newest(c, &id, err)) {
		return -1;
	}
	return cancel(c, id, &text, err) ? -1 : call_say(c, text, NULL, err);
}

const struct command cmd_cancel = {
        .name = "cancel",
        .role = ROLE_OPERATOR,
        .about = {"Cancel a job, or the newest one of yours", "Отменить задание или последнее своё"},
        .usage = "/cancel [job]",
        .example = "/cancel 12",
        .run = run,
};
