/* The database is lost, or comes back as it was when it was backed up. */
#ifndef SESSIONS_TEST_ROLLBACK_H
#define SESSIONS_TEST_ROLLBACK_H

#include "sessions/test_stack.h"

static inline void unlink_database(struct test_state *t)
{
	static const char *const ends[] = {"", "-wal", "-shm"};
	for (size_t i = 0; i < ARRAY_LEN(ends); i++) {
		cleanup_free char *path = mem_printf("%s/codefoundry.db%s", t->dir, ends[i]);
		unlink(path);
	}
}

static inline void lose_database(struct test_state *t)
{
	test_state_disconnect(t);
	unlink_database(t);
	test_sessions_connect(t);
}

static inline void back_up(struct test_state *t)
{
	cleanup_free char *path = mem_printf("%s/old.db", t->dir);
	assert_ok(db_backup(t->st->db, path, err));
}

static inline void roll_back(struct test_state *t)
{
	cleanup_free char *path = mem_printf("%s/old.db", t->dir),
	                  *db = mem_printf("%s/codefoundry.db", t->dir);
	test_state_disconnect(t);
	unlink_database(t);
	assert_int_equal(rename(path, db), 0);
	test_sessions_connect(t);
}

#endif
