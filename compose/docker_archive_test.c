/* Archives of a scripted engine: whole, refused, broken off, silent, and not wanted any more. */
#include "compose/docker_archive.h"
#include "compose/docker_wire_testing.h"
#include <fcntl.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>

#define CHUNKED "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
#define REFUSED                                                                                              \
	"HTTP/1.1 404 Not Found\r\nContent-Type: application/json\r\n\r\n{\"message\":\"Could not find the " \
	"file /x\"}"
#define BODY ((size_t)4 << 20)

static int get(const char *wire, size_t piece, int stop_fd, char *buf, size_t size, struct err *err)
{
	int ends[2];
	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	*err = (struct err){0};
	script(&(struct answer){wire, wire ? strlen(wire) : 0, piece}, 1);
	int rc = docker_archive_get("c", "/x y", ends[1], stop_fd, err);
	played();
	close(ends[1]);
	ssize_t n = read(ends[0], buf, size - 1);
	buf[n > 0 ? n : 0] = '\0';
	close(ends[0]);
	assert_string_equal(engine.requests[0], "GET /v1.41/containers/c/archive?path=%2Fx%20y HTTP/1.1");
	return rc;
}

static void out_as_it_was_sent(void **state)
{
	static const struct {
		const char *wire, *got, *says;
		int rc;
		enum err_code code;
	} cases[] = {
	        {CHUNKED "3\r\nabc\r\n4\r\ndefg\r\n0\r\n\r\n", "abcdefg", "", 0, ERR_NONE},
	        {CHUNKED "3\r\nabc\r\n4\r\nde", "abcde", "read /x y: Docker", -1, ERR_ENGINE},
	        {REFUSED, "", "Could not find the file /x", -1, ERR_NOT_FOUND},
	        {"garbage\r\n\r\n", "", "read /x y", -1, ERR_ENGINE},
	};
	(void)state;
	for (size_t i = 0; i < 2 * ARRAY_LEN(cases); i++) {
		size_t c = i / 2;
		char buf[64];
		struct err err;
		int rc = get(cases[c].wire, i % 2, 0, buf, sizeof(buf), &err);
		if (rc != cases[c].rc || err.code != cases[c].code || strcmp(buf, cases[c].got) ||
		    !strstr(err.msg, cases[c].says))
			fail_msg("%zu: %d '%s' %s: %s", c, rc, buf, err_name(err.code), err.msg);
	}
}

static void nobody_reads_or_waits(void **state)
{
	static const char wire[] = CHUNKED "3\r\nabc\r\n0\r\n\r\n";
	int ends[2];
	char buf[8];
	struct err err = {0};
	(void)state;
	/* whoever does not read it any more says why himself */
	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	close(ends[0]);
	script_text(wire);
	assert_int_equal(docker_archive_get("c", "/", ends[1], 0, &err), 0);
	played();
	close(ends[1]);
	assert_string_equal(engine.requests[0], "GET /v1.41/containers/c/archive?path=%2F. HTTP/1.1");
	/* a full disk is no such reader */
	cleanup_close int full = open("/dev/full", O_WRONLY | O_CLOEXEC);
	script_text(wire);
	assert_int_equal(docker_archive_get("c", "/", full, 0, &err), -1);
	played();
	assert_int_equal(err.code, ERR_IO);
	/* an engine that says nothing, until it is told to stop */
	cleanup_close int stop = eventfd(1, EFD_CLOEXEC);
	assert_int_equal(get(NULL, 0, stop, buf, sizeof(buf), &err), -1);
	assert_int_equal(err.code, ERR_CANCELLED);
	assert_int_equal(docker_archive_get("../c", "/", full, 0, &err), -1);
	assert_int_equal(err.code, ERR_INVALID);
}

static void *fill(void *arg)
{
	cleanup_close int fd = *(int *)arg;
	cleanup_free char *bytes = mem_alloc(BODY);
	for (size_t left = BODY; left;) {
		ssize_t n = write(fd, bytes, left);
		if (n < 0)
			break;
		left -= (size_t)n;
	}
	return NULL;
}

/* What another thread writes into a pipe, without an end that is known before. */
static int put(const char *wire, int stop_fd, struct err *err)
{
	int ends[2];
	pthread_t thread;
	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	*err = (struct err){0};
	script(&(struct answer){wire, wire ? strlen(wire) : 0, 0}, 1);
	assert_int_equal(pthread_create(&thread, NULL, fill, &ends[1]), 0);
	int rc = docker_archive_put("c", "/d", ends[0], stop_fd, err);
	close(ends[0]);
	pthread_join(thread, NULL);
	played();
	assert_string_equal(engine.requests[0],
	                    "PUT /v1.41/containers/c/archive?path=%2Fd&noOverwriteDirNonDir=true HTTP/1.1");
	return rc;
}

static void in_as_it_comes(void **state)
{
	struct err err;
	cleanup_close int stop = eventfd(1, EFD_CLOEXEC);
	(void)state;
	if (put("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", 0, &err))
		fail_msg("%s", err.msg);
	assert_int_equal(engine.zeros, BODY); /* all of it */
	/* refused before all of it was sent */
	assert_int_equal(put(REFUSED, 0, &err), -1);
	assert_int_equal(err.code, ERR_NOT_FOUND);
	assert_non_null(strstr(err.msg, "write below /d: Docker: Could not find the file"));
	assert_int_equal(put("", 0, &err), -1); /* hangs up */
	assert_int_equal(err.code, ERR_ENGINE);
	assert_int_equal(put(NULL, stop, &err), -1);
	assert_int_equal(err.code, ERR_CANCELLED);
}

/* The time to stop comes while nothing has come in for a while. */
static void nothing_comes_in(void **state)
{
	struct err err = {0};
	int ends[2];
	const struct itimerspec soon = {.it_value.tv_nsec = 100 * 1000000};
	cleanup_close int stop = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
	(void)state;
	assert_int_equal(timerfd_settime(stop, 0, &soon, NULL) | pipe2(ends, O_CLOEXEC), 0);
	script(&(struct answer){NULL, 0, 0}, 1);
	assert_int_equal(docker_archive_put("c", "/d", ends[0], stop, &err), -1);
	assert_int_equal(err.code, ERR_CANCELLED);
	played();
	close(ends[0]);
	close(ends[1]);
}

static void users_by_name_and_number(void **state)
{
	static const char passwd[] =
	        "root:x:0:0::/:/bin/sh\nshort:x\nbot:x:1001:1002:Bot:/home:/bin/sh\nodd:x:a:b:::\n";
	static const struct {
		const char *user;
		int64_t uid, gid;
		int rc;
		bool asks;
	} cases[] = {
	        {"", 0, 0, 0, false},         {"1000", 1000, 0, 0, false}, {"1000:50", 1000, 50, 0, false},
	        {"bot", 1001, 1002, 0, true}, {"root", 0, 0, 0, true},     {"bot:7", 1001, 7, 0, true},
	        {"nobody", 0, 0, -1, true},   {"odd", 0, 0, -1, true},     {"short", 0, 0, -1, true},
	};
	(void)state;
	struct str tar = STR_INIT;
	str_add(&tar, "HTTP/1.1 200 OK\r\n\r\n");
	test_docker_tar(&tar, "passwd", NULL, passwd, sizeof(passwd) - 1);
	test_docker_tar_end(&tar);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct err err = {0};
		int64_t uid = -1, gid = -1;
		cleanup_free char *info = mem_printf(HEAD "{\"Config\":{\"User\":\"%s\"}}", cases[i].user);
		script((const struct answer[]){{info, strlen(info), 0}, {tar.p, tar.len, 0}},
		       cases[i].asks ? 2 : 1);
		int rc = docker_user("c", &uid, &gid, &err);
		played();
		if (rc != cases[i].rc || (rc == 0 && (uid != cases[i].uid || gid != cases[i].gid)))
			fail_msg("%s: %d, %lld:%lld %s", cases[i].user, rc, (long long)uid, (long long)gid,
			         err.msg);
	}
	str_free(&tar);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(out_as_it_was_sent),       cmocka_unit_test(nobody_reads_or_waits),
	        cmocka_unit_test(in_as_it_comes),           cmocka_unit_test(nothing_comes_in),
	        cmocka_unit_test(users_by_name_and_number),
	};
	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests_name("docker_archive", tests, setup, teardown);
}
