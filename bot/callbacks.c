#include "bot/callbacks.h"
#include "core/clock.h"
#include "core/id.h"
#include "core/mem.h"
#include <stdio.h>
#include <string.h>

void callbacks_batch(char batch[CALLBACK_BATCH_LEN + 1])
{
	id_random_hex(batch, CALLBACK_BATCH_LEN / 2);
}

int callbacks_add(struct db *db, const char *batch, int64_t chat, int64_t user, const char *action,
                  const char *payload, int64_t expires_at, char token[CALLBACK_TOKEN_LEN + 1],
                  struct err *err)
{
	struct callback fits;
	if (strlen(action) >= sizeof(fits.action) || strlen(payload) >= sizeof(fits.payload))
		return err_set(err, ERR_LIMIT, "a button's meaning is too long");
	id_random_hex(token, CALLBACK_TOKEN_LEN / 2);
	return db_run(db, err,
	              "INSERT INTO callbacks (token, batch, chat, user, action, payload, expires_at)"
	              " VALUES (?, ?, ?, ?, ?, ?, ?)",
	              "ttiitti", token, batch, chat, user, action, payload, expires_at);
}

static int check(struct query *q, int64_t user, int64_t now_ms, struct err *err)
{
	if (query_int(q, 0) != user)
		return err_set(err, ERR_DENIED, "this button is for somebody else");
	if (!query_is_null(q, 1))
		return err_set(err, ERR_STATE, "this button was used before");
	if (query_int(q, 2) <= now_ms)
		return err_set(err, ERR_TIMEOUT, "this button has expired");
	return 0;
}

int callbacks_use(struct db *db, const char *token, int64_t user, int64_t now_ms, struct callback *cb,
                  struct err *err)
{
	struct query q = QUERY_INIT;
	if (db_query(db, &q, err,
	             "SELECT user, used_at, expires_at, action, payload, chat FROM callbacks WHERE token = ?",
	             "t", token))
		return -1;
	int row = query_next(&q, err);
	if (row == 0)
		err_set(err, ERR_NOT_FOUND, "this button is not known");
	int rc = row > 0 ? check(&q, user, now_ms, err) : -1;
	if (rc == 0) {
		snprintf(cb->action, sizeof(cb->action), "%s", query_text(&q, 3));
		snprintf(cb->payload, sizeof(cb->payload), "%s", query_text(&q, 4));
		cb->chat = query_int(&q, 5);
	}
	query_end(&q);
	if (rc)
		return -1;
	return db_run(db, err,
	              "UPDATE callbacks SET used_at = ? WHERE batch = (SELECT batch FROM callbacks WHERE "
	              "token = ?)",
	              "it", now_ms, token);
}

int callbacks_void(struct db *db, const char *token, struct err *err)
{
	return db_run(db, err,
	              "UPDATE callbacks SET used_at = ? WHERE used_at IS NULL AND"
	              " batch = (SELECT batch FROM callbacks WHERE token = ?)",
	              "it", clock_now_ms(), token);
}
