#include "core/clock.h"
#include "core/loop.h"
#include "core/mem.h"
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

static struct loop *loop;
static int fired, drained;
static struct loop_timer *timer;
static struct loop_watch *watch;

static int open_loop(void **state)
{
	struct err err;

	(void)state;
	alarm(20);
	fired = drained = 0;
	return loop_open(&loop, &err);
}

static int shut_loop(void **state)
{
	(void)state;
	loop_close(loop);
	return 0;
}

static void count_and_stop(void *arg)
{
	fired++;
	if (fired == *(int *)arg)
		loop_stop(loop);
}

static void free_timer_and_stop(void *arg)
{
	(void)arg;
	loop_timer_free(timer);
	loop_stop(loop);
}

static void timer_fires_once_or_again(void **state)
{
	int once = 1, thrice = 4;
	int64_t start = clock_mono_ms();

	(void)state;
	timer = loop_timer_new(loop, count_and_stop, &once);
	assert_false(loop_timer_active(timer));
	loop_timer_set(timer, 20, 0);
	assert_true(loop_timer_active(timer));
	loop_run(loop);
	assert_in_range(clock_mono_ms() - start, 19, 2000);
	assert_false(loop_timer_active(timer));
	loop_timer_free(timer);
	timer = loop_timer_new(loop, count_and_stop, &thrice);
	loop_timer_set(timer, 0, 1);
	loop_run(loop);
	assert_int_equal(fired, 4);
	loop_timer_clear(timer);
	assert_false(loop_timer_active(timer));
	loop_timer_free(timer);
	loop_timer_free(NULL);
}

static void timer_may_free_itself(void **state)
{
	(void)state;
	timer = loop_timer_new(loop, free_timer_and_stop, NULL);
	loop_timer_set(timer, 1, 1);
	loop_run(loop);
}

static void long_callback_does_not_shorten_the_next_timer(void **state)
{
	int once = 1;

	(void)state;
	timer = loop_timer_new(loop, count_and_stop, &once);
	for (int64_t start = clock_mono_ms(); clock_mono_ms() - start < 60;)
		;
	int64_t start = clock_mono_ms();
	loop_timer_set(timer, 50, 0);
	loop_run(loop);
	assert_in_range(clock_mono_ms() - start, 49, 2000);
	loop_timer_free(timer);
}

static void free_watch_and_stop(void *arg)
{
	(void)arg;
	fired++;
	loop_watch_free(watch);
	loop_stop(loop);
}

static void watch_tells_of_data_and_of_the_end(void **state)
{
	int pair[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	watch = loop_watch_new(loop, pair[0], free_watch_and_stop, NULL);
	assert_non_null(watch);
	assert_null(loop_watch_new(loop, pair[0], free_watch_and_stop, NULL));
	assert_int_equal(write(pair[1], "x", 1), 1);
	loop_run(loop);
	assert_int_equal(fired, 1);
	/* unread data does not count as a hang-up, and does not hide one */
	watch = loop_watch_hangup(loop, pair[0], free_watch_and_stop, NULL);
	uv_run(loop_uv(loop), UV_RUN_NOWAIT);
	assert_int_equal(fired, 1);
	close(pair[1]);
	loop_run(loop);
	assert_int_equal(fired, 2);
	close(pair[0]);
	loop_watch_free(NULL);
}

static void what_cannot_be_watched_is_refused(void **state)
{
	(void)state;
	assert_null(loop_watch_new(loop, 9999, free_watch_and_stop, NULL));
	assert_null(loop_watch_new(loop, -1, free_watch_and_stop, NULL));
}

static void drain(void *arg)
{
	(void)arg;
	drained++;
	kill(getpid(), SIGINT);
}

static void signals_stop_or_drain(void **state)
{
	(void)state;
	kill(getpid(), SIGTERM);
	loop_run(loop);
	loop_close(loop);
	open_loop(state);
	loop_on_signal(loop, drain, NULL);
	kill(getpid(), SIGTERM);
	loop_run(loop); /* the second signal, sent by drain, ends it */
	assert_int_equal(drained, 1);
}

static void broken_pipe_is_no_death(void **state)
{
	int fds[2];

	(void)state;
	assert_int_equal(pipe(fds), 0);
	close(fds[0]);
	assert_int_equal(write(fds[1], "x", 1), -1);
	close(fds[1]);
}

static void close_takes_what_was_left(void **state)
{
	static uv_timer_t stray;
	int pair[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	uv_timer_init(loop_uv(loop), &stray);
	uv_timer_start(&stray, (uv_timer_cb)(void (*)(void))abort, 3600000, 0);
	watch = loop_watch_new(loop, pair[0], free_watch_and_stop, NULL);
	loop_watch_free(watch); /* its memory goes with the loop, which did not run since */
	close(pair[0]);
	close(pair[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test_setup_teardown(timer_fires_once_or_again, open_loop, shut_loop),
	        cmocka_unit_test_setup_teardown(timer_may_free_itself, open_loop, shut_loop),
	        cmocka_unit_test_setup_teardown(long_callback_does_not_shorten_the_next_timer, open_loop,
	                                        shut_loop),
	        cmocka_unit_test_setup_teardown(watch_tells_of_data_and_of_the_end, open_loop, shut_loop),
	        cmocka_unit_test_setup_teardown(what_cannot_be_watched_is_refused, open_loop, shut_loop),
	        cmocka_unit_test_setup_teardown(signals_stop_or_drain, open_loop, shut_loop),
	        cmocka_unit_test_setup_teardown(broken_pipe_is_no_death, open_loop, shut_loop),
	        cmocka_unit_test_setup_teardown(close_takes_what_was_left, open_loop, shut_loop),
	};

	return cmocka_run_group_tests_name("core/loop", tests, NULL, NULL);
}
