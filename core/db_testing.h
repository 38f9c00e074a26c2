/* What the tests of core/db share: a directory of their own, a history of four migrations, and statements that must work. */
#ifndef CORE_DB_TESTING_H
#define CORE_DB_TESTING_H

#include "core/db.h"
#include "core/file.h"
#include "core/mem.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
/* after the standard headers */
#include <cmocka.h>

static char dir[64], path[96];
static struct err err;

static const char *const migrations[] = {
        "CREATE TABLE notes (id INTEGER PRIMARY KEY, body TEXT NOT NULL UNIQUE) STRICT",
        "CREATE TABLE counter (n INTEGER NOT NULL CHECK (n >= 0)) STRICT; INSERT INTO counter VALUES (0)",
        "ALTER TABLE notes ADD COLUMN kind TEXT DEFAULT 'plain'",
        "CREATE TABLE tags (note INTEGER NOT NULL REFERENCES notes (id), name TEXT, weight REAL, raw BLOB) "
        "STRICT",
        NULL,
};
#define NEWEST 4

static int setup(void **state)
{
	(void)state;
	snprintf(dir, sizeof(dir), "/tmp/db_test.XXXXXX");
	snprintf(path, sizeof(path), "%s/x.db", mkdtemp(dir));
	err_clear(&err);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	db_set_busy_ms(DB_BUSY_MS);
	return tree_remove(dir, &err);
}

static struct db *opened(const char *const *list)
{
	struct db *db = NULL;
	if (db_open(&db, path, list, DB_NORMAL, &err))
		fail_msg("open: %s", err.msg);
	return db;
}

static int64_t number(struct db *db, const char *sql)
{
	int64_t n = -1;
	if (db_get_int(db, &n, &err, sql, ""))
		fail_msg("%s: %s", sql, err.msg);
	return n;
}

static void run(struct db *db, const char *sql)
{
	if (db_run(db, &err, sql, ""))
		fail_msg("%s: %s", sql, err.msg);
}

#endif
