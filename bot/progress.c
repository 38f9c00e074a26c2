#include "bot/progress.h"
#include "bot/again.h"
#include "bot/buttons.h"
#include "bot/callbacks.h"
#include "bot/results.h"
#include "bot/words.h"
#include "core/clock.h"
#include "core/log.h"
#include "core/mem.h"
#include "core/text.h"
#include "jobs/job.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LINES 3
#define LINE_BYTES 160
#define CANCEL_MS (24 * 3600 * INT64_C(1000))
#define SLOW_LOOK_MS 3000 /* should a ring of the bell be lost */

struct follow {
	struct follow *next;
	int64_t id, chat, topic, user, started_at;
	enum lang lang;
	char *source, *ref, *title, *token;
	bool shown, ending, dirty, over;
	int64_t event; /* newest one read */
	int percent;
	char *text, *lines[LINES];
	int64_t edited_at; /* monotonic */
};

struct progress {
	struct db *db;
	struct state *st;
	struct outbox *outbox;
	struct follow *follows;
	struct loop_timer *edits, *slow;
	int64_t last_id; /* newest row loaded */
	int64_t gap_ms, tick_ms;
};

/* "▓▓▓▓░░░░░░ 40 %" */
static void add_bar(struct str *out, int percent)
{
	int full = percent < 0 ? 0 : percent > 100 ? 10 : percent / 10;
	for (int i = 0; i < 10; i++)
		str_add(out, i < full ? "▓" : "░");
	str_addf(out, " %d %%", percent < 0 ? 0 : percent > 100 ? 100 : percent);
}

static void follow_free(struct follow *f)
{
	for (int i = 0; i < LINES; i++)
		free(f->lines[i]);
	free(f->source);
	free(f->ref);
	free(f->title);
	free(f->token);
	free(f->text);
	free(f);
}

static void add_head(struct str *out, enum lang lang, const char *title, int percent, const char *text)
{
	str_addf(out, "⏳ <b>%s</b>\n", title);
	add_bar(out, percent);
	str_addc(out, '\n');
	str_add_html(out, text ? text : texts_raw(lang, T_QUEUED));
}

static void render(const struct follow *f, struct str *out)
{
	char elapsed[64];
	add_head(out, f->lang, f->title, f->percent, f->text);
	int64_t seconds = (clock_now_ms() - f->started_at) / 1000;
	if (seconds > 0) {
		texts_ago(f->lang, seconds * 1000, elapsed);
		str_addc(out, '\n');
		texts_add(out, f->lang, T_ELAPSED, TEXT_ARGS({"time", elapsed}));
	}
	for (int i = 0; i < LINES; i++) {
		if (!f->lines[i])
			continue;
		str_add(out, i == 0 || !f->lines[i - 1] ? "\n<pre>" : "\n");
		str_add_html(out, f->lines[i]);
		if (i == LINES - 1)
			str_add(out, "</pre>");
	}
}

static char *cancel_button(enum lang lang, const char *token)
{
	const struct button button = {texts_raw(lang, T_BUTTON_CANCEL), token};
	return token ? buttons_json(&button, 1) : NULL;
}

static int say_opening(struct progress *p, int64_t id, const struct progress_spec *spec, const char *token,
                       struct err *err)
{
	cleanup_str struct str html = STR_INIT;
	cleanup_free char *buttons = cancel_button(spec->lang, token);
	add_head(&html, spec->lang, spec->title, 0, NULL);
	struct outbox_message m = {.kind = spec->message_id ? OUTBOX_EDIT : OUTBOX_SEND,
	                           .key = spec->key,
	                           .chat = spec->chat,
	                           .topic = spec->topic,
	                           .html = str_text(&html),
	                           .buttons = buttons,
	                           .message_id = spec->message_id,
	                           .progress = id};
	return outbox_add(p->outbox, &m, err);
}

int progress_open(struct progress *p, const struct progress_spec *spec, struct err *err)
{
	char batch[CALLBACK_BATCH_LEN + 1], token[CALLBACK_TOKEN_LEN + 1];
	int64_t now = clock_now_ms();
	callbacks_batch(batch);
	if (spec->cancel && callbacks_add(p->db, batch, spec->chat, spec->user, "cancel", spec->ref,
	                                  now + CANCEL_MS, token, err))
		return -1;
	if (db_run(p->db, err,
	           "INSERT INTO progress (chat, topic, user, lang, source, ref, title, token, message_id, "
	           "shown, started_at)"
	           " VALUES (?, ?, ?, ?, ?, ?, ?, ?, nullif(?, 0), ?, ?)",
	           "iiitttttiii", spec->chat, spec->topic, spec->user, texts_code(spec->lang), spec->source,
	           spec->ref, spec->title, spec->cancel ? token : NULL, spec->message_id,
	           (int64_t)!spec->quiet, now))
		return -1;
	return spec->quiet ? 0 : say_opening(p, db_last_id(p->db), spec, spec->cancel ? token : NULL, err);
}

static struct follow *find(struct progress *p, const char *source, const char *ref)
{
	struct follow *f = p->follows;
	while (f && (strcmp(f->source, source) || strcmp(f->ref, ref)))
		f = f->next;
	return f;
}

static int end_one(struct progress *p, struct follow *f, const char *html, const char *buttons,
                   struct err *err)
{
	cleanup_free char *key = mem_printf("p%" PRId64 ":end", f->id);
	struct outbox_message m = {.kind = f->shown ? OUTBOX_EDIT : OUTBOX_SEND,
	                           .key = key,
	                           .chat = f->chat,
	                           .topic = f->topic,
	                           .html = html,
	                           .buttons = buttons,
	                           .progress = f->id};
	f->ending = true;
	return outbox_add(p->outbox, &m, err) || callbacks_void(p->db, f->token, err) ||
	                       db_run(p->db, err, "UPDATE progress SET done_at = ? WHERE id = ?", "ii",
	                              clock_now_ms(), f->id)
	               ? -1
	               : 0;
}

int progress_end(struct progress *p, const char *source, const char *ref, const char *html,
                 const char *buttons, struct err *err)
{
	struct follow *f = find(p, source, ref);
	return f ? end_one(p, f, html, buttons, err) : 0;
}

static void load_one(struct progress *p, struct query *q)
{
	struct follow *f = mem_alloc(sizeof(*f));
	f->id = query_int(q, 0);
	f->chat = query_int(q, 1);
	f->topic = query_int(q, 2);
	texts_lang(query_text(q, 3), &f->lang);
	f->source = mem_strdup(query_text(q, 4));
	f->ref = mem_strdup(query_text(q, 5));
	f->title = mem_strdup(query_text(q, 6));
	f->token = query_copy(q, 7);
	f->shown = query_int(q, 8) != 0;
	f->started_at = query_int(q, 9);
	f->user = query_int(q, 10);
	/* A message that was just opened is not edited at once; one of an earlier process is. */
	f->edited_at = clock_now_ms() - f->started_at < p->gap_ms ? clock_mono_ms() : 0;
	f->next = p->follows;
	p->follows = f;
	p->last_id = f->id;
}

static int load_new(struct progress *p, struct err *err)
{
	cleanup_query struct query q = QUERY_INIT;
	int row;
	if (db_query(p->db, &q, err,
	             "SELECT id, chat, topic, lang, source, ref, title, token, shown, started_at, user FROM "
	             "progress"
	             " WHERE done_at IS NULL AND id > ? ORDER BY id",
	             "i", p->last_id))
		return -1;
	while ((row = query_next(&q, err)) > 0)
		load_one(p, &q);
	return row;
}

static bool is_done(struct progress *p, int64_t id)
{
	struct err err = {0};
	int64_t open = 0;
	return db_get_int(p->db, &open, &err, "SELECT 1 FROM progress WHERE id = ? AND done_at IS NULL", "i",
	                  id) == 0 &&
	       !open;
}

static void drop_done(struct progress *p)
{
	for (struct follow **at = &p->follows; *at;) {
		struct follow *f = *at;
		if (f->ending && is_done(p, f->id)) {
			*at = f->next;
			follow_free(f);
		} else {
			f->ending = false;
			at = &f->next;
		}
	}
}

void progress_sync(struct progress *p)
{
	struct err err = {0};
	bool had = p->follows != NULL;
	if (had)
		drop_done(p);
	int64_t before = p->last_id;
	if (load_new(p, &err))
		log_error("progress messages cannot be read: %s", err.msg);
	if (p->last_id != before)
		progress_look(p);
	if (p->follows && !loop_timer_active(p->edits)) {
		loop_timer_set(p->edits, p->gap_ms / 4, p->gap_ms / 4);
		loop_timer_set(p->slow, SLOW_LOOK_MS, SLOW_LOOK_MS);
	} else if (!p->follows) {
		loop_timer_clear(p->edits);
		loop_timer_clear(p->slow);
	}
}

/* -- what happens meanwhile -- */

static void set_text(struct follow *f, int percent, const char *text)
{
	f->dirty = f->dirty || percent > f->percent || !f->text || strcmp(f->text, text);
	if (percent > f->percent)
		f->percent = percent;
	free(f->text);
	f->text = mem_strdup(text);
}

static void add_line(struct follow *f, const char *text)
{
	free(f->lines[0]);
	memmove(f->lines, f->lines + 1, (LINES - 1) * sizeof(*f->lines));
	size_t n = strcspn(text, "\n");
	f->lines[LINES - 1] = mem_strndup(text, text_utf16_prefix(text, n, LINE_BYTES));
	f->dirty = true;
}

static void on_event(void *arg, const struct job_event *e)
{
	struct follow *f = arg;
	f->event = e->id;
	if (strcmp(e->type, "progress") == 0)
		set_text(f, e->percent, words_stage(f->lang, e->stage, e->text));
	else if (strcmp(e->type, "log") == 0)
		add_line(f, e->text);
	else
		f->over = true; /* or queued, running: the row tells */
}

/* The outcome, with a button to try again where that may help. */
static int say_end(struct progress *p, struct follow *f, const struct job_row *row, struct err *err)
{
	cleanup_str struct str html = STR_INIT;
	results_html(f->lang, row, f->title, &html);
	cleanup_free char *button = again_button(p->db, f->lang, f->chat, f->user, row, err);
	return err->code ? -1 : end_one(p, f, str_text(&html), button, err);
}

/* The job's row decides; its outcome and the end of the following are one transaction. */
static void end_job(struct progress *p, struct follow *f, const struct job_row *row)
{
	struct err err = {0};
	if (db_begin(p->db, &err) == 0 && say_end(p, f, row, &err) == 0 && db_commit(p->db, &err) == 0) {
		outbox_commit(p->outbox);
		return;
	}
	db_rollback(p->db);
	outbox_discard(p->outbox, 0);
	f->ending = false;
	log_error("the end of job %s cannot be recorded, trying again: %s", f->ref, err.msg);
}

static void look_at_job(struct progress *p, struct follow *f, bool slow)
{
	struct err err = {0};
	struct job_row row = {0};
	int64_t id = strtoll(f->ref, NULL, 10), before;
	do {
		before = f->event;
		if (jobs_events(p->st, id, f->event, 200, on_event, f, &err)) {
			log_warn("events of job %s cannot be read: %s", f->ref, err.msg);
			return;
		}
	} while (f->event != before);
	if (!f->over && !slow)
		return;
	if (jobs_get(p->st, id, &row, &err) == 0 && !job_state_final(row.state))
		f->over = false;
	else if (err.code == ERR_NONE || err.code == ERR_NOT_FOUND)
		end_job(p, f, err.code ? NULL : &row);
	job_row_free(&row);
}

static void look(struct progress *p, bool slow)
{
	bool ended = false;
	for (struct follow *f = p->follows; f; f = f->next) {
		if (strcmp(f->source, "job") == 0)
			look_at_job(p, f, slow);
		ended = ended || f->ending;
	}
	if (ended)
		progress_sync(p);
}

void progress_look(void *arg)
{
	look(arg, false);
}

static void slow_look(void *arg)
{
	look(arg, true);
}

/* A quiet one has something to tell now: give it its message. */
static void show(struct progress *p, struct follow *f)
{
	struct err err = {0};
	cleanup_free char *key = mem_printf("p%" PRId64 ":open", f->id);
	struct progress_spec spec = {
	        .chat = f->chat, .topic = f->topic, .lang = f->lang, .title = f->title, .key = key};
	if (db_begin(p->db, &err) == 0 && say_opening(p, f->id, &spec, NULL, &err) == 0 &&
	    db_run(p->db, &err, "UPDATE progress SET shown = 1 WHERE id = ?", "i", f->id) == 0 &&
	    db_commit(p->db, &err) == 0) {
		f->shown = true;
		outbox_commit(p->outbox);
		return;
	}
	db_rollback(p->db);
	outbox_discard(p->outbox, 0);
	log_error("a progress message cannot be recorded: %s", err.msg);
}

void progress_report(struct progress *p, const char *ref, int percent, const char *text)
{
	struct follow *f = find(p, "request", ref);
	if (!f)
		return;
	set_text(f, percent, text);
	if (!f->shown)
		show(p, f);
}

/* Edit what changed, and now and then the elapsed time alone, not oftener than the gap. */
static void edit_all(void *arg)
{
	struct progress *p = arg;
	int64_t now = clock_mono_ms();
	for (struct follow *f = p->follows; f; f = f->next) {
		int64_t since = now - f->edited_at;
		if (!f->shown || since < (f->dirty ? p->gap_ms : p->tick_ms))
			continue;
		cleanup_str struct str html = STR_INIT;
		cleanup_free char *buttons = cancel_button(f->lang, f->token);
		render(f, &html);
		outbox_edit_soon(p->outbox, f->chat, f->id, str_text(&html), buttons);
		f->edited_at = now;
		f->dirty = false;
	}
}

struct progress *progress_new(struct loop *loop, struct db *db, struct state *st, struct outbox *outbox,
                              bool limits)
{
	struct progress *p = mem_alloc(sizeof(*p));
	p->db = db;
	p->st = st;
	p->outbox = outbox;
	p->gap_ms = limits ? 3000 : 200;
	p->tick_ms = limits ? 10000 : 2000;
	p->edits = loop_timer_new(loop, edit_all, p);
	p->slow = loop_timer_new(loop, slow_look, p);
	return p;
}

void progress_free(struct progress *p)
{
	if (!p)
		return;
	for (struct follow *f = p->follows, *next; f; f = next) {
		next = f->next;
		follow_free(f);
	}
	loop_timer_free(p->edits);
	loop_timer_free(p->slow);
	free(p);
}
