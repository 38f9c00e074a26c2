#include "core/mem.h"
#include "core/net.h"
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
/* after the standard headers */
#include <cmocka.h>

static char name[64];

static int setup(void **state)
{
	(void)state;
	snprintf(name, sizeof(name), "net-test-%d", (int)getpid());
	return 0;
}

static void a_port_is_had_once(void **state)
{
	(void)state;
	int port = 0, again;
	struct err err = {0};
	cleanup_close int fd = net_listen("127.0.0.1", 0, &port, &err);
	assert_true(fd >= 0 && port > 0);
	assert_int_equal(net_listen("127.0.0.1", port, &again, &err), -1);
	assert_int_equal(err.code, ERR_EXISTS);
	assert_int_equal(net_probe("127.0.0.1", port, &err), -1);
	close(TAKE_FD(fd));
	assert_int_equal(net_probe("127.0.0.1", port, &err), 0);
	assert_int_equal(net_listen("nowhere", 1, &again, &err), -1);
	assert_int_equal(err.code, ERR_INVALID);
}

static void a_claim_is_had_once(void **state)
{
	(void)state;
	int other = 0;
	cleanup_close int fd = -1;
	assert_true(net_claim(name, &fd));
	assert_true(fd >= 0);
	assert_false(net_claim(name, &other));
	assert_int_equal(other, -1);
	close(TAKE_FD(fd));
	assert_true(net_claim(name, &fd));
	assert_true(fd >= 0);
}

/* Whoever has it may be killed. */
static void a_claim_ends_with_its_process(void **state)
{
	(void)state;
	int ready[2];
	char c;
	cleanup_close int fd = -1;
	assert_int_equal(pipe(ready), 0);
	pid_t pid = fork();
	if (pid == 0) {
		_exit(!net_claim(name, &fd) || write(ready[1], "", 1) != 1 || pause());
	}
	assert_int_equal(read(ready[0], &c, 1), 1);
	assert_false(net_claim(name, &fd));
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	assert_true(net_claim(name, &fd));
	assert_true(fd >= 0);
	close(ready[0]);
	close(ready[1]);
}

/* It would be another's shorter one. */
static void a_name_too_long_is_nobodys(void **state)
{
	(void)state;
	char longer[200];
	int fd = 0;
	memset(longer, 'x', sizeof(longer) - 1);
	longer[sizeof(longer) - 1] = '\0';
	assert_true(net_claim(longer, &fd));
	assert_int_equal(fd, -1);
	assert_true(net_claim(longer, &fd));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(a_port_is_had_once),
	        cmocka_unit_test(a_claim_is_had_once),
	        cmocka_unit_test(a_claim_ends_with_its_process),
	        cmocka_unit_test(a_name_too_long_is_nobodys),
	};
	return cmocka_run_group_tests(tests, setup, NULL);
}
