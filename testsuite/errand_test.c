/* The two ends of a socket pair in two processes, as the suite has them: what the target's own side would say must come through. */
#include "core/file.h"
#include "core/mem.h"
#include "testsuite/errand.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define BIG (3u << 20) /* more than a socket buffer holds */

struct bench {
	char dir[64];
	struct target *target;
	int pair[2];
};

static int setup(void **state)
{
	static struct bench b;
	struct err err = {0};
	memcpy(b.dir, "/tmp/cf-errand-XXXXXX", 22);
	assert_non_null(mkdtemp(b.dir));
	if (target_of_stack(&b.target, b.dir, json_object(), &err))
		fail_msg("%s", err.msg);
	cleanup_free char *text = mem_printf("%s/text", b.dir), *big = mem_printf("%s/big", b.dir);
	cleanup_free char *sub = mem_printf("%s/a/b", b.dir), *many = mem_alloc(BIG);
	memset(many, 'y', BIG);
	assert_int_equal(file_write(text, "line\n\"quoted\" \xff\n", 16, 0600, &err), 0);
	assert_int_equal(file_write(big, many, BIG, 0600, &err), 0);
	assert_int_equal(dir_make(sub, 0700, &err), 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, b.pair), 0);
	*state = &b;
	return 0;
}

static int teardown(void **state)
{
	struct bench *b = *state;
	struct err err;
	target_free(b->target);
	close(b->pair[0]);
	return tree_remove(b->dir, &err);
}

#define CHECK(cond)                                                                                          \
	if (!(cond))                                                                                         \
	return __LINE__ & 0x7f /* its line, near enough, is the exit code */

/* In the child, where cmocka must not be asked. */
static int questions(struct target *t)
{
	static const struct {
		const char *path;
		enum err_code code;
	} failing[] = {{"absent", ERR_NOT_FOUND}, {"a", ERR_INVALID}, {"text/below", ERR_NOT_FOUND}};
	struct err err = {0};
	cleanup_free char *text = NULL, *big = NULL;
	for (size_t i = 0; i < ARRAY_LEN(failing); i++) {
		char *none = NULL;
		CHECK(target_read(t, failing[i].path, 100, &none, &err) == -1);
		CHECK(err.code == failing[i].code && !none && strstr(err.msg, failing[i].path));
	}
	CHECK(target_read(t, "text", 16, &text, &err) == 0 && !strcmp(text, "line\n\"quoted\" \xff\n"));
	CHECK(target_read(t, "text", 15, &big, &err) == -1 && err.code == ERR_LIMIT);
	CHECK(target_read(t, "big", BIG, &big, &err) == 0 && strlen(big) == BIG);
	CHECK(target_has(t, "big", &err) == 1 && target_has(t, "a/b", &err) == 1);
	CHECK(target_has(t, "a/c", &err) == 0 && target_has(t, "text/below", &err) == 0);
	CHECK(target_service(t, "gateway", "restart", &err) == -1 && *err.msg);
	return 0;
}

static void lines_of(int fd, struct target *t, cJSON **outcome)
{
	cleanup_str struct str in = STR_INIT;
	char c;
	while (recv(fd, &c, 1, 0) == 1) {
		struct err err;
		str_addc(&in, c);
		if (c != '\n')
			continue;
		cleanup_json cJSON *line = json_parse(in.p, in.len, &err);
		assert_non_null(line);
		str_cut(&in, 0);
		if (json_at(line, "outcome"))
			*outcome = cJSON_Duplicate(line, true);
		else
			assert_int_equal(errand_serve(t, fd, line), 0);
	}
}

static void what_the_target_says_comes_through(void **state)
{
	struct bench *b = *state;
	cleanup_json cJSON *outcome = NULL;
	int status;
	pid_t pid = fork();
	if (pid == 0) {
		close(b->pair[0]);
		errand_through(b->target, &b->pair[1]);
		int rc = questions(b->target);
		cleanup_json cJSON *line = json_object();
		json_add_text(line, "outcome", "over");
		_exit(errand_line(b->pair[1], line) ? 127 : rc);
	}
	close(b->pair[1]);
	lines_of(b->pair[0], b->target, &outcome);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_string_equal(json_text(outcome, "outcome"), "over");
}

static void one_end_gone_is_an_error_for_the_other(void **state)
{
	struct bench *b = *state;
	struct err err = {0};
	int fd = dup(b->pair[1]);
	cleanup_json cJSON *question = json_object();
	json_add_text(question, "read", "big");
	json_add_int(question, "max", BIG);
	json_add_bool(question, "text", true);
	close(b->pair[1]);
	close(fd);
	assert_int_equal(errand_serve(b->target, b->pair[0], question), -1);
	errand_through(b->target, &b->pair[0]);
	assert_int_equal(target_has(b->target, "text", &err), -1);
	assert_int_equal(err.code, ERR_IO);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
	        T(what_the_target_says_comes_through),
	        T(one_end_gone_is_an_error_for_the_other),
	};
	return cmocka_run_group_tests_name("testsuite/errand", tests, NULL, NULL);
}
