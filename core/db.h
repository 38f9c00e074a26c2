/* SQLite as every part uses it: WAL, busy timeout, foreign keys, migrations by user_version, statements prepared
 * once per SQL text. Writers use db_begin (BEGIN IMMEDIATE): a deferred transaction that reads and then writes
 * fails at once with BUSY_SNAPSHOT whatever the timeout. One connection belongs to one thread. */
#ifndef CORE_DB_H
#define CORE_DB_H

#include "core/err.h"
#include <stdbool.h>
#include <stdint.h>

#define DB_BUSY_MS 5000

struct db;

enum db_durability { DB_NORMAL, DB_FULL }; /* PRAGMA synchronous */

/**
 * Open or create ${path} (0600) and bring it to the newest of ${migrations} (NULL-terminated list of SQL scripts;
 * script i takes user_version from i to i+1; what is missing runs in one transaction, so that a failure leaves the
 * old version whole). Returns 0 and transfers ${*db}, or -1: ERR_BUSY locked for longer than DB_BUSY_MS, ERR_STATE
 * written by a newer program, ERR_DB damaged, ERR_DENIED or ERR_IO. Not to be used over fork(2).
 */
int db_open(struct db **db, const char *path, const char *const *migrations, enum db_durability durability,
            struct err *err);
void db_close(struct db *db);

/** Whether the file that ${db} has open is no longer the one of its path: it was removed or moved, or another was put in its place.
 * What is written then is lost, and what others write is not seen. */
bool db_moved(struct db *db);

/* What the error of a damaged database says; other errors of ERR_DB do not. */
#define DB_DAMAGED "is damaged"

/* Called before each step of a statement when not NULL; a result code of SQLite other than 0 is what the step gives instead: how
 * tests fail, and kill a process, at every one of them. */
extern int (*db_hook)(const char *sql);

/** Wait ${ms} instead of DB_BUSY_MS for locks, on connections opened from now on in this process. */
void db_set_busy_ms(int ms);

/**
 * Run one statement that returns no rows. ${types} has a letter per bound value: t text (const char *, NULL binds
 * NULL), i int64_t, d double, b blob (const void *, size_t). Returns 0, or -1: ERR_EXISTS for a unique
 * constraint, ERR_BUSY, ERR_DB (message holds SQLite's, never bound values). May block up to DB_BUSY_MS.
 */
int db_run(struct db *db, struct err *err, const char *sql, const char *types, ...);

/** Rows changed by the last db_run. */
int64_t db_changes(struct db *db);
/** Row id of the last insert. */
int64_t db_last_id(struct db *db);

/* A query walks its rows and is over at their end, at an error, or with query_end (cleanup_query). The same SQL text may
 * be in use by several at once. Before db_close all must be over. */
struct query {
	void *stmt; /* private */
	struct db *db;
};
#define cleanup_query __attribute__((cleanup(query_end)))
#define QUERY_INIT ((struct query){0})

int db_query(struct db *db, struct query *q, struct err *err, const char *sql, const char *types, ...);
/** Step to the next row: 1 row, 0 end (also when asked again), -1 error. */
int query_next(struct query *q, struct err *err);
const char *query_text(struct query *q, int column); /* NULL for SQL NULL; borrowed until the next step */
char *query_copy(struct query *q, int column);       /* the same, transferred */
int64_t query_int(struct query *q, int column);      /* 0 for NULL */
double query_double(struct query *q, int column);
bool query_is_null(struct query *q, int column);
void query_end(struct query *q);

/** Run a query (or one statement with RETURNING) whose first row's first column is an integer; ${*value} keeps its
 * content when there is no row. */
int db_get_int(struct db *db, int64_t *value, struct err *err, const char *sql, const char *types, ...);
/** The same for text: transfers a copy, or NULL when there is no row or SQL NULL. */
int db_get_text(struct db *db, char **value, struct err *err, const char *sql, const char *types, ...);

/* Transactions do not nest. db_rollback is safe after a failed commit or with none open. */
int db_begin(struct db *db, struct err *err);
int db_commit(struct db *db, struct err *err);
void db_rollback(struct db *db);
bool db_in_transaction(struct db *db);

/** Copy the live database to the new file ${path} (0600) with SQLite's online backup. Writers go on meanwhile. Returns 0,
 * or -1 with no file left: ERR_EXISTS, ERR_STATE when a transaction is open here, …. Blocks until done. */
int db_backup(struct db *db, const char *path, struct err *err);

#endif
