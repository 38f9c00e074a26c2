/* The engine's events, as they happen. */
#include "compose/docker_events.h"
#include "compose/docker.h"
#include "compose/docker_http.h"
#include "compose/podman.h"
#include "core/clock.h"
#include "core/mem.h"
#include <poll.h>
#include <string.h>

/* ---- bytes into events ---- */

static bool take_event(struct docker_event_reader *r)
{
	cleanup_json cJSON *event = json_parse(str_text(&r->line), r->line.len, &r->broken);

	str_cut(&r->line, 0);
	if (!cJSON_IsObject(event)) {
		err_set(&r->broken, ERR_ENGINE, "Docker sent something that is no event");
		return false;
	}
	if (docker_is_podman())
		podman_event(event);
	r->stopped = !r->fn(r->arg, event);
	return !r->stopped;
}

bool docker_event_feed(struct docker_event_reader *r, const char *data, size_t len)
{
	while (len) {
		const char *end = memchr(data, '\n', len);
		size_t n = end ? (size_t)(end - data) : len;

		str_addn(&r->line, data, n);
		if (r->line.overflow) {
			err_set(&r->broken, ERR_ENGINE, "Docker sent an event of more than %zu bytes",
			        DOCKER_EVENT_MAX);
			return false;
		}
		if (end && r->line.len && !take_event(r))
			return false;
		n += end != NULL;
		data += n;
		len -= n;
	}
	return true;
}

char *docker_event_path(int64_t since_ms, const char *label)
{
	cleanup_json cJSON *filters = json_object();

	json_add(filters, "label", json_array());
	cJSON_AddItemToArray(cJSON_GetObjectItem(filters, "label"), cJSON_CreateString(label));
	cleanup_free char *text = json_print(filters), *query = docker_escape(text);
	return mem_printf("/events?since=%lld.%09lld&filters=%s", (long long)(since_ms / 1000),
	                  (long long)(since_ms % 1000) * 1000000, query);
}

/* ---- until somebody says no ---- */

struct follower {
	struct docker_event_reader reader;
	bool (*go_on)(void *arg);
	void *arg;
	int wake_fd; /* go_on is asked at once when this is readable */
};

static bool take_events(void *arg, const char *data, size_t len)
{
	return docker_event_feed(&((struct follower *)arg)->reader, data, len);
}

static bool ask_follower(void *arg)
{
	struct follower *f = arg;

	f->reader.stopped = !f->go_on(f->arg);
	return !f->reader.stopped;
}

static int follow(struct follower *f, int64_t since_ms, const char *label, struct err *err)
{
	struct http_request req = {.on_data = take_events,
	                           .go_on = f->go_on ? ask_follower : NULL,
	                           .arg = f,
	                           .wake_fd = f->wake_fd,
	                           .total_ms = HTTP_NO_LIMIT};
	struct http_reply reply = {0};
	cleanup_free char *path = docker_event_path(since_ms, label);

	f->reader.line = STR_INIT_MAX(DOCKER_EVENT_MAX);
	int rc = docker_request(&req, path, &reply, err);
	str_free(&f->reader.line);
	if (f->reader.stopped)
		rc = 0;
	else if (f->reader.broken.code)
		rc = err_set(err, ERR_ENGINE, "events: %s", f->reader.broken.msg);
	else if (rc)
		rc = err_wrap(err, "events");
	else if (reply.status != 200)
		rc = docker_refusal(&reply, err), err->code = ERR_ENGINE;
	else
		rc = err_set(err, ERR_ENGINE, "events: Docker ended the stream");
	http_reply_free(&reply);
	return rc;
}

int docker_events(int64_t since_ms, const char *label, bool (*fn)(void *arg, const cJSON *event),
                  bool (*go_on)(void *arg), void *arg, struct err *err)
{
	struct follower f = {.reader = {.fn = fn, .arg = arg}, .go_on = go_on, .arg = arg};

	return follow(&f, since_ms, label, err);
}

/* ---- until the next one ---- */

struct pause {
	int fd;
	int64_t until_ms;
};

/* Our own healthchecks run programs. */
static bool is_nothing(void *arg, const cJSON *event)
{
	(void)arg;
	return !strncmp(json_text_or(event, "Action", ""), "exec_", 5);
}

static bool is_quiet(void *arg)
{
	const struct pause *p = arg;
	struct pollfd fd = {.fd = p->fd > 0 ? p->fd : -1, .events = POLLIN};

	return clock_mono_ms() < p->until_ms && poll(&fd, 1, 0) == 0;
}

int docker_await(int64_t since_ms, const char *label, int fd, int64_t timeout_ms, struct err *err)
{
	struct pause p = {.fd = fd, .until_ms = clock_mono_ms() + timeout_ms};
	struct follower f = {.reader = {.fn = is_nothing}, .go_on = is_quiet, .arg = &p, .wake_fd = fd};

	return follow(&f, since_ms, label, err);
}
