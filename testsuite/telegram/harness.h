/* The server in a child process, driven over HTTP as a bot and a person would. For the tests of this folder only:
 * each includes it once, so everything here is static. */
#ifndef TESTSUITE_TELEGRAM_HARNESS_H
#define TESTSUITE_TELEGRAM_HARNESS_H

#include "core/clock.h"
#include "core/file.h"
#include "core/http_client.h"
#include "core/log.h"
#include "core/mem.h"
#include "testsuite/telegram/server.h"
#include "testsuite/telegram/user_api.h"
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define TOKEN "4242:abcdefghijklmnopqrstuvwxyz012345678"
#define KEY "00112233445566778899aabbccddeeff"
#define ANNA 1001
#define BORIS 1002

#define HARNESS static __attribute__((unused))

static struct server {
	char dir[64];
	pid_t pid;
	int port;
	struct user_api *api;
} server;

HARNESS void child(int out, bool flood)
{
	cleanup_json cJSON *credentials =
	        cJSON_Parse("{\"token\":\"" TOKEN "\",\"username\":\"x_bot\",\"key\":\"" KEY
	                    "\",\"users\":[{\"id\":1001,\"name\":\"Anna\",\"role\":\"admin\"}]}");
	struct telegram_options options = {.dir = server.dir, .flood_limits = flood};
	struct loop *loop;
	struct tg *tg;
	struct err err;

	log_open("test", LOG_ERROR);
	if (loop_open(&loop, &err) < 0 || telegram_open(&tg, loop, &options, credentials, &err) < 0) {
		fprintf(stderr, "%s\n", err.msg);
		_exit(1);
	}
	int port = telegram_port(tg);
	if (write(out, &port, sizeof(port)) != sizeof(port))
		_exit(1);
	loop_run(loop);
	telegram_close(tg);
	loop_close(loop);
	_exit(0);
}

HARNESS void start(bool flood)
{
	int fds[2];

	assert_int_equal(pipe(fds), 0);
	server.pid = fork();
	if (server.pid == 0)
		child(fds[1], flood);
	close(fds[1]);
	assert_int_equal(read(fds[0], &server.port, sizeof(server.port)), sizeof(server.port));
	close(fds[0]);
	cleanup_free char *base = mem_printf("http://127.0.0.1:%d/", server.port);
	server.api = user_api_new(base, KEY);
}

HARNESS int stop(int signal)
{
	int status = -1;

	kill(server.pid, signal);
	while (waitpid(server.pid, &status, 0) < 0 && errno == EINTR)
		;
	user_api_free(server.api);
	return status;
}

HARNESS int fresh(void **state)
{
	(void)state;
	snprintf(server.dir, sizeof(server.dir), "/tmp/telegram-test-XXXXXX");
	assert_non_null(mkdtemp(server.dir));
	start(false);
	return 0;
}

HARNESS int fresh_with_limits(void **state)
{
	(void)state;
	snprintf(server.dir, sizeof(server.dir), "/tmp/telegram-test-XXXXXX");
	assert_non_null(mkdtemp(server.dir));
	start(true);
	return 0;
}

HARNESS int gone(void **state)
{
	struct err err;

	(void)state;
	int status = stop(SIGTERM);
	tree_remove(server.dir, &err);
	return status == 0 ? 0 : -1;
}

/* One request: the status (0: no answer) and the JSON of the answer. */
HARNESS long fetch(const struct http_request *request, cJSON **json, struct http_reply *keep)
{
	struct http_reply reply = {0};
	struct err err;

	if (json)
		*json = NULL;
	if (http_fetch(request, &reply, &err) < 0)
		return 0;
	if (json)
		*json = cJSON_Parse(reply.body);
	long status = reply.status;
	if (keep)
		*keep = reply;
	else
		http_reply_free(&reply);
	return status;
}

HARNESS char *url_of(const char *path)
{
	return mem_printf("http://127.0.0.1:%d%s", server.port, path);
}

/* A Bot API call with a JSON body. */
HARNESS long call(const char *method, const char *body, cJSON **json)
{
	cleanup_free char *path = mem_printf("/bot%s/%s", TOKEN, method), *url = url_of(path);
	struct http_request request = {.method = "POST",
	                               .url = url,
	                               .content_type = "application/json",
	                               .body = body,
	                               .body_len = strlen(body),
	                               .total_ms = 60000};

	return fetch(&request, json, NULL);
}

HARNESS void expect(const char *method, const char *body, long status, const char *description)
{
	cleanup_json cJSON *json = NULL;
	long got = call(method, body, &json);
	const char *text = json_text(json, "description");

	if (got != status || (description && (text == NULL || strcmp(text, description) != 0)))
		print_message("%s %.200s\n", method, body);
	assert_int_equal(got, status);
	if (description) {
		assert_non_null(text);
		assert_string_equal(text, description);
		assert_int_equal(json_int(json, "error_code", 0), status);
		assert_false(json_bool(json, "ok", true));
	}
}

HARNESS cJSON *ok(const char *method, const char *body)
{
	cJSON *json = NULL;
	long status = call(method, body, &json);

	if (status != 200) {
		cleanup_free char *text = json_print(json);
		print_message("%s %.200s → %ld %s\n", method, body, status, text);
	}
	assert_int_equal(status, 200);
	assert_true(json_bool(json, "ok", false));
	return json;
}

HARNESS void done(const char *method, const char *body)
{
	cJSON_Delete(ok(method, body));
}

HARNESS int64_t sent(const char *body)
{
	cleanup_json cJSON *json = ok("sendMessage", body);

	return json_int(json, "result.message_id", 0);
}

/* A user-side POST that must work. */
HARNESS cJSON *person(const char *path, const char *body)
{
	cleanup_json cJSON *json = cJSON_Parse(body);
	struct err err;

	assert_non_null(json);
	cJSON *answer = user_api_post(server.api, path, json, &err);
	if (answer == NULL)
		print_message("%s %s: %s\n", path, body, err.msg);
	assert_non_null(answer);
	return answer;
}

HARNESS int64_t said(const char *text)
{
	cleanup_free char *body = mem_printf("{\"user\":%d,\"text\":\"%s\"}", ANNA, text);
	cleanup_json cJSON *answer = person("/user/message", body);

	return json_int(answer, "update_id", 0);
}

HARNESS void refused(const char *path, const char *body)
{
	cleanup_json cJSON *json = cJSON_Parse(body);
	struct err err;

	assert_null(user_api_post(server.api, path, json, &err));
	assert_int_equal(err.code, ERR_INVALID);
}

HARNESS void order(const char *body)
{
	cJSON_Delete(person("/user/fault", body));
}

HARNESS int updates(const char *body)
{
	cleanup_json cJSON *json = ok("getUpdates", body);

	return cJSON_GetArraySize(json_at(json, "result"));
}

HARNESS long fetch_with(const char *path, const char *const *headers)
{
	cleanup_free char *url = url_of(path);

	return fetch(&(struct http_request){.url = url, .headers = headers}, NULL, NULL);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fresh, gone)

#endif
