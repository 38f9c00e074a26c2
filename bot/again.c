#include "bot/again.h"
#include "bot/buttons.h"
#include "bot/callbacks.h"
#include "core/clock.h"
#include "core/mem.h"
#include "sessions/session.h"
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define AGAIN_MS (3600 * INT64_C(1000))

/* Only what every operator may ask for. */
static const char *const kinds[] = {"session.start", "session.stop", "session.restart", "test.run"};
/* Where something else than the wish may have to change; a taken name or a wrong word stay what they are. */
static const enum err_code reasons[] = {ERR_FAILED,  ERR_ENGINE, ERR_QUOTA, ERR_BUSY,
                                        ERR_TIMEOUT, ERR_NET,    ERR_IO,    ERR_DB};

static bool may_help(const struct job_row *row)
{
	bool kind = false, reason = false;
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
		kind |= !strcmp(row->kind, kinds[i]);
	for (size_t i = 0; i < ARRAY_LEN(reasons); i++)
		reason |= row->error_code == reasons[i];
	return row->state == JOB_FAILED && kind && reason;
}

char *again_button(struct db *db, enum lang lang, int64_t chat, int64_t user, const struct job_row *row,
                   struct err *err)
{
	char batch[CALLBACK_BATCH_LEN + 1], token[CALLBACK_TOKEN_LEN + 1];
	if (!row || !may_help(row))
		return NULL;
	cleanup_free char *id = mem_printf("%" PRId64, row->id);
	callbacks_batch(batch);
	if (callbacks_add(db, batch, chat, user, "again", id, clock_now_ms() + AGAIN_MS, token, err))
		return NULL;
	const struct button button = {texts_raw(lang, T_BUTTON_RETRY), token};
	return buttons_json(&button, 1);
}

/* 0: the user may; 1: it was said why not; -1. The session may be another's by now. */
static int check(struct call *c, const struct job_row *row, struct err *err)
{
	struct err none = {0};
	if (!call_may(c, row->owner))
		return err_set(err, ERR_DENIED, "job %" PRId64 " is not yours", row->id);
	if (!row->session)
		return 0;
	free(session_owner(c->bot->st, row->session, &none));
	return none.code == ERR_NOT_FOUND ? 0 : call_check_session(c, row->session, err);
}

int again_job(struct call *c, const char *payload, struct err *err)
{
	struct job_row row = {0};
	cleanup_free char *title = NULL;
	if (jobs_get(c->bot->st, strtoll(payload, NULL, 10), &row, err) ||
	    db_get_text(
	            c->bot->db, &title, err,
	            "SELECT title FROM progress WHERE source = 'job' AND ref = ? ORDER BY id DESC LIMIT 1",
	            "t", payload)) {
		job_row_free(&row);
		return -1;
	}
	int rc = check(c, &row, err);
	if (rc == 0)
		rc = call_job(c, row.kind, TAKE(row.args), row.session, title ? title : row.kind, err);
	job_row_free(&row);
	return rc < 0 ? -1 : 0;
}
