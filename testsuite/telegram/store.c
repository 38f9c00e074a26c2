/* See store.h. Nothing here is precious (the bot's own database is what must survive), so synchronous is NORMAL. */
#include "testsuite/telegram/store.h"
#include "core/clock.h"
#include "core/mem.h"
#include <stdlib.h>

#define KEEP_UPDATES_MS (24 * 3600 * 1000LL)
#define KEEP_CALLBACKS_MS (3600 * 1000LL)
#define KEEP_EVENTS 10000
#define KEEP_MESSAGES 20000

/* Append only. `updates.seq` is the order of delivery; `odd` marks an injected update whose own id is not the next
 * one: 1 waiting, 2 delivered. Update ids start at random, as the real server's do. */
static const char *const migrations[] = {
        "CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;"
        "CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT NOT NULL, language TEXT NOT NULL,"
        " blocked INTEGER NOT NULL DEFAULT 0) STRICT;"
        "CREATE TABLE chats (id INTEGER PRIMARY KEY, body TEXT NOT NULL) STRICT;"
        "CREATE TABLE messages (id INTEGER PRIMARY KEY AUTOINCREMENT, chat INTEGER NOT NULL, from_bot "
        "INTEGER NOT NULL,"
        " at INTEGER NOT NULL, body TEXT NOT NULL, raw TEXT) STRICT;"
        "CREATE TABLE updates (seq INTEGER PRIMARY KEY AUTOINCREMENT, id INTEGER NOT NULL,"
        " odd INTEGER NOT NULL DEFAULT 0, at INTEGER NOT NULL, body TEXT NOT NULL) STRICT;"
        "CREATE INDEX updates_id ON updates (id);"
        "CREATE TABLE events (id INTEGER PRIMARY KEY AUTOINCREMENT, at INTEGER NOT NULL, chat INTEGER NOT "
        "NULL,"
        " body TEXT NOT NULL) STRICT;"
        "CREATE INDEX events_chat ON events (chat, id);"
        "CREATE TABLE callbacks (id TEXT PRIMARY KEY, chat INTEGER NOT NULL, message INTEGER NOT NULL,"
        " at INTEGER NOT NULL) STRICT, WITHOUT ROWID;"
        "CREATE TABLE commands (scope TEXT NOT NULL, language TEXT NOT NULL, body TEXT NOT NULL,"
        " PRIMARY KEY (scope, language)) STRICT, WITHOUT ROWID;"
        "CREATE TABLE files (seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, kind TEXT NOT "
        "NULL,"
        " size INTEGER NOT NULL, path TEXT NOT NULL UNIQUE, body TEXT NOT NULL) STRICT;"
        "INSERT INTO meta VALUES ('next_update', 100000000 + abs(random() % 800000000));",
        NULL,
};

int tg_store_open(struct tg *tg, struct err *err)
{
	cleanup_free char *path = mem_printf("%s/telegram.db", tg->dir);

	if (db_open(&tg->db, path, migrations, DB_NORMAL, err) < 0)
		return -1;
	int64_t last = 0;
	if (db_get_int(tg->db, &last, err, "SELECT seq FROM sqlite_sequence WHERE name = 'messages'", "") < 0)
		return -1;
	tg->next_message_id = last + 1;
	return tg_store_prune(tg, err);
}

int tg_store_prune(struct tg *tg, struct err *err)
{
	int64_t now = clock_now_ms();

	if (db_run(tg->db, err, "DELETE FROM updates WHERE at < ?", "i", now - KEEP_UPDATES_MS) < 0 ||
	    db_run(tg->db, err, "DELETE FROM callbacks WHERE at < ?", "i", now - KEEP_CALLBACKS_MS) < 0 ||
	    db_run(tg->db, err, "DELETE FROM events WHERE id <= (SELECT max(id) FROM events) - ?", "i",
	           (int64_t)KEEP_EVENTS) < 0 ||
	    db_run(tg->db, err, "DELETE FROM messages WHERE id <= (SELECT max(id) FROM messages) - ?", "i",
	           (int64_t)KEEP_MESSAGES) < 0)
		return err_wrap(err, "prune telegram.db");
	return 0;
}

int tg_store_meta(struct tg *tg, const char *key, char **value, struct err *err)
{
	return db_get_text(tg->db, value, err, "SELECT value FROM meta WHERE key = ?", "t", key);
}

int tg_store_set_meta(struct tg *tg, const char *key, const char *value, struct err *err)
{
	if (value == NULL)
		return db_run(tg->db, err, "DELETE FROM meta WHERE key = ?", "t", key);
	return db_run(tg->db, err, "INSERT OR REPLACE INTO meta VALUES (?, ?)", "tt", key, value);
}

static const char *credentials_name(const struct tg *tg, int64_t id)
{
	const cJSON *user;

	cJSON_ArrayForEach(user, json_at(tg->credentials, "users"))
	{
		if (json_int(user, "id", 0) == id)
			return json_text(user, "name");
	}
	return NULL;
}

int tg_store_save_user(struct tg *tg, int64_t id, const char *name, const char *language, struct err *err)
{
	cleanup_free char *fallback = mem_printf("User %lld", (long long)id);
	const char *first = name ? name : credentials_name(tg, id);

	return db_run(
	        tg->db, err,
	        "INSERT INTO users (id, name, language) VALUES (?1, coalesce(?2, ?3), coalesce(?4, 'en'))"
	        " ON CONFLICT (id) DO UPDATE SET name = coalesce(?5, name), language = coalesce(?4, "
	        "language)",
	        "itttt", id, first, fallback, language, name);
}

int tg_store_user(struct tg *tg, int64_t id, cJSON **user, struct err *err)
{
	cleanup_query struct query q = QUERY_INIT;

	if (db_query(tg->db, &q, err, "SELECT name, language FROM users WHERE id = ?", "i", id) < 0)
		return -1;
	int row = query_next(&q, err);
	if (row <= 0)
		return row;
	*user = json_object();
	json_add_int(*user, "id", id);
	json_add_bool(*user, "is_bot", false);
	json_add_text(*user, "first_name", query_text(&q, 0));
	json_add_text(*user, "language_code", query_text(&q, 1));
	return 1;
}

int tg_store_block(struct tg *tg, int64_t user, bool blocked, struct err *err)
{
	return db_run(tg->db, err, "UPDATE users SET blocked = ? WHERE id = ?", "ii", (int64_t)blocked, user);
}

bool tg_store_blocked(struct tg *tg, int64_t user)
{
	struct err ignored;
	int64_t blocked = 0;

	db_get_int(tg->db, &blocked, &ignored, "SELECT blocked FROM users WHERE id = ?", "i", user);
	return blocked != 0;
}

int tg_store_save_chat(struct tg *tg, int64_t id, const cJSON *chat, struct err *err)
{
	cleanup_free char *body = json_print(chat);

	return db_run(tg->db, err,
	              "INSERT INTO chats VALUES (?, ?) ON CONFLICT (id) DO UPDATE SET body = excluded.body"
	              " WHERE body <> excluded.body",
	              "it", id, body);
}

/* Read one JSON column: 1 and transfers, 0 no row. */
static int read_json(struct query *q, int column, cJSON **json, struct err *err)
{
	const char *text = query_text(q, column);

	*json = cJSON_Parse(text ? text : "");
	if (*json == NULL)
		return err_set(err, ERR_DB, "telegram.db holds a row that is not JSON");
	return 1;
}

int tg_store_chat(struct tg *tg, int64_t id, cJSON **chat, struct err *err)
{
	cleanup_query struct query q = QUERY_INIT;

	if (db_query(tg->db, &q, err, "SELECT body FROM chats WHERE id = ?", "i", id) < 0)
		return -1;
	int row = query_next(&q, err);
	return row <= 0 ? row : read_json(&q, 0, chat, err);
}

void tg_message_free(struct tg_message *m)
{
	cJSON_Delete(m->body);
	free(m->raw);
	*m = (struct tg_message){0};
}

int tg_store_save_message(struct tg *tg, int64_t chat, int64_t id, const struct tg_message *m,
                          struct err *err)
{
	cleanup_free char *body = json_print(m->body);

	return db_run(tg->db, err,
	              "INSERT OR REPLACE INTO messages (id, chat, from_bot, at, body, raw)"
	              " VALUES (?, ?, ?, ?, ?, ?)",
	              "iiiitt", id, chat, (int64_t)m->from_bot, clock_now_ms(), body, m->raw);
}

int tg_store_message(struct tg *tg, int64_t chat, int64_t id, struct tg_message *m, struct err *err)
{
	cleanup_query struct query q = QUERY_INIT;

	if (db_query(tg->db, &q, err, "SELECT body, raw, from_bot FROM messages WHERE id = ? AND chat = ?",
	             "ii", id, chat) < 0)
		return -1;
	int row = query_next(&q, err);
	if (row <= 0)
		return row;
	if (read_json(&q, 0, &m->body, err) < 0)
		return -1;
	m->raw = query_copy(&q, 1);
	m->from_bot = query_int(&q, 2) != 0;
	return 1;
}

int tg_store_delete_message(struct tg *tg, int64_t chat, int64_t id, struct err *err)
{
	return db_run(tg->db, err, "DELETE FROM messages WHERE id = ? AND chat = ?", "ii", id, chat);
}

cJSON *tg_bot_user(const struct tg *tg)
{
	cJSON *bot = json_object();

	json_add_int(bot, "id", tg->bot_id);
	json_add_bool(bot, "is_bot", true);
	json_add_text(bot, "first_name", "CodeFoundry");
	json_add_text(bot, "username", tg->username);
	return bot;
}
