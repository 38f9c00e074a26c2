#include "core/db.h"
#include "core/clock.h"
#include "core/mem.h"
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CACHE_KIB "8192" /* at most; 10,000 sessions are 5 MB, which each look reads */
#define DB_CACHED 128    /* prepared statements per connection; SQL texts are literals, so few */
#define DB_HINTS 256

struct db {
	sqlite3 *handle;
	char *path;
	struct {
		char *sql;
		sqlite3_stmt *stmt;
		bool in_use;
	} cache[DB_CACHED];
	size_t cached;
	unsigned char hints[DB_HINTS]; /* by the SQL text's address: its last place in the cache */
	int64_t changes;
};

int (*db_hook)(const char *sql);
static int busy_ms = DB_BUSY_MS;

void db_set_busy_ms(int ms)
{
	busy_ms = ms;
}

/* Turn SQLite's state into our error; the message never holds bound values. */
static int fail(struct db *db, int rc, struct err *err, const char *doing)
{
	switch (rc & 0xff) {
	case SQLITE_BUSY:
		return err_set(err, ERR_BUSY,
		               "%s: %s is locked by another process for longer than %.3g s: look for one "
		               "that hangs (codefoundry status), then try again",
		               doing, db->path, busy_ms / 1000.0);
	case SQLITE_CONSTRAINT:
		if (rc == SQLITE_CONSTRAINT_UNIQUE || rc == SQLITE_CONSTRAINT_PRIMARYKEY ||
		    rc == SQLITE_CONSTRAINT_ROWID)
			return err_set(err, ERR_EXISTS, "%s: %s", doing, sqlite3_errmsg(db->handle));
		break;
	case SQLITE_CANTOPEN:
	case SQLITE_IOERR:
		return err_set(err, ERR_IO, "%s: %s: %s: check its directory and disk", doing, db->path,
		               sqlite3_errstr(rc));
	case SQLITE_FULL:
		return err_set(err, ERR_IO, "%s: no space left for %s: free some and try again", doing,
		               db->path);
	case SQLITE_READONLY:
		return err_set(err, ERR_DENIED,
		               "%s: %s is read-only: check the owner and mode of its directory", doing,
		               db->path);
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
		/* those would be taken for what was written after the backup, and damage it as well */
		return err_set(err, ERR_DB,
		               "%s: %s " DB_DAMAGED ": restore it from a backup, not beside the old -wal and "
		               "-shm (%s)",
		               doing, db->path, sqlite3_errmsg(db->handle));
	}
	/* the handle knows more than the code says, unless the failure was not its own */
	return err_set(err, ERR_DB, "%s: %s: %s", doing, db->path,
	               sqlite3_extended_errcode(db->handle) == rc ? sqlite3_errmsg(db->handle)
	                                                          : sqlite3_errstr(rc));
}

static int execute(struct db *db, const char *sql, struct err *err)
{
	int rc = sqlite3_exec(db->handle, sql, NULL, NULL, NULL);
	return rc == SQLITE_OK ? 0 : fail(db, sqlite3_extended_errcode(db->handle), err, "database");
}

static int read_version(struct db *db, int64_t newest, int64_t *version, struct err *err)
{
	if (db_get_int(db, version, err, "PRAGMA user_version", ""))
		return -1;
	if (*version < 0)
		return err_set(err, ERR_STATE,
		               "%s is not a database of this program (schema %lld): name another file",
		               db->path, (long long)*version);
	if (*version > newest)
		return err_set(
		        err, ERR_STATE,
		        "%s was written by a newer codefoundry (schema %lld, this program knows %lld): run "
		        "that version, or restore a backup made before the upgrade",
		        db->path, (long long)*version, (long long)newest);
	return 0;
}

static int migrate(struct db *db, const char *const *migrations, struct err *err)
{
	int64_t newest = 0, version = 0;
	while (migrations[newest])
		newest++;
	if (read_version(db, newest, &version, err))
		return -1;
	if (version == newest)
		return 0;
	/* again inside the transaction: two processes may have started together */
	if (db_begin(db, err) || read_version(db, newest, &version, err))
		goto undo;
	for (; version < newest; version++) {
		char bump[64];
		snprintf(bump, sizeof(bump), "PRAGMA user_version = %lld", (long long)version + 1);
		if (execute(db, migrations[version], err) || execute(db, bump, err)) {
			err_wrap(err, "migration %lld", (long long)version + 1);
			goto undo;
		}
	}
	if (db_commit(db, err) == 0)
		return 0;
undo:
	db_rollback(db);
	return -1;
}

/* Make a missing file ourselves: SQLite would give it the umask's mode, and the content may be secret. A file that
 * is there is never opened here: closing any descriptor of it would drop the locks of this process's other
 * connections (fcntl(2)), and another process would then delete the WAL under them. */
static int create(const char *path, struct err *err)
{
	cleanup_close int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	return fd < 0 && errno != EEXIST ? err_sys(err, errno, "create %s", path) : 0;
}

/* SQLite does not call its busy handler for the switch of a new file to WAL (an exclusive lock that two openers would
 * wait for in turn), so the waiting stands here. */
static int use_wal(struct db *db, struct err *err)
{
	int64_t deadline = clock_mono_ms() + busy_ms;
	cleanup_free char *mode = NULL;
	while (db_get_text(db, &mode, err, "PRAGMA journal_mode = WAL", "")) {
		if (err->code != ERR_BUSY || clock_mono_ms() >= deadline)
			return -1;
		sqlite3_sleep(2);
	}
	if (mode && !strcmp(mode, "wal"))
		return 0;
	return err_set(err, ERR_IO,
	               "%s: its file system cannot be shared by several processes: use a local one",
	               db->path);
}

/* Nobody asks SQLite how much memory it uses, and counting takes a lock with every allocation. */
static void configure(void)
{
	sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
}

int db_open(struct db **out, const char *path, const char *const *migrations, enum db_durability durability,
            struct err *err)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	pthread_once(&once, configure);
	if (create(path, err)) {
		err->code = ERR_IO;
		return err_wrap(err, "open database");
	}
	struct db *db = mem_alloc(sizeof(*db));
	db->path = mem_strdup(path);
	int rc = sqlite3_open_v2(path, &db->handle, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL);
	if (rc != SQLITE_OK) {
		fail(db, rc, err, "open database");
		goto fail;
	}
	sqlite3_extended_result_codes(db->handle, 1);
	sqlite3_busy_timeout(db->handle, busy_ms);
	if (use_wal(db, err) ||
	    execute(db, durability == DB_FULL ? "PRAGMA synchronous = FULL" : "PRAGMA synchronous = NORMAL",
	            err) ||
	    execute(db,
	            "PRAGMA foreign_keys = ON; PRAGMA trusted_schema = OFF; PRAGMA cache_size = -" CACHE_KIB,
	            err) ||
	    migrate(db, migrations, err))
		goto fail;
	*out = db;
	return 0;
fail:
	db_close(db);
	return -1;
}

void db_close(struct db *db)
{
	if (!db)
		return;
	for (size_t i = 0; i < db->cached; i++) {
		sqlite3_finalize(db->cache[i].stmt);
		free(db->cache[i].sql);
	}
	sqlite3_close_v2(db->handle);
	free(db->path);
	free(db);
}

bool db_moved(struct db *db)
{
	int moved = 0;
	return sqlite3_file_control(db->handle, "main", SQLITE_FCNTL_HAS_MOVED, &moved) == SQLITE_OK && moved;
}

static int step(sqlite3_stmt *stmt)
{
	int rc = db_hook ? db_hook(sqlite3_sql(stmt)) : SQLITE_OK;
	return rc == SQLITE_OK ? sqlite3_step(stmt) : rc;
}

static size_t hint_of(const char *sql)
{
	return (uint32_t)((uintptr_t)sql * UINT64_C(0x9e3779b97f4a7c15) >> 32) % DB_HINTS;
}

/* The place of ${sql} in the cache, DB_CACHED when it is not there or in use. One SQL text is mostly one literal, whose
 * address tells where to look first. */
static size_t find_cached(const struct db *db, const char *sql)
{
	size_t i = db->hints[hint_of(sql)];
	if (i < db->cached && !db->cache[i].in_use && !strcmp(db->cache[i].sql, sql))
		return i;
	for (i = 0; i < db->cached; i++)
		if (!db->cache[i].in_use && !strcmp(db->cache[i].sql, sql))
			return i;
	return DB_CACHED;
}

/* The prepared statement of ${sql}, from the cache unless it is full or in use there (then finalized at its end). */
static sqlite3_stmt *prepare(struct db *db, const char *sql, struct err *err)
{
	sqlite3_stmt *stmt = NULL;
	const char *rest = NULL;
	size_t at = find_cached(db, sql);
	if (at < DB_CACHED) {
		db->hints[hint_of(sql)] = (unsigned char)at;
		db->cache[at].in_use = true;
		return db->cache[at].stmt;
	}
	int rc = sqlite3_prepare_v3(db->handle, sql, -1, SQLITE_PREPARE_PERSISTENT, &stmt, &rest);
	if (rc != SQLITE_OK) {
		fail(db, rc, err, "prepare");
		return NULL;
	}
	while (isspace((unsigned char)*rest) || *rest == ';')
		rest++;
	if (!stmt || *rest) { /* SQLite would silently leave out the second statement */
		sqlite3_finalize(stmt);
		err_set(err, ERR_DB, "prepare: not one statement: %s", sql);
		return NULL;
	}
	if (db->cached < DB_CACHED) {
		db->cache[db->cached].sql = mem_strdup(sql);
		db->cache[db->cached].stmt = stmt;
		db->cache[db->cached++].in_use = true;
	}
	return stmt;
}

static void release(struct db *db, sqlite3_stmt *stmt)
{
	sqlite3_reset(stmt);
	sqlite3_clear_bindings(stmt);
	for (size_t i = 0; i < db->cached; i++) {
		if (db->cache[i].stmt == stmt) {
			db->cache[i].in_use = false;
			return;
		}
	}
	sqlite3_finalize(stmt);
}

/* ${kept}: the values outlive the statement's use, so that SQLite needs no copies. */
static int bind(sqlite3_stmt *stmt, bool kept, const char *types, va_list ap)
{
	sqlite3_destructor_type copy = kept ? SQLITE_STATIC : SQLITE_TRANSIENT;
	if (strlen(types) != (size_t)sqlite3_bind_parameter_count(stmt))
		return SQLITE_RANGE;
	for (int i = 1; *types; types++, i++) {
		int rc = SQLITE_OK;
		switch (*types) {
		case 't': {
			const char *text = va_arg(ap, const char *);
			rc = sqlite3_bind_text(stmt, i, text, -1, copy);
			break;
		}
		case 'i':
			rc = sqlite3_bind_int64(stmt, i, va_arg(ap, int64_t));
			break;
		case 'd':
			rc = sqlite3_bind_double(stmt, i, va_arg(ap, double));
			break;
		case 'b': {
			const void *data = va_arg(ap, const void *);
			rc = sqlite3_bind_blob64(stmt, i, data, va_arg(ap, size_t), copy);
			break;
		}
		default:
			rc = SQLITE_MISUSE;
		}
		if (rc != SQLITE_OK)
			return rc;
	}
	return SQLITE_OK;
}

static sqlite3_stmt *prepare_bound(struct db *db, bool kept, struct err *err, const char *sql,
                                   const char *types, va_list ap)
{
	sqlite3_stmt *stmt = prepare(db, sql, err);
	if (!stmt)
		return NULL;
	int rc = bind(stmt, kept, types, ap);
	if (rc == SQLITE_OK)
		return stmt;
	fail(db, rc, err, "bind");
	release(db, stmt);
	return NULL;
}

int db_run(struct db *db, struct err *err, const char *sql, const char *types, ...)
{
	va_list ap;
	va_start(ap, types);
	sqlite3_stmt *stmt = prepare_bound(db, true, err, sql, types, ap);
	va_end(ap);
	if (!stmt)
		return -1;
	int rc;
	while ((rc = step(stmt)) == SQLITE_ROW)
		;
	int result = rc == SQLITE_DONE ? 0 : fail(db, rc, err, "write");
	db->changes = result ? 0 : sqlite3_changes64(db->handle);
	release(db, stmt);
	return result;
}

int64_t db_changes(struct db *db)
{
	return db->changes;
}

int64_t db_last_id(struct db *db)
{
	return sqlite3_last_insert_rowid(db->handle);
}

int db_query(struct db *db, struct query *q, struct err *err, const char *sql, const char *types, ...)
{
	va_list ap;
	va_start(ap, types);
	sqlite3_stmt *stmt = prepare_bound(db, false, err, sql, types, ap);
	va_end(ap);
	if (!stmt)
		return -1;
	q->stmt = stmt;
	q->db = db;
	return 0;
}

int query_next(struct query *q, struct err *err)
{
	if (!q->stmt)
		return 0;
	int rc = step(q->stmt);
	if (rc == SQLITE_ROW)
		return 1;
	int result = rc == SQLITE_DONE ? 0 : fail(q->db, rc, err, "read");
	query_end(q); /* another step would start it again */
	return result;
}

const char *query_text(struct query *q, int column)
{
	return (const char *)sqlite3_column_text(q->stmt, column);
}

char *query_copy(struct query *q, int column)
{
	const char *text = query_text(q, column);
	return text ? mem_strdup(text) : NULL;
}

int64_t query_int(struct query *q, int column)
{
	return sqlite3_column_int64(q->stmt, column);
}

double query_double(struct query *q, int column)
{
	return sqlite3_column_double(q->stmt, column);
}

bool query_is_null(struct query *q, int column)
{
	return sqlite3_column_type(q->stmt, column) == SQLITE_NULL;
}

void query_end(struct query *q)
{
	if (q->stmt)
		release(q->db, q->stmt);
	q->stmt = NULL;
}

/* First column of the first row, as ${text} or ${number}. Returns 1 when there was a row. */
static int get_one(struct db *db, struct err *err, char **text, int64_t *number, const char *sql,
                   const char *types, va_list ap)
{
	sqlite3_stmt *stmt = prepare_bound(db, true, err, sql, types, ap);
	if (!stmt)
		return -1;
	int rc = step(stmt);
	int result = rc == SQLITE_ROW ? 1 : 0;
	if (result && number)
		*number = sqlite3_column_int64(stmt, 0);
	if (result && text && sqlite3_column_type(stmt, 0) != SQLITE_NULL)
		*text = mem_strdup((const char *)sqlite3_column_text(stmt, 0));
	/* one that writes (RETURNING) commits with its last step, and only there is it told that it could not */
	while (rc == SQLITE_ROW && !sqlite3_stmt_readonly(stmt))
		rc = step(stmt);
	if (rc != SQLITE_ROW && rc != SQLITE_DONE) {
		result = fail(db, rc, err, "read");
		if (text)
			free(TAKE(*text));
	}
	release(db, stmt);
	return result;
}

int db_get_int(struct db *db, int64_t *value, struct err *err, const char *sql, const char *types, ...)
{
	va_list ap;
	va_start(ap, types);
	int rc = get_one(db, err, NULL, value, sql, types, ap);
	va_end(ap);
	return rc < 0 ? -1 : 0;
}

int db_get_text(struct db *db, char **value, struct err *err, const char *sql, const char *types, ...)
{
	va_list ap;
	va_start(ap, types);
	*value = NULL;
	int rc = get_one(db, err, value, NULL, sql, types, ap);
	va_end(ap);
	return rc < 0 ? -1 : 0;
}

int db_begin(struct db *db, struct err *err)
{
	return db_run(db, err, "BEGIN IMMEDIATE", "");
}

int db_commit(struct db *db, struct err *err)
{
	return db_run(db, err, "COMMIT", "");
}

void db_rollback(struct db *db)
{
	struct err ignored;
	if (db_in_transaction(db))
		db_run(db, &ignored, "ROLLBACK", "");
}

bool db_in_transaction(struct db *db)
{
	return !sqlite3_get_autocommit(db->handle);
}

int db_backup(struct db *db, const char *path, struct err *err)
{
	if (db_in_transaction(db))
		return err_set(err, ERR_STATE, "backup of %s: a transaction is open", db->path);
	int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return err_sys(err, errno, "create backup %s", path);
	close(fd);
	sqlite3 *to = NULL;
	int rc = sqlite3_open_v2(path, &to, SQLITE_OPEN_READWRITE, NULL);
	sqlite3_backup *backup = rc == SQLITE_OK ? sqlite3_backup_init(to, "main", db->handle, "main") : NULL;
	if (backup) {
		/* all pages in one step: in WAL mode this holds nobody up, and it cannot be made to start over by writers */
		sqlite3_backup_step(backup, -1);
		rc = sqlite3_backup_finish(backup);
	} else if (rc == SQLITE_OK) {
		rc = sqlite3_errcode(to);
	}
	sqlite3_close(to);
	if (rc == SQLITE_OK)
		return 0;
	unlink(path);
	fail(db, rc, err, "backup");
	return err_wrap(err, "to %s", path);
}
