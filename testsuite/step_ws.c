/* Steps of a WebSocket client: connect, send any frame, expect frames, a refusal or a close code. A connection stays open under
 * its name until the scenario ends or a step closes it. */
#include "core/mem.h"
#include "testsuite/probe.h"
#include "testsuite/steps.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SHOWN_FRAMES 4
#define SHOWN_BYTES 300

struct ws_open {
	char *name;
	struct probe *probe;
	char *seen[SHOWN_FRAMES]; /* the last frames, for messages */
	size_t n_seen;
	struct ws_open *next;
};

static const struct schema ws_expect_keys[] = {
        MATCH_KEYS,
        {.key = "json", .shape = SHAPE_CHECKS, .keys = match_json_schema},
        {.key = "closed", .shape = SHAPE_COUNT},
        {.key = "refused", .shape = SHAPE_COUNT},
        {.key = "next", .shape = SHAPE_FLAG},
        {.key = NULL},
};

static const struct schema ws_keys[] = {
        {.key = "to", .shape = SHAPE_TEXT},
        {.key = "path", .shape = SHAPE_TEXT},
        {.key = "token", .shape = SHAPE_TEXT},
        {.key = "connection", .shape = SHAPE_TEXT},
        {.key = "send", .shape = SHAPE_ANY},
        {.key = "binary", .shape = SHAPE_TEXT},
        {.key = "bytes", .shape = SHAPE_TEXT},
        {.key = "within", .shape = SHAPE_DURATION},
        {.key = "expect", .shape = SHAPE_OBJECT, .keys = ws_expect_keys},
        {.key = "save", .shape = SHAPE_MAP},
        {.key = "close", .shape = SHAPE_FLAG},
        {.key = NULL},
};

static void free_one(struct ws_open *w)
{
	probe_close(w->probe);
	for (size_t i = 0; i < SHOWN_FRAMES; i++)
		free(w->seen[i]);
	free(w->name);
	free(w);
}

void step_ws_end(struct play *p)
{
	while (p->sockets) {
		struct ws_open *next = p->sockets->next;
		free_one(p->sockets);
		p->sockets = next;
	}
}

static void close_one(struct play *p, struct ws_open *w)
{
	for (struct ws_open **at = &p->sockets; *at; at = &(*at)->next)
		if (*at == w) {
			*at = w->next;
			free_one(w);
			return;
		}
}

static int connect_new(struct play *p, const cJSON *args, const char *name, struct ws_open **out, int *status,
                       struct err *err)
{
	cleanup_free char *to = NULL, *path = NULL, *token = NULL, *url = NULL;
	if (step_text(p, args, "to", &to, err) || step_text(p, args, "path", &path, err) ||
	    step_text(p, args, "token", &token, err))
		return -1;
	const char *own = target_env(p->target, "GATEWAY_TOKEN");
	url = target_url(p->target, to ? to : "gateway/websocket", err);
	struct probe *probe;
	if (!url || probe_open(&probe, url, path, token ? (*token ? token : NULL) : own,
	                       step_deadline(p, args), status, err))
		return -1;
	struct ws_open *w = mem_alloc(sizeof(*w));
	w->name = mem_strdup(name);
	w->probe = probe;
	w->next = p->sockets;
	p->sockets = *out = w;
	return 0;
}

static struct ws_open *find(struct play *p, const char *name)
{
	for (struct ws_open *w = p->sockets; w; w = w->next)
		if (strcmp(w->name, name) == 0)
			return w;
	return NULL;
}

/* "ff fe" as bytes, sent in a text frame. */
static int send_bytes(struct ws_open *w, const char *hex, struct err *err)
{
	cleanup_str struct str bytes = STR_INIT;
	unsigned byte;
	int used;
	for (; sscanf(hex, " %2x%n", &byte, &used) == 1; hex += used)
		str_addc(&bytes, (char)byte);
	return probe_send(w->probe, PROBE_TEXT, str_text(&bytes), bytes.len, err);
}

static int send_frames(struct play *p, struct ws_open *w, const cJSON *args, struct err *err)
{
	const cJSON *send = cJSON_GetObjectItemCaseSensitive(args, "send");
	cleanup_free char *binary = NULL, *bytes = NULL, *text = NULL;
	if (step_text(p, args, "binary", &binary, err) || step_text(p, args, "bytes", &bytes, err))
		return -1;
	if (binary && probe_send(w->probe, PROBE_BINARY, binary, strlen(binary), err))
		return -1;
	if (bytes && send_bytes(w, bytes, err))
		return -1;
	if (!send)
		return 0;
	if (cJSON_IsString(send)) {
		text = vars_expand(p->vars, send->valuestring, err);
	} else {
		cleanup_json cJSON *expanded = vars_expand_json(p->vars, send, err);
		text = expanded ? json_print(expanded) : NULL;
	}
	return text ? probe_send(w->probe, PROBE_TEXT, text, strlen(text), err) : -1;
}

static int describe(struct play *p, const struct ws_open *w, const cJSON *want, const char *why,
                    const char *end, struct err *err)
{
	cleanup_str struct str text = STR_INIT;
	cleanup_free char *json = NULL;
	str_add(&text, "wanted a frame");
	match_describe(p->vars, want, &text);
	if (cJSON_HasObjectItem(want, "json"))
		json = json_print(cJSON_GetObjectItemCaseSensitive(want, "json"));
	if (json)
		str_addf(&text, " with %s", json);
	str_addf(&text, ", %s", end);
	if (*why)
		str_addf(&text, "; the last one %s", why);
	if (!w->n_seen)
		str_add(&text, "\n  no frame came");
	for (size_t i = w->n_seen > SHOWN_FRAMES ? w->n_seen - SHOWN_FRAMES : 0; i < w->n_seen; i++) {
		str_add(&text, "\n  frame ");
		match_quote(&text, w->seen[i % SHOWN_FRAMES], SHOWN_BYTES);
	}
	return err_set(err, ERR_FAILED, "%s", str_text(&text));
}

static void remember(struct ws_open *w, const char *frame)
{
	char **place = &w->seen[w->n_seen++ % SHOWN_FRAMES];
	free(*place);
	*place = mem_strdup(frame);
}

/* 1 as wanted, 0 not, -1. */
static int frame_met(struct play *p, const cJSON *args, const char *frame, struct str *why, struct err *err)
{
	const cJSON *want = cJSON_GetObjectItemCaseSensitive(args, "expect");
	const cJSON *save = cJSON_GetObjectItemCaseSensitive(args, "save");
	const cJSON *checks = cJSON_GetObjectItemCaseSensitive(want, "json");
	struct err not_json = {0};
	cleanup_json cJSON *doc = json_parse(frame, strlen(frame), &not_json);
	int met = match_text(p->vars, want, frame, why, err);
	if (met == 1 && checks)
		met = match_json(p->vars, checks, doc, why, err);
	if (met == 1 && save && match_save(p->vars, save, doc, err))
		return -1;
	return met;
}

/* Read until a frame is as wanted, or until the close that is wanted. */
static int expect_frames(struct play *p, struct ws_open *w, const cJSON *args, const cJSON *want,
                         struct err *err)
{
	int64_t closed, deadline = step_deadline(p, args);
	cleanup_str struct str why = STR_INIT;
	if (step_int(p, want, "closed", 0, &closed, err))
		return -1;
	for (;;) {
		cleanup_free char *frame = NULL;
		int code = 0, rc = probe_read(w->probe, deadline, &frame, &code, err);
		if (rc < 0)
			return -1;
		if (rc == 2 && closed && code == closed)
			return close_one(p, w), 0;
		if (rc == 2) {
			char end[64];
			snprintf(end, sizeof(end), "but the connection was closed with %d", code);
			return describe(p, w, want, str_text(&why), end, err);
		}
		if (rc == 0)
			return describe(p, w, want, str_text(&why),
			                closed ? "then a close, in vain" : "in vain", err);
		remember(w, frame);
		if (closed)
			continue;
		str_cut(&why, 0);
		int met = frame_met(p, args, frame, &why, err);
		if (met)
			return met > 0 ? 0 : -1;
		if (json_bool(want, "next", false))
			return describe(p, w, want, str_text(&why), "but something else came", err);
	}
}

static int refused_as(int64_t wanted, int status, int rc, struct err *err)
{
	if (rc == 0)
		return err_set(err, ERR_FAILED,
		               "wanted the connection refused with %lld, but it was accepted",
		               (long long)wanted);
	if (status == wanted)
		return 0;
	return err_wrap(err, "wanted the connection refused with %lld", (long long)wanted);
}

static int ws_run(struct play *p, const char *who, const cJSON *args, struct err *err)
{
	(void)who;
	const cJSON *want = cJSON_GetObjectItemCaseSensitive(args, "expect");
	cleanup_free char *name = NULL;
	int64_t refused;
	if (step_text(p, args, "connection", &name, err) || step_int(p, want, "refused", 0, &refused, err))
		return -1;
	struct ws_open *w = find(p, name ? name : "default");
	if (!w) {
		int status = 0, rc = connect_new(p, args, name ? name : "default", &w, &status, err);
		if (refused)
			return refused_as(refused, status, rc, err);
		if (rc)
			return -1;
	}
	if (send_frames(p, w, args, err) || (want && expect_frames(p, w, args, want, err)))
		return -1;
	if (json_bool(args, "close", false) && (w = find(p, name ? name : "default")))
		close_one(p, w);
	return 0;
}

const struct step_kind ws_steps[] = {
        {"ws", NULL, ws_keys, STEP_TARGET, ws_run},
        {.name = NULL},
};
