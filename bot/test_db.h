/* For unit tests: a bot.db of its own in a directory of its own. */
#ifndef BOT_TEST_DB_H
#define BOT_TEST_DB_H

#include "bot/store.h"
#include "core/mem.h"
#include "jobs/test_state.h"
#include <inttypes.h>

struct test_db {
	char dir[64];
	struct db *db;
};

static inline void test_db_connect(struct test_db *t)
{
	assert_ok(store_open(&t->db, t->dir, err));
}

static inline void test_db_open(struct test_db *t)
{
	bool changed;
	snprintf(t->dir, sizeof(t->dir), "/tmp/codefoundry-bot.XXXXXX");
	assert_non_null(mkdtemp(t->dir));
	test_db_connect(t);
	assert_ok(store_identify(t->db, 77, &changed, err));
}

static inline void test_db_close(struct test_db *t)
{
	db_close(t->db);
	assert_ok(tree_remove(t->dir, err));
}

static inline int64_t test_db_int(struct test_db *t, const char *sql)
{
	int64_t value = -1;
	assert_ok(db_get_int(t->db, &value, err, sql, ""));
	return value;
}

#endif
