/* What the engine sends bit by bit: logs and events. */
#include "compose/docker.h"
#include "compose/docker_frames.h"
#include "compose/docker_http.h"
#include "core/mem.h"
#include "core/str.h"
#include "core/text.h"
#include <stdio.h>
#include <string.h>

#define MAX_LINE ((size_t)64 << 10)
#define MAX_LINES ((size_t)8 << 20)
#define MAX_EVENT ((size_t)1 << 20)

/* ---- logs ---- */

struct log_lines {
	struct docker_frames frames;
	bool terminal; /* no frames */
	bool garbled;
	bool times;
	cJSON *out;
	int n, most;
	size_t bytes;
	struct {
		struct str text;
		bool open; /* begun, not ended */
		bool skip; /* the time that begins the next part of a long line */
	} lines[DOCKER_STREAMS];
};

static void end_line(struct log_lines *l, int stream)
{
	struct str *text = &l->lines[stream].text;

	while (text->len && text->p[text->len - 1] == '\r')
		str_cut(text, text->len - 1);
	for (size_t i = 0; i < text->len; i++)
		if (!text->p[i])
			text->p[i] = '?';
	if (text->len)
		text_make_utf8(text->p, text->len);
	cJSON_AddItemToArray(l->out, cJSON_CreateString(str_text(text)));
	l->bytes += text->len;
	l->n++;
	while (l->n > l->most || l->bytes > MAX_LINES) {
		cJSON *oldest = cJSON_DetachItemFromArray(l->out, 0);
		l->bytes -= strlen(oldest->valuestring);
		l->n--;
		cJSON_Delete(oldest);
	}
	str_free(text);
	*text = STR_INIT_MAX(MAX_LINE);
	l->lines[stream].open = l->lines[stream].skip = false;
}

static void add_text(struct str *text, const char *data, size_t len)
{
	size_t room = text->max - text->len;

	str_addn(text, data, len < room ? len : room);
}

/* The engine keeps lines in parts of 16 KiB, each a frame that begins with the time when times were asked for. */
static void take_log(void *arg, int stream, const char *data, size_t len, bool first)
{
	struct log_lines *l = arg;

	if (first && l->times && l->lines[stream].open)
		l->lines[stream].skip = true;
	while (len) {
		const char *end;

		if (l->lines[stream].skip) {
			l->lines[stream].skip = *data != ' ';
			data++, len--;
			continue;
		}
		end = memchr(data, '\n', len);
		size_t n = end ? (size_t)(end - data) : len;
		add_text(&l->lines[stream].text, data, n);
		l->lines[stream].open = true;
		if (end)
			end_line(l, stream);
		n += end != NULL;
		data += n;
		len -= n;
	}
}

static bool take_logs(void *arg, const char *data, size_t len)
{
	struct log_lines *l = arg;

	if (l->terminal)
		take_log(l, DOCKER_STDOUT, data, len, false);
	else
		l->garbled = docker_frames_feed(&l->frames, data, len) != 0;
	return !l->garbled;
}

static int fetch_logs(struct log_lines *l, const char *path, struct err *err)
{
	struct http_request req = {.on_data = take_logs, .arg = l};
	struct http_reply reply = {0};
	int rc = docker_request(&req, path, &reply, err);

	if (!rc && reply.status != 200)
		rc = docker_refusal(&reply, err);
	else if (!rc && l->garbled)
		rc = err_set(err, ERR_ENGINE, "what Docker sent is no log");
	http_reply_free(&reply);
	for (int s = DOCKER_STDOUT; s < DOCKER_STREAMS; s++) {
		if (l->lines[s].open)
			end_line(l, s);
		str_free(&l->lines[s].text);
	}
	return rc;
}

cJSON *docker_logs(const char *container, int n, bool times, struct err *err)
{
	struct log_lines l = {.frames = {.take = take_log, .arg = &l}, .times = times, .most = n > 0 ? n : 0};

	if (docker_check_id(container, err))
		return NULL;
	cleanup_free char *about = mem_printf("/containers/%s/json", container);
	cleanup_free char *path = mem_printf("/containers/%s/logs?stdout=1&stderr=1&tail=%d&timestamps=%d",
	                                     container, l.most, times);
	cleanup_json cJSON *info = docker_get(about, err);
	if (!info)
		return err_wrap(err, "logs of %s", container), NULL;
	l.terminal = json_bool(info, "Config.Tty", false);
	cleanup_json cJSON *out = l.out = json_array();
	for (int s = DOCKER_STDOUT; s < DOCKER_STREAMS; s++)
		l.lines[s].text = STR_INIT_MAX(MAX_LINE);
	if (fetch_logs(&l, path, err))
		return err_wrap(err, "logs of %s", container), NULL;
	return TAKE(out);
}

/* ---- events ---- */

struct follower {
	bool (*fn)(void *arg, const cJSON *event);
	bool (*go_on)(void *arg);
	void *arg;
	struct str line;
	bool stopped; /* one of them said no */
	struct err broken;
};

static bool take_event(struct follower *f)
{
	cleanup_json cJSON *event = json_parse(str_text(&f->line), f->line.len, &f->broken);

	str_cut(&f->line, 0);
	if (!cJSON_IsObject(event)) {
		err_set(&f->broken, ERR_ENGINE, "Docker sent something that is no event");
		return false;
	}
	f->stopped = !f->fn(f->arg, event);
	return !f->stopped;
}

static bool take_events(void *arg, const char *data, size_t len)
{
	struct follower *f = arg;

	while (len) {
		const char *end = memchr(data, '\n', len);
		size_t n = end ? (size_t)(end - data) : len;

		str_addn(&f->line, data, n);
		if (f->line.overflow) {
			err_set(&f->broken, ERR_ENGINE, "Docker sent an event of more than %zu bytes",
			        MAX_EVENT);
			return false;
		}
		if (end && f->line.len && !take_event(f))
			return false;
		n += end != NULL;
		data += n;
		len -= n;
	}
	return true;
}

static bool ask_follower(void *arg)
{
	struct follower *f = arg;

	f->stopped = !f->go_on(f->arg);
	return !f->stopped;
}

int docker_events(int64_t since_ms, const char *label, bool (*fn)(void *arg, const cJSON *event),
                  bool (*go_on)(void *arg), void *arg, struct err *err)
{
	struct follower f = {.fn = fn, .go_on = go_on, .arg = arg, .line = STR_INIT_MAX(MAX_EVENT)};
	struct http_request req = {.on_data = take_events,
	                           .go_on = go_on ? ask_follower : NULL,
	                           .arg = &f,
	                           .total_ms = HTTP_NO_LIMIT};
	cleanup_json cJSON *filters = json_object();
	struct http_reply reply = {0};

	json_add(filters, "label", json_array());
	cJSON_AddItemToArray(cJSON_GetObjectItem(filters, "label"), cJSON_CreateString(label));
	cleanup_free char *text = json_print(filters), *query = docker_escape(text);
	cleanup_free char *path =
	        mem_printf("/events?since=%lld.%09lld&filters=%s", (long long)(since_ms / 1000),
	                   (long long)(since_ms % 1000) * 1000000, query);
	int rc = docker_request(&req, path, &reply, err);
	str_free(&f.line);
	if (f.stopped)
		rc = 0;
	else if (f.broken.code)
		rc = err_set(err, ERR_ENGINE, "events: %s", f.broken.msg);
	else if (rc)
		rc = err_wrap(err, "events");
	else if (reply.status != 200)
		rc = docker_refusal(&reply, err), err->code = ERR_ENGINE;
	else
		rc = err_set(err, ERR_ENGINE, "events: Docker ended the stream");
	http_reply_free(&reply);
	return rc;
}
