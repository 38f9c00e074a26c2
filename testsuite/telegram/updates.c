/* See updates.h. Rules from the public server's Client.cpp and TQueue: an offset more than 10 past the end or 200000
 * before it is out of range and confirms nothing. */
#include "testsuite/telegram/updates.h"
#include "core/clock.h"
#include "core/log.h"
#include "core/mem.h"
#include "testsuite/telegram/store.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define POLL_MAX_S 50
#define RESPONSE_MAX (4u << 20)
#define PAST_MAX 200000
#define ID_MAX (1LL << 52) /* an injected one may be anything: the next is one more */
#define FUTURE_MAX 10
#define GATHER_MS 2
#define SLOW_MS 3000

#define CONFLICT                                                                                             \
	"Conflict: terminated by other getUpdates request; make sure that only one bot instance is running"
#define CONFLICT_WEBHOOK                                                                                     \
	"Conflict: can't use getUpdates method while webhook is active; use deleteWebhook to delete the "    \
	"webhook first"

/* What allowed_updates may name; `asked` ones come only when named. */
static const struct {
	const char *name;
	bool asked;
} types[] = {{"message", false},
             {"edited_message", false},
             {"channel_post", false},
             {"edited_channel_post", false},
             {"inline_query", false},
             {"chosen_inline_result", false},
             {"callback_query", false},
             {"shipping_query", false},
             {"pre_checkout_query", false},
             {"poll", false},
             {"poll_answer", false},
             {"my_chat_member", false},
             {"chat_member", true},
             {"chat_join_request", false},
             {"message_reaction", true},
             {"message_reaction_count", true}};

struct tg_updates {
	int64_t next_id;
	char *allowed; /* JSON array as set; NULL: the default */
	char *webhook; /* URL; NULL: none */
	struct tg_call *waiting;
	int64_t offset; /* of the waiting one */
	int limit;
	struct loop_timer *deadline, *gather;
	int64_t previous_offset, previous_ms; /* monotonic */
	int64_t conflict_ms;                  /* the next 409 before this is held back */
	int64_t polled_ms, polled_at;         /* monotonic and wall clock */
	bool fresh;                           /* something was pushed since the last wake */
};

/* Whether a JSON array of names lets ${type} through. */
static bool allows(const char *allowed, const char *type)
{
	cleanup_json cJSON *list = allowed ? cJSON_Parse(allowed) : NULL;
	const cJSON *item;

	cJSON_ArrayForEach(item, list)
	{
		if (cJSON_IsString(item) && strcasecmp(item->valuestring, type) == 0)
			return true;
	}
	for (size_t i = 0; list == NULL && i < ARRAY_LEN(types); i++)
		if (strcmp(types[i].name, type) == 0)
			return !types[i].asked;
	return list == NULL;
}

/* Set allowed_updates from a call: absent or malformed keeps it, an array with no known name means the default. */
static int allow(struct tg_call *c, struct err *err)
{
	struct tg_updates *u = c->tg->updates;
	cleanup_json cJSON *given = cJSON_Parse(tg_param(&c->params, "allowed_updates"));
	cleanup_json cJSON *known = json_array();
	const cJSON *item;

	if (!cJSON_IsArray(given))
		return 0;
	cJSON_ArrayForEach(item, given)
	{
		if (!cJSON_IsString(item))
			return 0;
		for (size_t i = 0; i < ARRAY_LEN(types); i++)
			if (strcasecmp(item->valuestring, types[i].name) == 0)
				cJSON_AddItemToArray(known, cJSON_CreateString(types[i].name));
	}
	cleanup_free char *text = cJSON_GetArraySize(known) > 0 ? json_print(known) : NULL;
	if ((text == NULL && u->allowed == NULL) || (text && u->allowed && strcmp(text, u->allowed) == 0))
		return 0;
	free(u->allowed);
	u->allowed = TAKE(text);
	return tg_store_set_meta(c->tg, "allowed_updates", u->allowed, err);
}

static int save_next(struct tg *tg, struct err *err)
{
	char text[24];

	snprintf(text, sizeof(text), "%lld", (long long)tg->updates->next_id);
	return tg_store_set_meta(tg, "next_update", text, err);
}

static int append(struct tg *tg, int64_t id, bool odd, const char *body, struct err *err)
{
	struct tg_updates *u = tg->updates;

	if (db_run(tg->db, err, "INSERT INTO updates (id, odd, at, body) VALUES (?, ?, ?, ?)", "iiit", id,
	           (int64_t)odd, clock_now_ms(), body) < 0)
		return -1;
	if (!odd)
		u->next_id = id + 1;
	u->fresh = true;
	metrics_add(tg->metrics, TG_M_UPDATES, NULL, 1);
	return odd ? 0 : save_next(tg, err);
}

int tg_updates_push(struct tg *tg, const char *type, cJSON *content, int64_t *id, struct err *err)
{
	cleanup_json cJSON *update = json_object();

	*id = tg->updates->next_id;
	json_add_int(update, "update_id", *id);
	json_add(update, type, content);
	if (!allows(tg->updates->allowed, type)) {
		*id = 0;
		return 0;
	}
	cleanup_free char *body = json_print(update);
	return append(tg, *id, false, body, err);
}

int tg_updates_inject(struct tg *tg, const cJSON *update, int64_t *id, struct err *err)
{
	struct tg_updates *u = tg->updates;
	const cJSON *given = cJSON_IsObject(update) ? json_at(update, "update_id") : NULL;
	cleanup_json cJSON *copy = cJSON_Duplicate(update, true);
	bool odd = false;

	*id = u->next_id;
	if (cJSON_IsNumber(given)) {
		*id = json_int(update, "update_id", 0);
		int64_t oldest = u->next_id - PAST_MAX;
		*id = *id > ID_MAX ? ID_MAX : *id;
		odd = *id<u->next_id && * id> oldest;
		if (*id <= oldest && db_run(tg->db, err, "DELETE FROM updates", "") < 0)
			return -1;
	} else if (cJSON_IsObject(update) && given == NULL) {
		json_add_int(copy, "update_id", *id);
	}
	cleanup_free char *body = json_print(copy);
	return append(tg, *id, odd, body, err);
}

/* Forget what the bot has seen: all below ${offset}, but no repeated one that it has not been given yet. */
static int confirm(struct tg *tg, int64_t offset, struct err *err)
{
	return db_run(tg->db, err, "DELETE FROM updates WHERE id < ? AND odd <> 1", "i", offset);
}

/* The next updates as a JSON array. Returns their number or -1. */
static int list(struct tg *tg, int limit, struct str *out, struct err *err)
{
	cleanup_query struct query q = QUERY_INIT;
	int n = 0, row;
	bool odd = false;

	str_addc(out, '[');
	if (db_query(tg->db, &q, err, "SELECT body, odd FROM updates ORDER BY seq LIMIT ?", "i",
	             (int64_t)limit) < 0)
		return -1;
	while ((row = query_next(&q, err)) > 0 && out->len < RESPONSE_MAX) {
		if (n++ > 0)
			str_addc(out, ',');
		str_add(out, query_text(&q, 0));
		odd = odd || query_int(&q, 1) == 1;
	}
	query_end(&q);
	str_addc(out, ']');
	if (row < 0 || (odd && db_run(tg->db, err,
	                              "UPDATE updates SET odd = 2 WHERE odd = 1 AND seq IN"
	                              " (SELECT seq FROM updates ORDER BY seq LIMIT ?)",
	                              "i", (int64_t)n) < 0))
		return -1;
	return n;
}

static void polled(struct tg_updates *u)
{
	u->polled_ms = clock_mono_ms();
	u->polled_at = clock_now_ms();
}

void tg_updates_forget(struct tg *tg, struct tg_call *c)
{
	struct tg_updates *u = tg->updates;

	if (u->waiting != c)
		return;
	u->waiting = NULL;
	loop_timer_clear(u->deadline);
	loop_timer_clear(u->gather);
	polled(u);
}

/* Give the waiting poller what there is, also when that is nothing. */
static void answer_waiting(void *arg)
{
	struct tg *tg = arg;
	struct tg_call *c = tg->updates->waiting;
	struct err err;

	if (c == NULL)
		return;
	tg_updates_forget(tg, c);
	if (list(tg, tg->updates->limit, &c->raw, &err) < 0) {
		log_error("getUpdates: %s", err.msg);
		tg_call_fail(c, 500, "Internal Server Error");
	}
	tg_call_finish(c);
}

static void gone(void *arg)
{
	struct tg_call *c = arg;

	tg_updates_forget(c->tg, c);
	str_add(&c->raw, "[]");
	tg_call_finish(c);
}

/* 409. Returns how long to hold it back: a second one within 3 s waits, so that two pollers do not spin. */
static int64_t conflict(struct tg_call *c, const char *text)
{
	struct tg_updates *u = c->tg->updates;
	int64_t now = clock_mono_ms();

	metrics_add(c->tg->metrics, TG_M_CONFLICTS, NULL, 1);
	tg_call_fail(c, 409, text);
	if (now < u->conflict_ms)
		return SLOW_MS;
	u->conflict_ms = now + SLOW_MS;
	return 0;
}

static void end_waiting(struct tg *tg, const char *text)
{
	struct tg_call *older = tg->updates->waiting;

	if (older == NULL)
		return;
	tg_updates_forget(tg, older);
	int64_t hold_ms = conflict(older, text);
	if (hold_ms > 0)
		tg_call_finish_after(older, hold_ms);
	else
		tg_call_finish(older);
}

static int apply_offset(struct tg *tg, int64_t offset, struct err *err)
{
	struct tg_updates *u = tg->updates;

	if (offset < 0)
		return db_run(tg->db, err,
		              "DELETE FROM updates WHERE seq NOT IN (SELECT seq FROM updates ORDER BY seq "
		              "DESC LIMIT ?)",
		              "i", -offset);
	if (offset > 0 && offset <= u->next_id + FUTURE_MAX && offset >= u->next_id - PAST_MAX)
		return confirm(tg, offset, err);
	return 0;
}

int tg_get_updates(struct tg_call *c, struct err *err)
{
	struct tg_updates *u = c->tg->updates;
	int64_t offset = tg_param_int(&c->params, "offset", 0, INT32_MIN, INT32_MAX);
	int64_t limit = tg_param_int(&c->params, "limit", 100, 1, 100);
	int64_t timeout = tg_param_int(&c->params, "timeout", 0, 0, POLL_MAX_S);
	int64_t now = clock_mono_ms();
	bool again = offset == u->previous_offset;

	if (u->webhook) {
		int64_t hold_ms = conflict(c, CONFLICT_WEBHOOK);
		if (hold_ms == 0)
			return -1;
		tg_call_finish_after(c, hold_ms);
		return TG_CALL_LATER;
	}
	if (again && timeout < SLOW_MS / 1000 && now < u->previous_ms + SLOW_MS)
		timeout = SLOW_MS / 1000;
	if (again && now < u->previous_ms + 500)
		limit = 1;
	u->previous_offset = offset;
	u->previous_ms = now;
	polled(u);
	if (allow(c, err) < 0 || apply_offset(c->tg, offset, err) < 0)
		return -1;
	int n = list(c->tg, (int)limit, &c->raw, err);
	if (n != 0 || timeout == 0)
		return n < 0 ? -1 : 0;
	str_cut(&c->raw, 0);
	end_waiting(c->tg, CONFLICT);
	u->waiting = c;
	u->offset = offset;
	u->limit = (int)limit;
	loop_timer_set(u->deadline, timeout * 1000, 0);
	http_on_gone(c->x, gone, c);
	return TG_CALL_LATER;
}

void tg_updates_wake(struct tg *tg)
{
	struct tg_updates *u = tg->updates;

	if (u->fresh && u->waiting && !loop_timer_active(u->gather))
		loop_timer_set(u->gather, GATHER_MS, 0);
	u->fresh = false;
}

int tg_updates_open(struct tg *tg, struct err *err)
{
	struct tg_updates *u = mem_alloc(sizeof(*u));
	cleanup_free char *next = NULL;

	tg->updates = u;
	u->previous_offset = INT64_MIN;
	u->deadline = loop_timer_new(tg->loop, answer_waiting, tg);
	u->gather = loop_timer_new(tg->loop, answer_waiting, tg);
	if (tg_store_meta(tg, "next_update", &next, err) < 0 ||
	    tg_store_meta(tg, "allowed_updates", &u->allowed, err) < 0 ||
	    tg_store_meta(tg, "webhook", &u->webhook, err) < 0)
		return -1;
	u->next_id = next ? strtoll(next, NULL, 10) : 1;
	return 0;
}

void tg_updates_close(struct tg *tg)
{
	struct tg_updates *u = tg->updates;

	if (u == NULL)
		return;
	loop_timer_free(u->deadline);
	loop_timer_free(u->gather);
	free(u->allowed);
	free(u->webhook);
	free(u);
	tg->updates = NULL;
}

bool tg_updates_polling(const struct tg *tg)
{
	const struct tg_updates *u = tg->updates;

	return u->waiting || (u->polled_at && clock_mono_ms() - u->polled_ms < SLOW_MS);
}

int64_t tg_updates_pending(const struct tg *tg)
{
	struct err ignored;
	int64_t n = 0;

	db_get_int(tg->db, &n, &ignored, "SELECT count(*) FROM updates", "");
	return n;
}

int64_t tg_updates_last_poll_ms(const struct tg *tg)
{
	return tg->updates->polled_at;
}

static int save_webhook(struct tg_call *c, const char *url, struct err *err)
{
	struct tg_updates *u = c->tg->updates;

	if (tg_param_bool(&c->params, "drop_pending_updates") &&
	    db_run(c->tg->db, err, "DELETE FROM updates", "") < 0)
		return -1;
	free(u->webhook);
	u->webhook = url ? mem_strdup(url) : NULL;
	return tg_store_set_meta(c->tg, "webhook", url, err);
}

int tg_delete_webhook(struct tg_call *c, struct err *err)
{
	c->note = c->tg->updates->webhook ? "Webhook was deleted" : "Webhook is already deleted";
	c->result = cJSON_CreateTrue();
	return save_webhook(c, NULL, err);
}

int tg_set_webhook(struct tg_call *c, struct err *err)
{
	const char *url = tg_param(&c->params, "url");

	if (*url == '\0')
		return tg_delete_webhook(c, err);
	if (strncasecmp(url, "https://", 8) != 0)
		return tg_call_bad(c, "bad webhook: An HTTPS URL must be provided for webhook");
	bool same = c->tg->updates->webhook && strcmp(c->tg->updates->webhook, url) == 0;
	c->note = same ? "Webhook is already set" : "Webhook was set";
	c->result = cJSON_CreateTrue();
	if (allow(c, err) < 0 || save_webhook(c, url, err) < 0)
		return -1;
	end_waiting(c->tg, "Conflict: terminated by setWebhook request");
	return 0;
}

int tg_get_webhook_info(struct tg_call *c, struct err *err)
{
	struct tg_updates *u = c->tg->updates;

	(void)err;
	c->result = json_object();
	json_add_text(c->result, "url", u->webhook ? u->webhook : "");
	json_add_bool(c->result, "has_custom_certificate", false);
	json_add_int(c->result, "pending_update_count", tg_updates_pending(c->tg));
	if (u->webhook) {
		json_add_int(c->result, "max_connections", 40);
		json_add_text(c->result, "ip_address", "<unknown>");
	}
	if (u->allowed)
		json_add(c->result, "allowed_updates", cJSON_Parse(u->allowed));
	return 0;
}
