/* For unit tests: a Bot API server on the test's own loop that answers what the test scripted, once each, in order, and
 * otherwise as a friendly server would; getUpdates without a script is held. */
#ifndef BOT_TEST_SERVER_H
#define BOT_TEST_SERVER_H

#include "bot/api.h"
#include "core/clock.h"
#include "core/http_server.h"
#include "core/mem.h"
#include "jobs/test_state.h"
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#define FAKE_TOKEN "77:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
#define FAKE_CALLS 4096
#define FAKE_DEADLINE_MS 10000
#define FAKE_DROP (-1) /* as status: hang up */
#define FAKE_HOLD (-2) /* as status: never answer */

struct fake_script {
	const char *method;
	int status;
	const char *body;
	bool used;
};

struct fake {
	struct loop *loop;
	struct http_server *server;
	char url[64];
	struct fake_script script[64];
	size_t n_script, n;
	struct {
		char method[32];
		cJSON *body;
		int64_t at;
	} calls[FAKE_CALLS];
	int64_t message_id;
	struct http_exchange *held[16];
	size_t n_held;
	bool (*until)(void *arg);
	void *until_arg;
	int64_t deadline;
	bool late;
	struct loop_timer *watch;
};

static inline void fake_on(struct fake *f, const char *method, int status, const char *body)
{
	assert_true(f->n_script < ARRAY_LEN(f->script));
	f->script[f->n_script++] = (struct fake_script){method, status, body, false};
}

static inline void fake_answer(struct fake *f, struct http_exchange *x, int status, const char *body)
{
	if (status == FAKE_DROP)
		http_drop(x);
	else if (status == FAKE_HOLD && f->n_held < ARRAY_LEN(f->held))
		f->held[f->n_held++] = x;
	else
		http_answer_text(x, status, body && body[0] == '<' ? "text/html" : "application/json", body);
}

static inline void fake_handle(void *arg, struct http_exchange *x)
{
	struct fake *f = arg;
	struct err err = {0};
	char ok[96];
	size_t len;
	const char *slash = strrchr(http_path(x), '/'), *body = http_body(x, &len);
	const char *method = slash ? slash + 1 : "";
	assert_true(f->n < FAKE_CALLS);
	snprintf(f->calls[f->n].method, sizeof(f->calls[0].method), "%s", method);
	f->calls[f->n].body = json_parse(body ? body : "", len, &err);
	f->calls[f->n++].at = clock_mono_ms();
	for (size_t i = 0; i < f->n_script; i++) {
		if (!f->script[i].used && strcmp(f->script[i].method, method) == 0) {
			f->script[i].used = true;
			fake_answer(f, x, f->script[i].status, f->script[i].body);
			return;
		}
	}
	if (strcmp(method, "getUpdates") == 0) {
		fake_answer(f, x, FAKE_HOLD, NULL);
		return;
	}
	snprintf(ok, sizeof(ok),
	         "{\"ok\":true,\"result\":{\"message_id\":%" PRId64 ",\"username\":\"test_bot\"}}",
	         ++f->message_id);
	fake_answer(f, x, 200, ok);
}

static inline void fake_watch(void *arg)
{
	struct fake *f = arg;
	f->late = clock_mono_ms() > f->deadline;
	if (f->late || f->until(f->until_arg))
		loop_stop(f->loop);
}

static inline void fake_open(struct fake *f, struct loop *loop)
{
	memset(f, 0, sizeof(*f));
	f->loop = loop;
	f->message_id = 100;
	struct http_server_options options = {0};
	assert_ok(http_server_open(&f->server, loop, &options, fake_handle, f, err));
	snprintf(f->url, sizeof(f->url), "http://127.0.0.1:%d", http_server_port(f->server));
	f->watch = loop_timer_new(loop, fake_watch, f);
}

static inline void fake_close(struct fake *f)
{
	for (size_t i = 0; i < f->n; i++)
		cJSON_Delete(f->calls[i].body);
	http_server_close(f->server);
	loop_timer_free(f->watch);
}

/* Run the loop until ${until} holds; it must, within the deadline. */
static inline void fake_run(struct fake *f, bool (*until)(void *arg), void *arg)
{
	f->until = until;
	f->until_arg = arg;
	f->deadline = clock_mono_ms() + FAKE_DEADLINE_MS;
	f->late = false;
	loop_timer_set(f->watch, 1, 1);
	loop_run(f->loop);
	loop_timer_clear(f->watch);
	assert_false(f->late);
}

static inline size_t fake_count(const struct fake *f, const char *method)
{
	size_t n = 0;
	for (size_t i = 0; i < f->n; i++)
		n += strcmp(f->calls[i].method, method) == 0;
	return n;
}

/* Call ${k} (from 0) of ${method}; its place in calls[]. */
static inline size_t fake_nth(const struct fake *f, const char *method, size_t k)
{
	for (size_t i = 0; i < f->n; i++)
		if (strcmp(f->calls[i].method, method) == 0 && k-- == 0)
			return i;
	fail_msg("there was no such call of %s", method);
	return 0;
}

static inline const char *fake_text(const struct fake *f, const char *method, size_t k)
{
	const char *text = json_text(f->calls[fake_nth(f, method, k)].body, "text");
	return text ? text : "";
}

#endif
