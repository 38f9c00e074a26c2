/* Logs of containers as they are written. Each container's answer ends when it does; the engine's events tell when it was started
 * again, and it is followed on from behind the last line. All on one loop. */
#include "compose/docker_events.h"
#include "compose/docker_http.h"
#include "compose/docker_logs.h"
#include "compose/override.h"
#include "core/clock.h"
#include "core/loop.h"
#include "core/mem.h"
#include "jobs/line.h"
#include "sessions/compose_private.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#define LINE_MAX_BYTES (64 << 10)
#define CONTAINERS_MAX 256
#define TIME_LEN 30 /* of the engine's times */

struct source {
	struct tracker *tracker;
	char *id, *service;
	bool terminal;
	char last[TIME_LEN + 1]; /* the time of the last line; "" when there was none */
	char *said;              /* the last line itself, where times are whole seconds (Podman): others may be of the same */
	bool again_said;         /* what was given already comes once more, up to that line */
	struct docker_log_reader reader;
	struct http_call *call; /* NULL: it does not run, as far as we heard */
	bool again;             /* it was started while its last answer was still open */
	bool gone;              /* it was removed */
};

struct tracker {
	struct loop *loop;
	struct http_client *client;
	struct source list[CONTAINERS_MAX];
	size_t n;
	int64_t begun_ms;
	struct docker_event_reader events;
	logs_fn *fn;
	void *arg;
	struct err err; /* why it ended, when not because it should */
};

/* -- what was written -- */

static void clean_entry(cJSON *entry)
{
	const char *msg = json_text_or(entry, "msg", "");
	cleanup_free char *clean = line_clean(msg, strlen(msg), LINE_MAX_BYTES);
	cJSON_ReplaceItemInObject(entry, "msg", cJSON_CreateString(clean));
}

static cJSON *window_of(const char *id, const struct logs_window *w, struct err *err)
{
	const struct docker_log_window window = {w->n, w->since_ms, w->until_ms};
	cJSON *entries = docker_log_window(id, &window, err), *entry;
	cJSON_ArrayForEach(entry, entries) clean_entry(entry);
	return entries;
}

/* The windows of the containers ${ids}, merged under ${names}. */
static cJSON *windows(const char *const *ids, const char *const *names, int n, const struct logs_window *w,
                      struct err *err)
{
	cJSON *logs[CONTAINERS_MAX], *merged = NULL;
	int count = 0;
	while (count < n && (logs[count] = window_of(ids[count], w, err)))
		count++;
	if (count == n)
		merged = logs_merge(logs, names, n, w->n);
	while (count > 0)
		cJSON_Delete(logs[--count]);
	return merged;
}

cJSON *compose_logs(struct state *st, const struct session_row *row, const char *service,
                    const struct logs_window *w, struct err *err)
{
	const char *ids[CONTAINERS_MAX], *names[CONTAINERS_MAX];
	int n = 0;
	provider_open(st->cfg, st->dir);
	cleanup_json cJSON *list = compose_containers(st, row, service, err);
	const cJSON *c;
	cJSON_ArrayForEach(c, list)
	{
		if (n == CONTAINERS_MAX)
			break;
		ids[n] = json_text_or(c, "id", "");
		names[n++] = service;
	}
	return list ? windows(ids, names, n, w, err) : NULL;
}

/* -- what comes -- */

static void note_last(struct source *s, const char *ts, const char *msg)
{
	if (!*ts || strlen(ts) > TIME_LEN || strcmp(ts, s->last) < 0)
		return;
	snprintf(s->last, sizeof(s->last), "%s", ts);
	free(s->said);
	s->said = strchr(ts, '.') ? NULL : mem_strdup(msg);
}

/* Whether it was given before the answer that it is in now began. */
static bool is_repeated(struct source *s, const char *ts, const char *msg)
{
	bool repeated = s->again_said && !strcmp(ts, s->last);
	s->again_said = repeated && strcmp(msg, s->said) != 0;
	return repeated;
}

static void take_line(void *arg, const struct docker_log_line *line)
{
	struct source *s = arg;
	cleanup_free char *clean = line_clean(line->text, line->len, LINE_MAX_BYTES);
	if (is_repeated(s, line->ts, clean))
		return;
	note_last(s, line->ts, clean);
	cleanup_json cJSON *entry = json_object();
	json_add_text(entry, "ts", line->ts);
	if (line->stream)
		json_add_text(entry, "stream", line->stream == DOCKER_STDOUT ? "stdout" : "stderr");
	json_add_text(entry, "msg", clean);
	json_add_text(entry, "service", s->service);
	if (s->tracker->fn(s->tracker->arg, entry))
		loop_stop(s->tracker->loop);
}

static bool take_log(void *arg, const char *data, size_t len)
{
	struct source *s = arg;
	return docker_log_reader_feed(&s->reader, data, len) == 0;
}

/* The moment behind the last line, or the beginning, as the engine reads times: seconds and nanoseconds. */
static void since_of(const struct source *s, char *buf, size_t size)
{
	const char *dot = strchr(s->last, '.');
	int64_t ms = *s->last ? clock_parse_iso(s->last) : s->tracker->begun_ms;
	long long ns = dot ? atoll(dot + 1) + 1 : (ms % 1000) * 1000000;
	snprintf(buf, size, "%lld.%09lld", (long long)(ms / 1000) + ns / 1000000000, ns % 1000000000);
}

static void open_source(struct source *s);

/* It ended, or cannot be read: events tell when there is more. */
static void log_ended(void *arg, const struct http_response *res, const struct err *err)
{
	struct source *s = arg;
	(void)res, (void)err;
	docker_log_reader_close(&s->reader);
	s->call = NULL;
	if (s->again)
		open_source(s);
}

static void open_source(struct source *s)
{
	char since[48];
	struct http_request req = {.on_data = take_log, .total_ms = HTTP_NO_LIMIT};
	since_of(s, since, sizeof(since));
	cleanup_free char *path = mem_printf("/containers/%s/logs?stdout=1&stderr=1&follow=1&timestamps=1"
	                                     "&tail=all&since=%s",
	                                     s->id, since);
	s->again = false;
	s->again_said = s->said != NULL;
	docker_log_reader_open(&s->reader, s->terminal, true, take_line, s);
	s->call = docker_start(s->tracker->client, &req, path, log_ended, s, &s->tracker->err);
	if (!s->call)
		loop_stop(s->tracker->loop);
}

/* -- events -- */

static struct source *find_source(struct tracker *t, const char *id)
{
	for (size_t i = 0; i < t->n; i++)
		if (!strcmp(t->list[i].id, id))
			return &t->list[i];
	return NULL;
}

/* A container made anew for a service that is followed. */
static struct source *adopt(struct tracker *t, const char *id, const char *service)
{
	for (size_t i = 0; service && i < t->n; i++) {
		struct source *s = &t->list[t->n];
		if (strcmp(t->list[i].service, service) != 0 || t->n == CONTAINERS_MAX)
			continue;
		*s = (struct source){.tracker = t,
		                     .id = mem_strdup(id),
		                     .service = mem_strdup(service),
		                     .terminal = t->list[i].terminal};
		t->n++;
		return s;
	}
	return NULL;
}

static bool all_gone(const struct tracker *t)
{
	for (size_t i = 0; i < t->n; i++)
		if (!t->list[i].gone)
			return false;
	return true;
}

static bool take_event(void *arg, const cJSON *event)
{
	struct tracker *t = arg;
	const char *action = json_text_or(event, "Action", ""), *id = json_text_or(event, "Actor.ID", "");
	const cJSON *service =
	        cJSON_GetObjectItemCaseSensitive(json_at(event, "Actor.Attributes"), LABEL_SERVICE);
	struct source *s = find_source(t, id);
	bool start = !strcmp(action, "start");
	if (start && !s)
		s = adopt(t, id, cJSON_GetStringValue(service));
	if (start && s && !s->call)
		open_source(s);
	else if (start && s)
		s->again = true;
	if (s && !strcmp(action, "destroy")) {
		s->gone = true;
		if (all_gone(t))
			loop_stop(t->loop);
	}
	return true;
}

static bool take_events(void *arg, const char *data, size_t len)
{
	return docker_event_feed(&((struct tracker *)arg)->events, data, len);
}

static void events_ended(void *arg, const struct http_response *res, const struct err *err)
{
	struct tracker *t = arg;
	(void)res;
	err_set(&t->err, ERR_ENGINE, "Docker does not tell any more what happens: %s",
	        err                     ? err->msg
	        : *t->events.broken.msg ? t->events.broken.msg
	                                : "it ended the stream");
	loop_stop(t->loop);
}

static int watch_events(struct tracker *t, const struct session_row *row, struct err *err)
{
	struct http_request req = {.on_data = take_events, .total_ms = HTTP_NO_LIMIT};
	cleanup_free char *label = mem_printf(LABEL_SESSION "=%s", row->uuid),
	                  *path = docker_event_path(t->begun_ms, label);
	t->events = (struct docker_event_reader){
	        .fn = take_event, .arg = t, .line = STR_INIT_MAX(DOCKER_EVENT_MAX)};
	return docker_start(t->client, &req, path, events_ended, t, err) ? 0 : -1;
}

/* -- all of it -- */

static int open_sources(struct tracker *t, struct state *st, const struct session_row *row,
                        const cJSON *services, struct err *err)
{
	const cJSON *service, *c;
	cJSON_ArrayForEach(service, services)
	{
		cleanup_json cJSON *list = compose_containers(st, row, service->valuestring, err);
		if (!list)
			return -1;
		cJSON_ArrayForEach(c, list)
		{
			if (t->n == CONTAINERS_MAX)
				break;
			const char *id = json_text_or(c, "id", "");
			int terminal = docker_log_terminal(id, err);
			if (terminal < 0)
				return -1;
			t->list[t->n++] = (struct source){.tracker = t,
			                                  .id = mem_strdup(id),
			                                  .service = mem_strdup(service->valuestring),
			                                  .terminal = terminal};
		}
	}
	return 0;
}

/* The last lines of all, and from where each is followed on. Returns 1 when nobody wants more. */
static int give_windows(struct tracker *t, const struct logs_window *w, struct err *err)
{
	const char *ids[CONTAINERS_MAX], *names[CONTAINERS_MAX];
	for (size_t i = 0; i < t->n; i++) {
		ids[i] = t->list[i].id;
		names[i] = t->list[i].id; /* several may be of one service */
	}
	cleanup_json cJSON *merged = windows(ids, names, (int)t->n, w, err);
	cJSON *entry;
	cJSON_ArrayForEach(entry, merged)
	{
		struct source *s = find_source(t, json_text_or(entry, "service", ""));
		note_last(s, json_text_or(entry, "ts", ""), json_text_or(entry, "msg", ""));
		cJSON_ReplaceItemInObject(entry, "service", cJSON_CreateString(s->service));
		if (t->fn(t->arg, entry))
			return 1;
	}
	return merged ? 0 : -1;
}

static void reader_left(void *arg)
{
	loop_stop(((struct tracker *)arg)->loop);
}

/* Until a signal, the end of who reads standard output, or of the containers. */
static int track(struct tracker *t, const struct session_row *row, struct err *err)
{
	/* watched through an epoll instance of its own: the loop would make standard output non-blocking */
	cleanup_close int output = epoll_create1(EPOLL_CLOEXEC);
	struct epoll_event hangup = {0};
	struct loop_watch *watch = NULL;
	if (output >= 0 && epoll_ctl(output, EPOLL_CTL_ADD, STDOUT_FILENO, &hangup) == 0)
		watch = loop_watch_new(t->loop, output, reader_left, t);
	int rc = watch_events(t, row, err);
	for (size_t i = 0; rc == 0 && i < t->n; i++)
		open_source(&t->list[i]);
	if (rc == 0)
		loop_run(t->loop);
	loop_watch_free(watch);
	return rc;
}

/* The loop comes first: a signal that arrives while the last lines are asked for waits in it. */
static int track_on_loop(struct tracker *t, const struct session_row *row, const struct logs_window *w,
                         struct err *err)
{
	if (loop_open(&t->loop, err))
		return -1;
	int rc = http_client_open(&t->client, t->loop, err);
	if (rc == 0)
		rc = give_windows(t, w, err);
	if (rc == 0)
		rc = track(t, row, err);
	http_client_close(t->client);
	loop_close(t->loop);
	if (rc == 0 && t->err.code) {
		*err = t->err;
		rc = -1;
	}
	return rc;
}

int compose_follow(struct state *st, const struct session_row *row, const cJSON *services,
                   const struct logs_window *w, logs_fn *fn, void *arg, struct err *err)
{
	provider_open(st->cfg, st->dir);
	struct tracker *t = mem_alloc(sizeof(*t));
	*t = (struct tracker){.fn = fn, .arg = arg, .begun_ms = clock_now_ms()};
	int rc = open_sources(t, st, row, services, err);
	if (rc == 0)
		rc = track_on_loop(t, row, w, err);
	for (size_t i = 0; i < t->n; i++) {
		for (int stream = DOCKER_STDOUT; stream < DOCKER_STREAMS; stream++)
			str_free(&t->list[i].reader.lines[stream].text);
		free(t->list[i].id);
		free(t->list[i].said);
		free(t->list[i].service);
	}
	str_free(&t->events.line);
	free(t);
	return rc < 0 ? -1 : 0;
}
