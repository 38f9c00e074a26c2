#include "compose/docker_logs.h"
#include "compose/docker.h"
#include "compose/docker_http.h"
#include "core/mem.h"
#include "core/text.h"
#include <string.h>

#define MAX_LINE ((size_t)64 << 10)
#define MAX_LINES ((size_t)8 << 20)

/* ---- bytes into lines ---- */

static void end_line(struct docker_log_reader *r, int stream)
{
	struct str *text = &r->lines[stream].text;
	struct docker_log_line line = {.ts = "", .stream = r->terminal ? 0 : stream};

	while (text->len && text->p[text->len - 1] == '\r')
		str_cut(text, text->len - 1);
	for (size_t i = 0; i < text->len; i++)
		if (!text->p[i])
			text->p[i] = '?';
	if (text->len)
		text_make_utf8(text->p, text->len);
	char *space = r->times && text->len ? strchr(text->p, ' ') : NULL;
	line.text = space ? space + 1 : str_text(text);
	line.len = text->len - (space ? (size_t)(line.text - text->p) : 0);
	if (space) {
		*space = '\0';
		line.ts = text->p;
	}
	r->fn(r->arg, &line);
	str_free(text);
	*text = STR_INIT_MAX(MAX_LINE);
	r->lines[stream].open = r->lines[stream].skip = false;
}

static void add_text(struct str *text, const char *data, size_t len)
{
	size_t room = text->max - text->len;

	str_addn(text, data, len < room ? len : room);
}

/* The engine keeps lines in parts of 16 KiB, each a frame that begins with the time when times were asked for. */
static void take_log(void *arg, int stream, const char *data, size_t len, bool first)
{
	struct docker_log_reader *r = arg;

	if (first && r->times && r->lines[stream].open)
		r->lines[stream].skip = true;
	while (len) {
		const char *end;

		if (r->lines[stream].skip) {
			r->lines[stream].skip = *data != ' ';
			data++, len--;
			continue;
		}
		end = memchr(data, '\n', len);
		size_t n = end ? (size_t)(end - data) : len;
		add_text(&r->lines[stream].text, data, n);
		r->lines[stream].open = true;
		if (end)
			end_line(r, stream);
		n += end != NULL;
		data += n;
		len -= n;
	}
}

void docker_log_reader_open(struct docker_log_reader *r, bool terminal, bool times,
                            void (*fn)(void *arg, const struct docker_log_line *line), void *arg)
{
	*r = (struct docker_log_reader){.frames = {.take = take_log, .arg = r},
	                                .fn = fn,
	                                .arg = arg,
	                                .terminal = terminal,
	                                .times = times};
	for (int s = DOCKER_STDOUT; s < DOCKER_STREAMS; s++)
		r->lines[s].text = STR_INIT_MAX(MAX_LINE);
}

int docker_log_reader_feed(struct docker_log_reader *r, const char *data, size_t len)
{
	if (r->terminal)
		take_log(r, DOCKER_STDOUT, data, len, false);
	else
		r->garbled = r->garbled || docker_frames_feed(&r->frames, data, len) != 0;
	return r->garbled ? -1 : 0;
}

void docker_log_reader_close(struct docker_log_reader *r)
{
	for (int s = DOCKER_STDOUT; s < DOCKER_STREAMS; s++) {
		if (r->lines[s].open)
			end_line(r, s);
		str_free(&r->lines[s].text);
	}
}

/* ---- what was written ---- */

/* The last lines: what stands before them is forgotten. */
struct last {
	struct docker_log_reader reader;
	bool entries; /* objects, else texts */
	cJSON *out;
	int n, most;
	size_t bytes;
};

static size_t size_of(const cJSON *item)
{
	return strlen(cJSON_IsString(item) ? item->valuestring : json_text_or(item, "msg", ""));
}

static cJSON *item_of(const struct last *l, const struct docker_log_line *line)
{
	if (!l->entries) {
		cleanup_free char *timed = *line->ts ? mem_printf("%s %s", line->ts, line->text) : NULL;
		return cJSON_CreateString(timed ? timed : line->text);
	}
	cJSON *entry = json_object();
	json_add_text(entry, "ts", line->ts);
	if (line->stream)
		json_add_text(entry, "stream", line->stream == DOCKER_STDOUT ? "stdout" : "stderr");
	json_add_text(entry, "msg", line->text);
	return entry;
}

static void keep_line(void *arg, const struct docker_log_line *line)
{
	struct last *l = arg;
	cJSON *item = item_of(l, line);

	cJSON_AddItemToArray(l->out, item);
	l->bytes += size_of(item);
	l->n++;
	while (l->n > l->most || l->bytes > MAX_LINES) {
		cJSON *oldest = cJSON_DetachItemFromArray(l->out, 0);
		l->bytes -= size_of(oldest);
		l->n--;
		cJSON_Delete(oldest);
	}
}

static bool feed(void *arg, const char *data, size_t len)
{
	return docker_log_reader_feed(arg, data, len) == 0;
}

static int fetch(struct last *l, const char *path, struct err *err)
{
	struct http_request req = {.on_data = feed, .arg = &l->reader};
	struct http_reply reply = {0};
	int rc = docker_request(&req, path, &reply, err);

	if (!rc && reply.status != 200)
		rc = docker_refusal(&reply, err);
	else if (!rc && l->reader.garbled)
		rc = err_set(err, ERR_ENGINE, "what Docker sent is no log");
	http_reply_free(&reply);
	return rc;
}

int docker_log_terminal(const char *container, struct err *err)
{
	cleanup_json cJSON *info = docker_inspect(container, err);
	return info ? json_bool(info, "Config.Tty", false) : -1;
}

/* Podman 4.3 counts the parts of a long line, and gives them in the wrong order; all lines it gives as they are. */
static char *tail_of(int n)
{
	return docker_is_podman() ? mem_strdup("tail=all") : mem_printf("tail=%d", n);
}

/* ${query} ("&since=…") is what is asked for besides; ${all}: the last lines are not the engine's to find. */
static cJSON *last_lines(struct last *l, const char *container, bool all, const char *query, bool times,
                         struct err *err)
{
	int terminal = docker_log_terminal(container, err);

	if (terminal < 0)
		return err_wrap(err, "logs of %s", container), NULL;
	cleanup_free char *tail = all ? mem_strdup("tail=all") : tail_of(l->most),
	                  *path = mem_printf("/containers/%s/logs?stdout=1&stderr=1&timestamps=%d&%s%s",
	                                     container, times, tail, query);
	cleanup_json cJSON *out = l->out = json_array();
	docker_log_reader_open(&l->reader, terminal, times, keep_line, l);
	int rc = fetch(l, path, err);
	docker_log_reader_close(&l->reader);
	if (rc)
		return err_wrap(err, "logs of %s", container), NULL;
	return TAKE(out);
}

cJSON *docker_logs(const char *container, int n, bool times, struct err *err)
{
	struct last l = {.most = n > 0 ? n : 0};

	return last_lines(&l, container, false, "", times, err);
}

static void add_bound(struct str *query, const char *key, int64_t ms)
{
	if (ms)
		str_addf(query, "&%s=%lld.%03lld", key, (long long)(ms / 1000), (long long)(ms % 1000));
}

/* The engine counts the last lines before it looks at their age: the last before a time must be found here. */
cJSON *docker_log_window(const char *container, const struct docker_log_window *w, struct err *err)
{
	struct last l = {.entries = true, .most = w->n > 0 ? w->n : 0};
	cleanup_str struct str query = STR_INIT;

	add_bound(&query, "since", w->since_ms);
	add_bound(&query, "until", w->until_ms);
	return last_lines(&l, container, w->until_ms != 0, str_text(&query), true, err);
}
