#include "bot/journal.h"
#include "core/mem.h"
#include <stdlib.h>

/* Telegram: "if there are no new updates for at least a week, the identifier of the next one is chosen randomly". */
#define QUIET_MS (6 * 24 * 3600 * INT64_C(1000))

int journal_offset(struct db *db, int64_t now_ms, int64_t *offset, struct err *err)
{
	cleanup_query struct query q = QUERY_INIT;
	*offset = 0;
	if (db_query(db, &q, err, "SELECT next_offset, update_at FROM bot", ""))
		return -1;
	int row = query_next(&q, err);
	if (row > 0 && now_ms - query_int(&q, 1) < QUIET_MS)
		*offset = query_int(&q, 0);
	return row < 0 ? -1 : 0;
}

static int64_t chat_of(const cJSON *update)
{
	static const char *const paths[] = {"message.chat.id", "callback_query.message.chat.id",
	                                    "edited_message.chat.id"};
	for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
		int64_t chat = json_int(update, paths[i], 0);
		if (chat)
			return chat;
	}
	return 0;
}

/* A finished row as old as the quiet time is another update that got the same random id. */
static int insert(struct db *db, const cJSON *update, int64_t id, int64_t now_ms, bool *fresh,
                  struct err *err)
{
	cleanup_free char *raw = json_print(update);
	if (db_run(db, err,
	           "INSERT INTO updates (update_id, at, chat, raw) VALUES (?, ?, ?, ?) ON CONFLICT "
	           "(update_id)"
	           " DO UPDATE SET at = excluded.at, chat = excluded.chat, raw = excluded.raw, state = "
	           "'new', attempts = 1"
	           " WHERE state = 'done' AND at < excluded.at - 518400000",
	           "iiit", id, now_ms, chat_of(update), raw))
		return -1;
	*fresh = db_changes(db) > 0;
	return 0;
}

static int add_all(struct db *db, const cJSON *updates, int64_t now_ms, size_t *new_at, size_t room,
                   size_t *fresh, struct err *err)
{
	int64_t last = -1;
	size_t i = 0;
	const cJSON *update;
	cJSON_ArrayForEach(update, updates)
	{
		int64_t id = json_int(update, "update_id", -1);
		bool is_new = false;
		if (*fresh == room)
			break;
		if (id >= 0) {
			if (insert(db, update, id, now_ms, &is_new, err))
				return -1;
			if (is_new)
				new_at[(*fresh)++] = i;
			if (id > last)
				last = id;
		}
		i++;
	}
	if (last < 0)
		return 0;
	return db_run(db, err, "UPDATE bot SET next_offset = ?, update_at = iif(?, ?, update_at)", "iii",
	              last + 1, (int64_t)(*fresh > 0), now_ms);
}

int journal_add(struct db *db, const cJSON *updates, int64_t now_ms, size_t *new_at, size_t room,
                size_t *fresh, struct err *err)
{
	*fresh = 0;
	if (db_begin(db, err))
		return -1;
	if (add_all(db, updates, now_ms, new_at, room, fresh, err) || db_commit(db, err)) {
		db_rollback(db);
		*fresh = 0;
		return -1;
	}
	return 0;
}

struct open_update {
	int64_t id;
	int attempts;
	char *raw;
};

int journal_each_open(struct db *db, void (*fn)(void *arg, int64_t update_id, int attempts, const char *raw),
                      void *arg, struct err *err)
{
	for (int64_t after = -1;;) {
		struct query q = QUERY_INIT;
		struct open_update u = {0};
		if (db_query(db, &q, err,
		             "SELECT update_id, attempts, raw FROM updates WHERE state = 'new' AND update_id "
		             "> ?"
		             " ORDER BY update_id LIMIT 1",
		             "i", after))
			return -1;
		int row = query_next(&q, err);
		if (row > 0)
			u = (struct open_update){query_int(&q, 0), (int)query_int(&q, 1),
			                         mem_strdup(query_text(&q, 2))};
		query_end(&q); /* before fn, which may write */
		if (row <= 0)
			return row;
		after = u.id;
		fn(arg, u.id, u.attempts, u.raw);
		free(u.raw);
	}
}

int journal_waits(struct db *db, int64_t update_id, bool *waits, struct err *err)
{
	int64_t before = 0;
	if (db_get_int(
	            db, &before, err,
	            "SELECT 1 FROM updates u WHERE u.update_id = ?1 AND u.chat <> 0 AND EXISTS (SELECT 1 FROM"
	            " updates o WHERE o.state = 'new' AND o.update_id < ?1 AND o.chat = u.chat)",
	            "i", update_id))
		return -1;
	*waits = before != 0;
	return 0;
}

int journal_blameless(struct db *db, int64_t update_id, struct err *err)
{
	return db_run(db, err,
	              "UPDATE updates SET attempts = attempts - 1 WHERE update_id = ? AND attempts > 1", "i",
	              update_id);
}

int journal_attempt(struct db *db, int64_t update_id, struct err *err)
{
	return db_run(db, err, "UPDATE updates SET attempts = attempts + 1 WHERE update_id = ?", "i",
	              update_id);
}

int journal_done(struct db *db, int64_t update_id, struct err *err)
{
	return db_run(db, err,
	              "UPDATE updates SET state = 'done', raw = '', error = NULL WHERE update_id = ?", "i",
	              update_id);
}

int journal_failed(struct db *db, int64_t update_id, const char *error, struct err *err)
{
	return db_run(db, err, "UPDATE updates SET error = ? WHERE update_id = ?", "ti", error, update_id);
}

int journal_poison(struct db *db, int64_t update_id, struct err *err)
{
	return db_run(db, err,
	              "UPDATE updates SET state = 'poison', error = coalesce(error, 'the process ended while "
	              "handling it')"
	              " WHERE update_id = ?",
	              "i", update_id);
}
