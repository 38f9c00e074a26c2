#include "bot/link_frames.h"
#include "bot/buttons.h"
#include "bot/callbacks.h"
#include "bot/markdown.h"
#include "core/clock.h"
#include "core/log.h"
#include "core/mem.h"
#include "core/text.h"
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define RETRY_MS (24 * 3600 * INT64_C(1000))
#define MAX_OPTIONS 10
#define LABEL_UNITS 40

/* The end of a request, in one transaction: its state, its message. */
static void settle(struct link *l, struct request *r, const char *state, const char *html,
                   const char *buttons)
{
	struct err err = {0};
	if (!db_in_transaction(l->db) && db_begin(l->db, &err)) {
		log_error("an answer of the gateway cannot be recorded: %s", err.msg);
		return;
	}
	if (db_run(l->db, &err, "UPDATE requests SET state = ?, changed_at = ? WHERE id = ?", "tit", state,
	           clock_now_ms(), r->id) == 0 &&
	    progress_end(l->progress, "request", r->id, html, buttons, &err) == 0 &&
	    db_commit(l->db, &err) == 0) {
		link_forget(l, r);
		outbox_commit(l->outbox);
	} else {
		db_rollback(l->db);
		outbox_discard(l->outbox, 0);
		log_error("an answer of the gateway cannot be recorded: %s", err.msg);
	}
	progress_sync(l->progress);
	link_send(l);
}

/* Buttons mean something only when they are written together with the message that shows them. */
static char *add_buttons(struct link *l, const struct request *r, const char *action,
                         const char *const *labels, const char *const *payloads, size_t n, int64_t for_ms)
{
	struct err err = {0};
	char batch[CALLBACK_BATCH_LEN + 1], tokens[MAX_OPTIONS][CALLBACK_TOKEN_LEN + 1];
	struct button buttons[MAX_OPTIONS];
	if (n == 0 || db_begin(l->db, &err))
		return NULL;
	callbacks_batch(batch);
	for (size_t i = 0; i < n; i++) {
		if (callbacks_add(l->db, batch, r->chat, r->user, action, payloads[i],
		                  clock_now_ms() + for_ms, tokens[i], &err)) {
			log_warn("buttons left out: %s", err.msg);
			db_rollback(l->db);
			return NULL;
		}
		buttons[i] = (struct button){labels[i], tokens[i]};
	}
	return buttons_json(buttons, n);
}

void link_give_up(struct link *l, struct request *r)
{
	char time[64];
	const char *label = texts_raw(r->lang, T_BUTTON_RETRY), *payload = r->id;
	texts_took(r->lang, r->sent ? l->opt.silence_ms : l->opt.give_up_ms, time);
	cleanup_free char *html =
	        texts_make(r->lang, r->sent ? T_GATEWAY_SILENT : T_GATEWAY_DOWN, TEXT_ARGS({"time", time}));
	cleanup_free char *buttons = add_buttons(l, r, "retry", &label, &payload, 1, RETRY_MS);
	settle(l, r, "failed", html, buttons);
}

/* Clients of this protocol read one of two places; so do we. */
static const char *flat_or_data(const cJSON *frame, const char *key, const char *data_key)
{
	const char *text = json_text(frame, key);
	return text ? text : json_text(frame, data_key);
}

static void on_progress(struct link *l, struct request *r, const cJSON *frame)
{
	const char *text = flat_or_data(frame, "message", "data.message");
	const char *stage = flat_or_data(frame, "stage", "data.stage");
	int64_t percent = json_int(frame, "progress", json_int(frame, "data.progress", 0));
	r->deadline = clock_mono_ms() + l->opt.silence_ms;
	progress_report(l->progress, r->id,
	                (int)(percent < 0     ? 0
	                      : percent > 100 ? 100
	                                      : percent),
	                text && *text ? text
	                : stage       ? stage
	                              : "");
}

static void on_complete(struct link *l, struct request *r, const cJSON *frame)
{
	const char *text = flat_or_data(frame, "content", "data.message");
	cleanup_str struct str html = STR_INIT;
	markdown_html(text ? text : "", &html);
	settle(l, r, "done", str_text(&html), NULL);
}

static void on_deployed(struct link *l, struct request *r, const cJSON *frame)
{
	cleanup_str struct str html = STR_INIT;
	const char *name = json_text(frame, "data.service_name"), *url = json_text(frame, "data.url");
	str_add(&html, "✅ <b>");
	str_add_html(&html, name ? name : "");
	str_add(&html, "</b>\n");
	str_add_html(&html, url ? url : "");
	settle(l, r, "done", str_text(&html), NULL);
}

/* All users share one connection, so its limits are met by many people at once: none of them is told, all wait. */
static bool too_much(struct link *l, struct request *r, const cJSON *frame)
{
	const char *code = json_text(frame, "data.code");
	if (!code || strcmp(code, "RATE_LIMITED") || ++r->holds > LINK_HOLDS)
		return false;
	r->sent = false;
	r->deadline = clock_mono_ms() + l->opt.give_up_ms;
	l->hold_until = clock_mono_ms() + LINK_HOLD_MS;
	return true;
}

static void on_error(struct link *l, struct request *r, const cJSON *frame)
{
	const char *text = flat_or_data(frame, "content", "error");
	if (too_much(l, r, frame))
		return;
	if (!text)
		text = json_text(frame, "data.message");
	cleanup_free char *html = texts_make(r->lang, T_GATEWAY_ERROR, TEXT_ARGS({"error", text}));
	settle(l, r, "done", html, NULL);
}

/* Options become buttons whose payload is "<request>\n<option>". */
static char *option_buttons(struct link *l, const struct request *r, const cJSON *options)
{
	char *labels[MAX_OPTIONS] = {0}, *payloads[MAX_OPTIONS] = {0}, *json;
	size_t n = 0;
	const cJSON *option;
	cJSON_ArrayForEach(option, options)
	{
		const char *text = cJSON_IsString(option) ? option->valuestring : json_text(option, "label");
		if (n == MAX_OPTIONS || !text || !*text || strlen(text) > 400)
			continue;
		labels[n] = mem_strndup(text, text_utf16_prefix(text, strlen(text), LABEL_UNITS));
		payloads[n++] = mem_printf("%s\n%s", r->id, text);
	}
	json = add_buttons(l, r, "answer", (const char *const *)labels, (const char *const *)payloads, n,
	                   LINK_QUESTION_MS);
	while (n-- > 0) {
		free(labels[n]);
		free(payloads[n]);
	}
	return json;
}

static void on_question(struct link *l, struct request *r, const cJSON *frame)
{
	const char *question = flat_or_data(frame, "question", "data.question");
	const cJSON *options = json_at(frame, "options");
	cleanup_str struct str html = STR_INIT;
	markdown_html(question ? question : "?", &html);
	str_add(&html, "\n\n<i>");
	texts_add(&html, r->lang, T_QUESTION_FOOT, TEXT_NONE);
	str_add(&html, "</i>");
	cleanup_free char *buttons =
	        option_buttons(l, r, cJSON_IsArray(options) ? options : json_at(frame, "data.options"));
	settle(l, r, "question", str_text(&html), buttons);
}

static const struct {
	const char *type;
	void (*fn)(struct link *l, struct request *r, const cJSON *frame);
} handlers[] = {
        {"progress", on_progress}, {"deployment_update", on_progress},
        {"complete", on_complete}, {"question", on_question},
        {"error", on_error},       {"deployment_complete", on_deployed},
};

static bool is_pong(const struct link *l, const char *type, const char *id, const cJSON *frame)
{
	const char *content = json_text(frame, "content");
	if (!l->ping_at || (strcmp(id, l->ping_id) && strcmp(id, l->own_id)))
		return false;
	return strcmp(type, "pong") == 0 ||
	       (strcmp(type, "complete") == 0 && content && strcasestr(content, "pong"));
}

/* The reference gateway answers what it could not parse under its own id: with one request under way, it is that one. */
static struct request *only_sent(struct link *l)
{
	struct request *only = NULL;
	for (struct request *r = l->requests; r; r = r->next) {
		if (r->sent && only)
			return NULL;
		if (r->sent)
			only = r;
	}
	return only;
}

void link_frame(struct link *l, const char *text, size_t len)
{
	struct err err = {0};
	cleanup_json cJSON *frame = json_parse(text, len, &err);
	const char *type = json_text(frame, "type"), *id = json_text(frame, "sessionId");
	if (!type) {
		log_warn("the gateway sent what is no frame of its protocol");
		return;
	}
	id = id ? id : "";
	if (is_pong(l, type, id, frame)) {
		l->rtt_ms = clock_mono_ms() - l->ping_at;
		l->ping_at = 0;
		return;
	}
	struct request *r = link_find(l, id);
	if (!r && !l->own_id[0] && strcmp(type, "complete") == 0 && id_is_uuid(id)) {
		snprintf(l->own_id, sizeof(l->own_id), "%s", id); /* the welcome */
		return;
	}
	if (!r && strcmp(type, "error") == 0 && strcmp(id, l->ping_id))
		r = only_sent(l);
	for (size_t i = 0; r && i < ARRAY_LEN(handlers); i++) {
		if (strcmp(handlers[i].type, type) == 0) {
			handlers[i].fn(l, r, frame);
			return;
		}
	}
	log_debug("a frame of the gateway concerns nobody: %s", type);
}
