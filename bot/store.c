#include "bot/store.h"
#include "core/clock.h"
#include "core/mem.h"

#define DAY_MS (24 * 3600 * INT64_C(1000))

/* Append only. Script i takes user_version from i to i + 1. Times are UTC milliseconds. What is written for every message is
 * checked with OR: for each IN of more than two values SQLite builds a table of its own with every statement, which cost more
 * than the statement. */
static const char *const migrations[] = {
        /* bot: the one this database serves, and where its polling stands. */
        "CREATE TABLE bot ("
        " one INTEGER PRIMARY KEY CHECK (one = 1), id INTEGER NOT NULL, next_offset INTEGER NOT NULL DEFAULT "
        "0,"
        " update_at INTEGER NOT NULL DEFAULT 0) STRICT;"

        /* updates: the journal. `raw` is emptied when done: chats are nobody's business afterwards. `attempts` is counted
         * before handling, so that an update that kills the process is seen. */
        "CREATE TABLE updates ("
        " update_id INTEGER PRIMARY KEY, at INTEGER NOT NULL, chat INTEGER,"
        " state TEXT NOT NULL DEFAULT 'new' CHECK (state = 'new' OR state = 'done' OR state = 'poison'),"
        " attempts INTEGER NOT NULL DEFAULT 1, raw TEXT NOT NULL, error TEXT) STRICT;"
        "CREATE INDEX updates_open ON updates (update_id) WHERE state = 'new';"

        /* outbox: `body` holds the method's parameters without chat_id and message_id, which are known only when it is
         * sent (a group may migrate, a progress message may not be there yet). Sent rows stay for their key. */
        "CREATE TABLE outbox ("
        " id INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE, chat INTEGER NOT NULL,"
        " kind TEXT NOT NULL CHECK (kind = 'send' OR kind = 'edit' OR kind = 'document' OR kind = 'answer'), "
        "body TEXT NOT NULL, "
        "document TEXT,"
        " progress INTEGER, message_id INTEGER,"
        " state TEXT NOT NULL DEFAULT 'new' CHECK (state = 'new' OR state = 'sent' OR state = 'dropped'),"
        " created_at INTEGER NOT NULL, not_before INTEGER NOT NULL DEFAULT 0, ended_at INTEGER, error TEXT) "
        "STRICT;"
        "CREATE INDEX outbox_open ON outbox (id) WHERE state = 'new';"

        /* progress: messages that follow a job or a gateway request. Text is not kept: it is made again from the source. */
        "CREATE TABLE progress ("
        " id INTEGER PRIMARY KEY AUTOINCREMENT, chat INTEGER NOT NULL, topic INTEGER NOT NULL DEFAULT 0, "
        "user INTEGER NOT "
        "NULL,"
        " lang TEXT NOT NULL, source TEXT NOT NULL CHECK (source IN ('job','request')), ref TEXT NOT NULL,"
        " title TEXT NOT NULL, token TEXT, message_id INTEGER, shown INTEGER NOT NULL DEFAULT 0,"
        " started_at INTEGER NOT NULL, done_at INTEGER) STRICT;"
        "CREATE INDEX progress_open ON progress (id) WHERE done_at IS NULL;"
        "CREATE INDEX progress_ref ON progress (source, ref);"

        /* requests: what was asked of the gateway; the id is its sessionId and stays the same when sent again. */
        "CREATE TABLE requests ("
        " id TEXT PRIMARY KEY, chat INTEGER NOT NULL, topic INTEGER NOT NULL DEFAULT 0, user INTEGER NOT "
        "NULL,"
        " lang TEXT NOT NULL, frame TEXT NOT NULL,"
        " state TEXT NOT NULL DEFAULT 'open' CHECK (state IN ('open','question','failed','done')),"
        " title TEXT NOT NULL, round INTEGER NOT NULL DEFAULT 0, created_at INTEGER NOT NULL,"
        " changed_at INTEGER NOT NULL) STRICT, WITHOUT ROWID;"
        "CREATE INDEX requests_open ON requests (state, chat, user) WHERE state IN ('open','question');"

        /* callbacks: what a button means. Buttons of one message share `batch`: using one uses up all. */
        "CREATE TABLE callbacks ("
        " token TEXT PRIMARY KEY, batch TEXT NOT NULL, chat INTEGER NOT NULL, user INTEGER NOT NULL,"
        " action TEXT NOT NULL, payload TEXT NOT NULL, expires_at INTEGER NOT NULL, used_at INTEGER) STRICT,"
        " WITHOUT ROWID;"
        "CREATE INDEX callbacks_batch ON callbacks (batch);"

        "CREATE TABLE chats (chat INTEGER PRIMARY KEY, lang TEXT, changed_at INTEGER NOT NULL) STRICT;"

        "CREATE TABLE unauthorized (user INTEGER PRIMARY KEY, told_at INTEGER NOT NULL,"
        " seen INTEGER NOT NULL DEFAULT 1) STRICT;",

        /* notices (jobs/notice.h): the last one that was told. `spoken`: the language that this user's Telegram says; `until`: a message
         * that is worth nothing afterwards. */
        "ALTER TABLE bot ADD COLUMN notice_seen INTEGER NOT NULL DEFAULT 0;"
        "ALTER TABLE chats ADD COLUMN spoken TEXT;"
        "ALTER TABLE outbox ADD COLUMN until INTEGER;",
        NULL,
};

int store_open(struct db **db, const char *dir, struct err *err)
{
	cleanup_free char *path = mem_printf("%s/bot.db", dir);
	return db_open(db, path, migrations, DB_FULL, err);
}

static int run_all(struct db *db, const char *const *sql, struct err *err)
{
	for (; *sql; sql++)
		if (db_run(db, err, *sql, ""))
			return -1;
	return 0;
}

int store_identify(struct db *db, int64_t bot_id, bool *changed, struct err *err)
{
	static const char *const forget[] = {
	        "DELETE FROM bot",      "DELETE FROM updates",      "DELETE FROM outbox",
	        "DELETE FROM progress", "DELETE FROM requests",     "DELETE FROM callbacks",
	        "DELETE FROM chats",    "DELETE FROM unauthorized", NULL};
	int64_t known = 0;
	*changed = false;
	if (db_get_int(db, &known, err, "SELECT id FROM bot", ""))
		return -1;
	if (known == bot_id)
		return 0;
	if (db_begin(db, err))
		return -1;
	if (run_all(db, forget, err) ||
	    db_run(db, err, "INSERT INTO bot (one, id) VALUES (1, ?)", "i", bot_id) || db_commit(db, err)) {
		db_rollback(db);
		return -1;
	}
	*changed = known != 0;
	return 0;
}

int store_prune(struct db *db, int64_t now_ms, struct err *err)
{
	int64_t old = now_ms - 8 * DAY_MS, older = now_ms - 30 * DAY_MS;
	if (db_begin(db, err))
		return -1;
	if (db_run(db, err, "DELETE FROM updates WHERE state = 'done' AND at < ?", "i", old) ||
	    db_run(db, err, "DELETE FROM updates WHERE state = 'poison' AND at < ?", "i", older) ||
	    db_run(db, err, "DELETE FROM outbox WHERE state <> 'new' AND created_at < ?", "i", old) ||
	    db_run(db, err, "DELETE FROM progress WHERE done_at < ?", "i", old) ||
	    db_run(db, err, "DELETE FROM requests WHERE state <> 'open' AND changed_at < ?", "i",
	           now_ms - DAY_MS) ||
	    db_run(db, err, "DELETE FROM callbacks WHERE expires_at < ?", "i", now_ms - DAY_MS) ||
	    db_run(db, err, "DELETE FROM chats WHERE lang IS NULL AND changed_at < ?", "i",
	           now_ms - 90 * DAY_MS) ||
	    db_commit(db, err)) {
		db_rollback(db);
		return -1;
	}
	return 0;
}

int store_migrate_chat(struct db *db, int64_t from, int64_t to, struct err *err)
{
	static const char *const move[] = {
	        "UPDATE outbox SET chat = ? WHERE chat = ? AND state = 'new'",
	        "UPDATE progress SET chat = ? WHERE chat = ?",
	        "UPDATE requests SET chat = ? WHERE chat = ?",
	        "UPDATE callbacks SET chat = ? WHERE chat = ?",
	        "UPDATE OR REPLACE chats SET chat = ? WHERE chat = ?",
	};
	if (db_begin(db, err))
		return -1;
	for (size_t i = 0; i < ARRAY_LEN(move); i++) {
		if (db_run(db, err, move[i], "ii", to, from)) {
			db_rollback(db);
			return -1;
		}
	}
	if (db_commit(db, err) == 0)
		return 0;
	db_rollback(db);
	return -1;
}

int store_savepoint(struct db *db, struct err *err)
{
	return db_run(db, err, "SAVEPOINT one_update", "");
}

int store_release(struct db *db, struct err *err)
{
	return db_run(db, err, "RELEASE one_update", "");
}

void store_rollback_to(struct db *db)
{
	struct err ignored = {0};
	if (db_run(db, &ignored, "ROLLBACK TO one_update", "") == 0)
		db_run(db, &ignored, "RELEASE one_update", "");
}
