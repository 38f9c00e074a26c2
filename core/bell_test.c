#include "core/bell.h"
#include "core/clock.h"
#include "core/file.h"
#include "core/mem.h"
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
/* after the standard headers */
#include <cmocka.h>

static char dir[64];
static struct err err;

static int setup(void **state)
{
	(void)state;
	snprintf(dir, sizeof(dir), "/tmp/bell_test.XXXXXX");
	return mkdtemp(dir) ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	return tree_remove(dir, &err);
}

static struct bell *follow(void)
{
	struct bell *bell = NULL;
	if (bell_open(&bell, dir, &err))
		fail_msg("%s", err.msg);
	return bell;
}

static bool readable(const struct bell *bell)
{
	struct pollfd p = {.fd = bell_fd(bell), .events = POLLIN};
	return poll(&p, 1, 0) == 1;
}

static void rings_are_heard_once(void **state)
{
	(void)state;
	bell_ring(dir); /* before anybody follows */
	struct bell *a = follow(), *b = follow();
	assert_int_equal(bell_wait(a, 0), 0);
	for (int i = 0; i < 5000; i++) /* more than the kernel's queue would hold */
		bell_ring(dir);
	assert_true(readable(a));
	assert_int_equal(bell_wait(a, 1000), 1);
	assert_int_equal(bell_wait(a, 0), 0);
	assert_int_equal(bell_wait(b, 1000), 1); /* each on its own */
	bell_ring(dir);
	bell_drain(a);
	assert_false(readable(a));
	bell_drain(a);
	bell_close(a);
	bell_close(b);
	bell_close(NULL);
}

static void waits_no_longer_than_asked(void **state)
{
	(void)state;
	struct bell *bell = follow();
	static const int64_t waits[] = {-5, INT64_MIN, 0, 30};
	for (size_t i = 0; i < ARRAY_LEN(waits); i++) {
		int64_t start = clock_mono_ms();
		assert_int_equal(bell_wait(bell, waits[i]), 0);
		assert_in_range(clock_mono_ms() - start, waits[i] > 0 ? waits[i] - 1 : 0, 5000);
	}
	bell_ring(dir);
	assert_int_equal(bell_wait(bell, INT64_MAX), 1);
	bell_close(bell);
}

static void another_process_rings(void **state)
{
	(void)state;
	struct bell *bell = follow();
	pid_t pid = fork();
	if (pid == 0) {
		bell_ring(dir);
		_exit(0);
	}
	assert_int_equal(bell_wait(bell, 10000), 1);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	bell_close(bell);
}

static void a_replaced_bell_is_followed_again(void **state)
{
	(void)state;
	struct bell *bell = follow();
	cleanup_free char *path = mem_printf("%s/bell", dir);
	assert_int_equal(unlink(path), 0);
	bell_wait(bell, 1000); /* somebody has to look */
	bell_drain(bell);
	bell_ring(dir);
	assert_int_equal(bell_wait(bell, 1000), 1);
	bell_close(bell);
}

static void bad_places(void **state)
{
	(void)state;
	struct bell *bell = NULL;
	cleanup_free char *missing = mem_printf("%s/none", dir), *path = mem_printf("%s/bell", dir);
	assert_int_equal(bell_open(&bell, missing, &err), -1);
	assert_null(bell);
	assert_non_null(strstr(err.msg, missing));
	bell_ring(missing); /* nothing to report, nothing made */
	assert_false(path_exists(missing));
	assert_int_equal(mkfifo(path, 0600), 0);
	bell_ring(dir); /* does not wait for a reader */
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
	        TEST(rings_are_heard_once),
	        TEST(waits_no_longer_than_asked),
	        TEST(another_process_rings),
	        TEST(a_replaced_bell_is_followed_again),
	        TEST(bad_places),
	};
	return cmocka_run_group_tests_name("core/bell", tests, NULL, NULL);
}
