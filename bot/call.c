#include "bot/call.h"
#include "bot/buttons.h"
#include "bot/callbacks.h"
#include "bot/commands.h"
#include "core/clock.h"
#include "core/id.h"
#include "core/log.h"
#include "core/mem.h"
#include "core/text.h"
#include "jobs/audit.h"
#include "jobs/job.h"
#include "sessions/session.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void next_key(struct call *c, char key[48])
{
	snprintf(key, 48, "u%" PRId64 ":%u", c->u->id, c->said++);
}

struct link_ask call_link(struct call *c, const char *id, char key[48])
{
	next_key(c, key);
	return (struct link_ask){.id = id,
	                         .chat = c->u->chat,
	                         .topic = c->u->topic,
	                         .user = c->u->user,
	                         .lang = c->lang,
	                         .key = key};
}

int call_say(struct call *c, const char *html, const char *buttons, struct err *err)
{
	char key[48];
	next_key(c, key);
	struct outbox_message m = {.kind = OUTBOX_SEND,
	                           .key = key,
	                           .chat = c->u->chat,
	                           .topic = c->u->topic,
	                           .html = html,
	                           .buttons = buttons};
	return outbox_add(c->bot->outbox, &m, err);
}

int call_text(struct call *c, enum text_id id, const struct text_arg *args, struct err *err)
{
	cleanup_free char *html = texts_make(c->lang, id, args);
	return call_say(c, html, NULL, err);
}

int call_usage(struct call *c, struct err *err)
{
	return call_text(c, T_USAGE,
	                 TEXT_ARGS({"usage", c->command->usage}, {"example", c->command->example}), err);
}

int call_replace(struct call *c, const char *html, struct err *err)
{
	char key[48];
	if (!c->u->message_id)
		return call_say(c, html, NULL, err);
	next_key(c, key);
	struct outbox_message m = {.kind = OUTBOX_EDIT,
	                           .key = key,
	                           .chat = c->u->chat,
	                           .html = html,
	                           .message_id = c->u->message_id};
	return outbox_add(c->bot->outbox, &m, err);
}

int call_confirm(struct call *c, const char *html, enum text_id yes, enum text_id no, const char *action,
                 const char *payload, struct err *err)
{
	char batch[CALLBACK_BATCH_LEN + 1], yes_token[CALLBACK_TOKEN_LEN + 1],
	        no_token[CALLBACK_TOKEN_LEN + 1];
	int64_t until = clock_now_ms() + CALL_CONFIRM_MS;
	callbacks_batch(batch);
	if (callbacks_add(c->bot->db, batch, c->u->chat, c->u->user, action, payload, until, yes_token,
	                  err) ||
	    callbacks_add(c->bot->db, batch, c->u->chat, c->u->user, "keep", payload, until, no_token, err))
		return -1;
	const struct button pair[] = {{texts_raw(c->lang, yes), yes_token},
	                              {texts_raw(c->lang, no), no_token}};
	cleanup_free char *buttons = buttons_json(pair, 2);
	return call_say(c, html, buttons, err);
}

const char *call_owner(const struct call *c, char buf[32])
{
	snprintf(buf, 32, "tg:%" PRId64, c->u->user);
	return buf;
}

bool call_may(const struct call *c, const char *owner)
{
	char self[32];
	return c->role == ROLE_ADMIN || (owner && strcmp(owner, call_owner(c, self)) == 0);
}

static char *origin_of(const struct call *c)
{
	return mem_printf("tg:%" PRId64 ":%" PRId64, c->bot->id, c->u->id);
}

/* An attempt at this update that was killed may have enqueued its job already. It was checked then; what it is about may
 * be gone by now, because the job did it. */
static int is_begun(struct call *c, int64_t *begun, struct err *err)
{
	cleanup_free char *origin = origin_of(c);
	return db_get_int(c->bot->st->db, begun, err, "SELECT 1 FROM jobs WHERE origin = ?", "t", origin);
}

int call_check_session(struct call *c, const char *name, struct err *err)
{
	int64_t begun = 0;
	if (session_name_check(name, err) || is_begun(c, &begun, err))
		return -1;
	if (begun)
		return 0;
	cleanup_free char *owner = session_owner(c->bot->st, name, err);
	if (!owner)
		return -1;
	if (call_may(c, owner))
		return 0;
	if (call_audit(c, c->command ? c->command->name : "button", name, "denied", err) ||
	    call_text(c, T_NOT_OWNER, TEXT_ARGS({"session", name}), err))
		return -1;
	return 1;
}

int call_audit(const struct call *c, const char *action, const char *target, const char *outcome,
               struct err *err)
{
	char owner[32];
	return audit_add(c->bot->st, call_owner(c, owner), "bot", action, target, outcome, NULL, err);
}

/* The job and its line in the audit log, which tells what exactly was asked for, in one commit: neither is there without the other. */
static int enqueue(struct call *c, const struct job_request *req, int64_t *id, bool *fresh, struct err *err)
{
	struct state *st = c->bot->st;
	cleanup_free char *detail = json_print(req->args);
	if (db_begin(st->db, err))
		return -1;
	if (jobs_enqueue(st, req, id, fresh, err) ||
	    (*fresh && audit_add(st, req->owner, "bot", req->kind, req->session, "ok", detail, err)) ||
	    db_commit(st->db, err)) {
		db_rollback(st->db);
		return -1;
	}
	state_ring(st);
	return 0;
}

int call_job(struct call *c, const char *kind, cJSON *args, const char *session, const char *title,
             struct err *err)
{
	cleanup_json cJSON *owned = args;
	char owner[32], key[48];
	int64_t id = 0;
	bool fresh = false;
	cleanup_free char *origin = origin_of(c);
	struct job_request req = {.kind = kind,
	                          .args = owned,
	                          .owner = call_owner(c, owner),
	                          .origin = origin,
	                          .session = session};
	if (enqueue(c, &req, &id, &fresh, err))
		return -1;
	cleanup_free char *ref = mem_printf("%" PRId64, id), *chat = mem_printf("%" PRId64, c->u->chat);
	log_with(LOG_INFO, LOG_FIELDS({"chat", chat}, {"job", ref}, {"session", session}), "%s enqueued%s",
	         kind, fresh ? "" : " before");
	next_key(c, key);
	struct progress_spec spec = {.chat = c->u->chat,
	                             .topic = c->u->topic,
	                             .user = c->u->user,
	                             .lang = c->lang,
	                             .source = "job",
	                             .ref = ref,
	                             .title = title,
	                             .key = key,
	                             .message_id = c->u->kind == UPDATE_PRESS ? c->u->message_id : 0,
	                             .cancel = true};
	return progress_open(c->bot->progress, &spec, err);
}

void call_request_id(const struct call *c, char id[37])
{
	cleanup_free char *name = mem_printf("%" PRId64 ":%" PRId64, c->bot->id, c->u->id);
	id_uuid_of(name, id);
}

const char *call_word(const char **rest, char *buf, size_t size)
{
	*rest += strspn(*rest, " \t\r\n");
	size_t n = strcspn(*rest, " \t\r\n");
	/* half a character would make Telegram refuse the whole answer */
	snprintf(buf, size, "%.*s", (int)(n < size ? n : text_utf8_prefix(*rest, size - 1)), *rest);
	*rest += n;
	*rest += strspn(*rest, " \t\r\n");
	return buf;
}
