#include "bot/html.h"
#include "bot/outbox_impl.h"
#include "core/clock.h"
#include "core/log.h"
#include "core/mem.h"
#include "core/str.h"
#include "core/text.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_PIECES 5
#define HEAD_UNITS 900 /* what is shown of a text that goes as a document */
#define FLUSH_MS 2 /* answers that come together are recorded together */

static const char *const kind_names[] = {[OUTBOX_SEND] = "send",
                                         [OUTBOX_EDIT] = "edit",
                                         [OUTBOX_DOCUMENT] = "document",
                                         [OUTBOX_ANSWER] = "answer"};

static struct item *item_new(struct outbox *o, enum outbox_kind kind, int64_t chat)
{
	struct item *item = mem_alloc(sizeof(*item));
	item->outbox = o;
	item->kind = kind;
	item->chat_id = chat;
	item->created_at = clock_now_ms();
	return item;
}

void outbox_item_free(struct item *item)
{
	if (!item)
		return;
	free(item->body);
	free(item->document);
	free(item);
}

static char *make_body(const struct outbox_message *m)
{
	struct str out = STR_INIT;
	str_addc(&out, '{');
	if (m->kind == OUTBOX_ANSWER) {
		str_add(&out, "\"callback_query_id\":");
		str_add_json(&out, m->callback_id);
		str_addc(&out, ',');
	}
	str_add(&out, m->kind == OUTBOX_DOCUMENT ? "\"caption\":" : "\"text\":");
	str_add_json(&out, m->html);
	if (m->kind != OUTBOX_ANSWER)
		str_add(&out, ",\"parse_mode\":\"HTML\"");
	if (m->kind == OUTBOX_DOCUMENT) {
		str_add(&out, ",\"file_name\":");
		str_add_json(&out, m->file_name);
	}
	if (m->topic && m->kind != OUTBOX_EDIT && m->kind != OUTBOX_ANSWER)
		str_addf(&out, ",\"message_thread_id\":%" PRId64, m->topic);
	if (m->buttons) {
		str_add(&out, ",\"reply_markup\":");
		str_add(&out, m->buttons);
	}
	str_addc(&out, '}');
	return str_take(&out);
}

static int add_one(struct outbox *o, const struct outbox_message *m, struct err *err)
{
	struct item *item = item_new(o, m->kind, m->chat);
	item->body = make_body(m);
	item->document = m->document ? mem_strdup(m->document) : NULL;
	item->progress = m->progress;
	item->message_id = m->message_id;
	item->until = m->until;
	if (db_run(o->db, err,
	           "INSERT INTO outbox (key, chat, kind, body, document, progress, message_id, created_at, "
	           "until)"
	           " VALUES (?, ?, ?, ?, ?, nullif(?, 0), nullif(?, 0), ?, nullif(?, 0))",
	           "tittt"
	           "iiii",
	           m->key, m->chat, kind_names[m->kind], item->body, item->document, m->progress,
	           m->message_id, item->created_at, m->until)) {
		outbox_item_free(item);
		if (err->code != ERR_EXISTS)
			return -1;
		err_clear(err); /* said before */
		return 0;
	}
	item->id = db_last_id(o->db);
	*o->staged_end = item;
	o->staged_end = &item->next;
	o->n_staged++;
	return 0;
}

/* Too long for messages: its beginning, then all of it as a file. */
static int add_as_document(struct outbox *o, const struct outbox_message *m, struct err *err)
{
	char **pieces = NULL;
	size_t n = html_split(m->html, HEAD_UNITS, &pieces);
	cleanup_str struct str plain = STR_INIT;
	cleanup_free char *key = mem_printf("%s:file", m->key), *head = mem_printf("%s\n…", pieces[0]);
	html_plain(m->html, &plain);
	struct outbox_message first = *m;
	first.html = head;
	struct outbox_message file = {.kind = OUTBOX_DOCUMENT,
	                              .key = key,
	                              .chat = m->chat,
	                              .topic = m->topic,
	                              .html = "",
	                              .file_name = "message.txt",
	                              .document = str_text(&plain)};
	int rc = add_one(o, &first, err) || add_one(o, &file, err) ? -1 : 0;
	for (size_t i = 0; i < n; i++)
		free(pieces[i]);
	free(pieces);
	return rc;
}

static int add_pieces(struct outbox *o, const struct outbox_message *m, char **pieces, size_t n,
                      struct err *err)
{
	for (size_t i = 0; i < n; i++) {
		cleanup_free char *key = i ? mem_printf("%s:%zu", m->key, i) : mem_strdup(m->key);
		struct outbox_message piece = *m;
		piece.key = key;
		piece.html = pieces[i];
		piece.buttons = i + 1 == n ? m->buttons : NULL;
		if (i) {
			piece.kind = OUTBOX_SEND;
			piece.message_id = piece.progress = 0;
		}
		if (add_one(o, &piece, err))
			return -1;
	}
	return 0;
}

int outbox_add(struct outbox *o, const struct outbox_message *m, struct err *err)
{
	/* Bytes are never fewer than UTF-16 units, so that most texts need no look. */
	if ((m->kind != OUTBOX_SEND && m->kind != OUTBOX_EDIT) ||
	    (m->html[0] && strlen(m->html) <= HTML_MESSAGE_UNITS))
		return add_one(o, m, err);
	char **pieces = NULL;
	size_t n = html_split(m->html, HTML_MESSAGE_UNITS, &pieces);
	struct outbox_message empty = *m;
	empty.html = "—";
	int rc = n == 0           ? add_one(o, &empty, err)
	         : n > MAX_PIECES ? add_as_document(o, m, err)
	                          : add_pieces(o, m, pieces, n, err);
	for (size_t i = 0; i < n; i++)
		free(pieces[i]);
	free(pieces);
	return rc;
}

void outbox_commit(struct outbox *o)
{
	struct item *item = o->staged;
	o->staged = NULL;
	o->staged_end = &o->staged;
	o->n_staged = 0;
	for (struct item *next; item; item = next) {
		next = item->next;
		item->next = NULL;
		if (item->kind == OUTBOX_EDIT && item->progress) /* it is the final one */
			outbox_item_free(outbox_pending_edit(o, item->chat_id, item->progress));
		outbox_enqueue(o, item);
	}
	outbox_pump(o);
}

size_t outbox_mark(const struct outbox *o)
{
	return o->n_staged;
}

void outbox_discard(struct outbox *o, size_t mark)
{
	struct item **at = &o->staged;
	for (size_t i = 0; i < mark && *at; i++)
		at = &(*at)->next;
	for (struct item *item = *at, *next; item; item = next) {
		next = item->next;
		outbox_item_free(item);
	}
	*at = NULL;
	o->staged_end = at;
	if (mark < o->n_staged)
		o->n_staged = mark;
}

void outbox_edit_soon(struct outbox *o, int64_t chat, int64_t progress, const char *html, const char *buttons)
{
	struct item *item = outbox_pending_edit(o, chat, progress);
	struct outbox_message m = {.kind = OUTBOX_EDIT, .chat = chat, .html = html, .buttons = buttons};
	if (!item)
		item = item_new(o, OUTBOX_EDIT, chat);
	free(item->body);
	item->body = make_body(&m);
	item->progress = progress;
	outbox_enqueue(o, item);
	outbox_pump(o);
}

size_t outbox_pending(const struct outbox *o)
{
	return o->pending;
}

void outbox_end(struct outbox *o, const struct item *item, bool sent, int64_t message_id, const char *error)
{
	if (!item->id)
		return;
	struct ended *e = mem_alloc(sizeof(*e));
	*e = (struct ended){.id = item->id,
	                    .progress = item->kind == OUTBOX_SEND ? item->progress : 0,
	                    .message_id = message_id,
	                    .sent = sent,
	                    .error = error ? mem_strdup(error) : NULL};
	*o->ended_end = e;
	o->ended_end = &e->next;
	if (!loop_timer_active(o->flush))
		loop_timer_set(o->flush, FLUSH_MS, 0);
}

static int record(struct outbox *o, const struct ended *e, int64_t now, struct err *err)
{
	if (db_run(o->db, err,
	           "UPDATE outbox SET state = ?, ended_at = ?, message_id = nullif(?, 0), error = ?, body = "
	           "'', document = NULL"
	           " WHERE id = ?",
	           "tiiti", e->sent ? "sent" : "dropped", now, e->message_id, e->error, e->id))
		return -1;
	if (!e->progress || !e->message_id)
		return 0;
	return db_run(o->db, err, "UPDATE progress SET message_id = ? WHERE id = ?", "ii", e->message_id,
	              e->progress);
}

void outbox_flush(void *arg)
{
	struct outbox *o = arg;
	struct err err = {0};
	int64_t now = clock_now_ms();
	if (!o->ended)
		return;
	int rc = db_begin(o->db, &err);
	for (struct ended *e = o->ended; rc == 0 && e; e = e->next)
		rc = record(o, e, now, &err);
	if (rc || db_commit(o->db, &err)) {
		db_rollback(o->db);
		log_error("sent messages cannot be recorded, trying again: %s", err.msg);
		loop_timer_set(o->flush, 1000, 0);
		return;
	}
	for (struct ended *e = o->ended, *next; e; e = next) {
		next = e->next;
		free(e->error);
		free(e);
	}
	o->ended = NULL;
	o->ended_end = &o->ended;
	loop_timer_clear(o->flush);
}

static enum outbox_kind kind_of(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(kind_names); i++)
		if (strcmp(kind_names[i], name) == 0)
			return (enum outbox_kind)i;
	return OUTBOX_SEND;
}

static int load(struct outbox *o, struct err *err)
{
	cleanup_query struct query q = QUERY_INIT;
	int row;
	if (db_query(o->db, &q, err,
	             "SELECT id, chat, kind, body, document, progress, message_id, created_at, until FROM "
	             "outbox"
	             " WHERE state = 'new' ORDER BY id",
	             ""))
		return -1;
	while ((row = query_next(&q, err)) > 0) {
		struct item *item = item_new(o, kind_of(query_text(&q, 2)), query_int(&q, 1));
		item->id = query_int(&q, 0);
		item->body = mem_strdup(query_text(&q, 3));
		item->document = query_copy(&q, 4);
		item->progress = query_int(&q, 5);
		item->message_id = query_int(&q, 6);
		item->created_at = query_int(&q, 7);
		item->until = query_int(&q, 8);
		outbox_enqueue(o, item);
	}
	return row;
}

int outbox_open(struct outbox **out, struct loop *loop, struct db *db, struct api *api, bool limits,
                const struct outbox_events *events, void *arg, struct err *err)
{
	struct outbox *o = mem_alloc(sizeof(*o));
	o->loop = loop;
	o->db = db;
	o->api = api;
	o->ev = *events;
	o->arg = arg;
	o->staged_end = &o->staged;
	o->ready_end = &o->ready;
	o->loose_end = &o->loose;
	o->next_due = INT64_MAX;
	o->ended_end = &o->ended;
	budget_init(&o->budget, limits, clock_mono_ms());
	o->wake = loop_timer_new(loop, outbox_pump, o);
	o->flush = loop_timer_new(loop, outbox_flush, o);
	if (load(o, err)) {
		outbox_close(o);
		return -1;
	}
	loop_timer_set(o->wake, 0, 0);
	*out = o;
	return 0;
}

void outbox_close(struct outbox *o)
{
	if (!o)
		return;
	outbox_flush(o);
	outbox_discard(o, 0);
	outbox_queue_free(o);
	for (struct ended *e = o->ended, *next; e; e = next) {
		next = e->next;
		free(e->error);
		free(e);
	}
	loop_timer_free(o->wake);
	loop_timer_free(o->flush);
	free(o);
}
