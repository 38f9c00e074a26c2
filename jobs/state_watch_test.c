#include "jobs/state_watch.h"
#include "jobs/test_state.h"

#define LIMIT_MS 10000

struct fixture {
	struct test_state t;
	struct loop *loop;
	struct state_watch *watch;
	struct loop_timer *later, *limit;
};

static void stop(void *arg)
{
	loop_stop(((struct fixture *)arg)->loop);
}

static int setup(void **data)
{
	struct fixture *f = mem_alloc(sizeof(*f));
	test_state_open(&f->t);
	assert_ok(loop_open(&f->loop, err));
	state_watch_ms = 5;
	f->limit = loop_timer_new(f->loop, stop, f);
	f->watch = state_watch_new(f->t.st, f->loop);
	*data = f;
	return 0;
}

static int teardown(void **data)
{
	struct fixture *f = *data;
	loop_timer_free(f->later);
	loop_timer_free(f->limit);
	loop_close(f->loop);
	test_state_close(&f->t);
	free(f);
	return 0;
}

/* After several looks. */
static void run_and_do(struct fixture *f, loop_fn *fn)
{
	f->later = loop_timer_new(f->loop, fn, f);
	loop_timer_set(f->later, 50, 0);
	loop_timer_set(f->limit, LIMIT_MS, 0);
	loop_run(f->loop);
}

static void what_stays_is_no_reason_to_end(void **data)
{
	struct fixture *f = *data;
	run_and_do(f, stop);
	assert_ok(state_watch_end(f->watch, err));
	assert_ok(state_watch_end(NULL, err));
}

static void assert_ends(struct fixture *f, loop_fn *fn)
{
	struct err err = {0};
	run_and_do(f, fn);
	assert_int_equal(state_watch_end(f->watch, &err), -1);
	assert_int_equal(err.code, ERR_STATE);
	assert_non_null(strstr(err.msg, f->t.dir));
}

static void remove_database(void *arg)
{
	struct fixture *f = arg;
	cleanup_free char *path = state_path(f->t.st, "codefoundry.db");
	assert_int_equal(unlink(path), 0);
}

static void a_database_that_is_gone_ends_it(void **data)
{
	assert_ends(*data, remove_database);
}

/* A backup is put in its place: the path is there all the time. */
static void restore(void *arg)
{
	struct fixture *f = arg;
	cleanup_free char *path = state_path(f->t.st, "codefoundry.db"), *old = state_path(f->t.st, "old.db");
	assert_ok(db_backup(f->t.st->db, old, err));
	assert_int_equal(rename(old, path), 0);
}

static void another_database_ends_it(void **data)
{
	assert_ends(*data, restore);
}

static void move_directory(void *arg)
{
	struct fixture *f = arg;
	cleanup_free char *away = mem_printf("%s.away", f->t.dir);
	assert_int_equal(rename(f->t.dir, away), 0);
}

static void a_directory_that_was_moved_ends_it(void **data)
{
	struct fixture *f = *data;
	cleanup_free char *away = mem_printf("%s.away", f->t.dir);
	assert_ends(f, move_directory);
	assert_int_equal(rename(away, f->t.dir), 0);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	        TEST(what_stays_is_no_reason_to_end),
	        TEST(a_database_that_is_gone_ends_it),
	        TEST(another_database_ends_it),
	        TEST(a_directory_that_was_moved_ends_it),
	};
	return cmocka_run_group_tests_name("state_watch", tests, NULL, NULL);
}
