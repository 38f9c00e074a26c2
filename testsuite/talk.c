#include "testsuite/talk.h"
#include "core/clock.h"
#include "core/mem.h"
#include "testsuite/match.h"
#include <stdlib.h>
#include <string.h>

#define LONGEST_WAIT_S 20
#define SHOWN_BYTES 300

int talk_open(struct talk **out, struct user_api *api, int64_t chat, struct err *err)
{
	cleanup_json cJSON *now = user_api_events(api, chat, -1, 0, err);
	if (!now)
		return err_wrap(err, "follow chat %lld", (long long)chat);
	struct talk *t = mem_alloc(sizeof(*t));
	t->chat = chat;
	t->last = json_int(now, "last", 0);
	*out = t;
	return 0;
}

void talk_free(struct talk *t)
{
	if (!t)
		return;
	for (size_t i = 0; i < t->n; i++)
		cJSON_Delete(t->events[i].json);
	free(t->events);
	free(t);
}

static enum talk_type type_of(const char *name)
{
	static const struct {
		const char *name;
		enum talk_type type;
	} types[] = {{"message", TALK_MESSAGE},
	             {"edit", TALK_EDIT},
	             {"delete", TALK_DELETE},
	             {"answer", TALK_ANSWER}};
	for (size_t i = 0; name && i < ARRAY_LEN(types); i++)
		if (strcmp(types[i].name, name) == 0)
			return types[i].type;
	return TALK_OTHER;
}

static const char *text_of(const cJSON *e)
{
	static const char *const places[] = {"message.text", "message.caption", "text"};
	for (size_t i = 0; i < ARRAY_LEN(places); i++)
		if (json_text(e, places[i]))
			return json_text(e, places[i]);
	return "";
}

/* Keep what the bot did; what the user did itself is of no interest. */
static void keep(struct talk *t, cJSON *e)
{
	const char *from = json_text(e, "from");
	enum talk_type type = type_of(json_text(e, "type"));
	if (type == TALK_OTHER || (from && strcmp(from, "user") == 0)) {
		cJSON_Delete(e);
		return;
	}
	t->events = mem_resize(t->events, t->n + 1, sizeof(*t->events));
	t->events[t->n++] = (struct talk_event){.type = type,
	                                        .message_id = json_int(e, "message.message_id", 0),
	                                        .text = text_of(e),
	                                        .json = e};
}

int talk_fetch(struct talk *t, struct user_api *api, int64_t deadline, struct err *err)
{
	size_t before = t->n;
	for (;;) {
		int64_t left = deadline ? deadline - clock_mono_ms() : 0;
		int64_t wait = left <= 0 ? 0 : (left + 999) / 1000;
		cleanup_json cJSON *answer = user_api_events(
		        api, t->chat, t->last, (int)(wait < LONGEST_WAIT_S ? wait : LONGEST_WAIT_S), err);
		if (!answer)
			return err_wrap(err, "wait for the bot");
		cJSON *events = cJSON_GetObjectItemCaseSensitive(answer, "events");
		while (events && events->child) {
			cJSON *e = cJSON_DetachItemFromArray(events, 0);
			int64_t id = json_int(e, "id", 0);
			t->last = id > t->last ? id : t->last;
			keep(t, e);
		}
		if (t->n > before)
			return 1;
		if (left <= 0)
			return 0;
	}
}

static const cJSON *buttons_of(const struct talk_event *e)
{
	return json_at(e->json, "message.reply_markup.inline_keyboard");
}

static const cJSON *find_button(const struct talk_event *e, const char *label, const char *data)
{
	const cJSON *row, *b;
	cJSON_ArrayForEach(row, buttons_of(e)) cJSON_ArrayForEach(b, row)
	{
		const char *text = json_text(b, "text"), *d = json_text(b, "callback_data");
		if ((!label || (text && strstr(text, label))) && (!data || (d && strcmp(d, data) == 0)) && d)
			return b;
	}
	return NULL;
}

bool talk_has_button(const struct talk_event *e, const char *label)
{
	return find_button(e, label, NULL) != NULL;
}

bool talk_has_buttons(const struct talk_event *e)
{
	return find_button(e, NULL, NULL) != NULL;
}

/* Whether a later event changed or removed the message of event ${i}. */
static bool superseded(const struct talk *t, size_t i)
{
	for (size_t j = i + 1; j < t->n; j++)
		if (t->events[j].type != TALK_ANSWER && t->events[j].message_id == t->events[i].message_id)
			return true;
	return false;
}

const struct talk_event *talk_button(const struct talk *t, int64_t message_id, const char *label,
                                     const char *data, const char **found)
{
	for (size_t i = t->n; i-- > 0;) {
		const struct talk_event *e = &t->events[i];
		if ((e->type != TALK_MESSAGE && e->type != TALK_EDIT) ||
		    (message_id && e->message_id != message_id) || superseded(t, i))
			continue;
		const cJSON *b = find_button(e, label, data);
		if (!b)
			continue;
		*found = json_text(b, "callback_data");
		return e;
	}
	return NULL;
}

static void describe_buttons(const struct talk_event *e, struct str *out)
{
	const cJSON *row, *b;
	cJSON_ArrayForEach(row, buttons_of(e)) cJSON_ArrayForEach(b, row)
	        str_addf(out, " [%s]", json_text_or(b, "text", "?"));
}

void talk_describe(const struct talk *t, size_t from, size_t max, struct str *out)
{
	static const char *const verbs[] = {"sent", "edited", "deleted", "answered the button", "did"};
	if (from >= t->n) {
		str_add(out, "\n  the bot did nothing");
		return;
	}
	if (t->n - from > max) {
		str_addf(out, "\n  (%zu earlier)", t->n - from - max);
		from = t->n - max;
	}
	for (size_t i = from; i < t->n; i++) {
		const struct talk_event *e = &t->events[i];
		const char *document = json_text(e->json, "message.document.file_name");
		str_addf(out, "\n  the bot %s %lld: ", verbs[e->type], (long long)e->message_id);
		match_quote(out, e->text, SHOWN_BYTES);
		if (document)
			str_addf(out, " document %s", document);
		describe_buttons(e, out);
	}
}
