/* What the bot must do, or must not. `expect` looks at everything the bot did in the chat since the last event an expectation
 * was met by. */
#include "core/mem.h"
#include "testsuite/steps.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SHOWN_EVENTS 4

static const struct schema expect_keys[] = {
        MATCH_KEYS,
        {.key = "within", .shape = SHAPE_DURATION},
        {.key = "chat", .shape = SHAPE_TEXT},
        {.key = "edited", .shape = SHAPE_FLAG},
        {.key = "deleted", .shape = SHAPE_FLAG},
        {.key = "answer", .shape = SHAPE_FLAG},
        {.key = "next", .shape = SHAPE_FLAG},
        {.key = "message", .shape = SHAPE_COUNT},
        {.key = "buttons", .shape = SHAPE_TEXTS},
        {.key = "no_buttons", .shape = SHAPE_FLAG},
        {.key = "document", .shape = SHAPE_TEXT},
        {.key = "unless", .shape = SHAPE_TEXTS},
        {.key = "save", .shape = SHAPE_MAP},
        {.key = NULL},
};

/* The type of event wanted; an edit counts as the message's new text unless `edited` says which. */
static bool type_wanted(const cJSON *args, const struct talk_event *e)
{
	const cJSON *edited = cJSON_GetObjectItemCaseSensitive(args, "edited");
	if (json_bool(args, "answer", false))
		return e->type == TALK_ANSWER;
	if (json_bool(args, "deleted", false))
		return e->type == TALK_DELETE;
	if (edited)
		return e->type == (cJSON_IsTrue(edited) ? TALK_EDIT : TALK_MESSAGE);
	return e->type == TALK_MESSAGE || e->type == TALK_EDIT;
}

static int buttons_met(struct play *p, const cJSON *args, const struct talk_event *e, struct str *why,
                       struct err *err)
{
	const cJSON *list = cJSON_GetObjectItemCaseSensitive(args, "buttons");
	const cJSON *item = cJSON_IsArray(list) ? list->child : list;
	if (json_bool(args, "no_buttons", false) && talk_has_buttons(e)) {
		str_add(why, "has buttons");
		return 0;
	}
	for (; item; item = cJSON_IsArray(list) ? item->next : NULL) {
		cleanup_free char *label = vars_expand_value(p->vars, item, err);
		if (!label)
			return -1;
		if (talk_has_button(e, label))
			continue;
		str_addf(why, "has no button \"%s\"", label);
		return 0;
	}
	return 1;
}

static int document_met(struct play *p, const cJSON *args, const struct talk_event *e, struct str *why,
                        struct err *err)
{
	cleanup_free char *want = NULL;
	if (step_text(p, args, "document", &want, err))
		return -1;
	const char *name = json_text(e->json, "message.document.file_name");
	if (!want || (name && strstr(name, want)))
		return 1;
	str_addf(why, "has no document \"%s\"", want);
	return 0;
}

/* Whether one event is what was expected: 1, 0 with the reason in ${why}, -1. */
static int event_met(struct play *p, const cJSON *args, const struct talk_event *e, struct str *why,
                     struct err *err)
{
	int64_t message;
	if (step_int(p, args, "message", 0, &message, err))
		return -1;
	if (!type_wanted(args, e) || (message && e->message_id != message)) {
		str_add(why, "is another kind of event or message");
		return 0;
	}
	int met = buttons_met(p, args, e, why, err);
	if (met == 1)
		met = document_met(p, args, e, why, err);
	return met == 1 ? match_text(p->vars, args, e->text, why, err) : met;
}

/* 1 when a text of `unless` came: no use in waiting on. */
static int given_up(struct play *p, const cJSON *args, const struct talk_event *e, struct str *why,
                    struct err *err)
{
	const cJSON *list = cJSON_GetObjectItemCaseSensitive(args, "unless");
	const cJSON *item = cJSON_IsArray(list) ? list->child : list;
	for (; item; item = cJSON_IsArray(list) ? item->next : NULL) {
		cleanup_free char *text = vars_expand_value(p->vars, item, err);
		if (!text)
			return -1;
		if (!strstr(e->text, text))
			continue;
		str_addf(why, "contains \"%s\"", text);
		return 1;
	}
	return 0;
}

static void describe_wanted(struct play *p, const cJSON *args, struct str *out)
{
	str_add(out, json_bool(args, "answer", false)    ? "wanted an answer to the button press"
	             : json_bool(args, "deleted", false) ? "wanted a message deleted"
	             : json_bool(args, "edited", false)  ? "wanted a message edited to a text"
	                                                 : "wanted a message");
	match_describe(p->vars, args, out);
	cleanup_free char *buttons = NULL;
	if (cJSON_HasObjectItem(args, "buttons"))
		buttons = json_print(cJSON_GetObjectItemCaseSensitive(args, "buttons"));
	if (buttons)
		str_addf(out, " with buttons %s", buttons);
}

static int unmet(struct play *p, const struct talk *talk, const cJSON *args, const char *who, const char *why,
                 const char *how, struct err *err)
{
	cleanup_str struct str text = STR_INIT;
	describe_wanted(p, args, &text);
	str_addf(&text, " for %s, %s", who, how);
	if (*why)
		str_addf(&text, "; the last one %s", why);
	talk_describe(talk, talk->mark, SHOWN_EVENTS, &text);
	return err_set(err, ERR_FAILED, "%s", str_text(&text));
}

static int met_by(struct play *p, const cJSON *args, struct talk *talk, size_t i, struct err *err)
{
	struct talk_event *e = &talk->events[i];
	e->matched = true;
	talk->mark = i + 1;
	vars_set(p->vars, "text", e->text);
	vars_set_int(p->vars, "message", e->message_id);
	const cJSON *save = cJSON_GetObjectItemCaseSensitive(args, "save");
	return save ? match_save(p->vars, save, e->json, err) : 0;
}

/* Look at the events from ${*i} on. 1 met, 0 not yet, -1. */
static int look(struct play *p, const char *who, const cJSON *args, struct talk *talk, size_t *i,
                struct str *why, struct err *err)
{
	for (; *i < talk->n; (*i)++) {
		str_cut(why, 0);
		int met = event_met(p, args, &talk->events[*i], why, err);
		if (met < 0)
			return -1;
		if (met)
			return met_by(p, args, talk, *i, err) ? -1 : 1;
		int over = given_up(p, args, &talk->events[*i], why, err);
		if (over < 0)
			return -1;
		if (over || (json_bool(args, "next", false) && talk->events[*i].type == TALK_MESSAGE))
			return unmet(p, talk, args, who, str_text(why), "but something else came", err);
	}
	return 0;
}

static int expect_run(struct play *p, const char *who, const cJSON *args, struct err *err)
{
	struct talk *talk;
	if (step_talk(p, who, args, &talk, err))
		return -1;
	int64_t deadline = step_deadline(p, args);
	cleanup_str struct str why = STR_INIT;
	size_t i = talk->mark;
	for (;;) {
		int met = look(p, who, args, talk, &i, &why, err);
		if (met)
			return met > 0 ? 0 : -1;
		int came = talk_fetch(talk, target_api(p->target, err), deadline, err);
		if (came < 0)
			return -1;
		if (!came)
			return unmet(p, talk, args, who, str_text(&why), "in vain", err);
	}
}

static const struct schema none_keys[] = {
        MATCH_KEYS,
        {.key = "chat", .shape = SHAPE_TEXT},
        {.key = "proof", .shape = SHAPE_STEPS, .required = true},
        {.key = NULL},
};

/* Silence cannot be waited for. The `proof` is something that happens after what must not happen would have happened. */
static int none_run(struct play *p, const char *who, const cJSON *args, struct err *err)
{
	struct talk *talk;
	char path[300];
	snprintf(path, sizeof(path), "%s/expect_none/proof", p->where);
	if (step_talk(p, who, args, &talk, err))
		return -1;
	size_t from = talk->mark;
	if (steps_play(p, cJSON_GetObjectItemCaseSensitive(args, "proof"), path, err))
		return err_wrap(err, "expect_none: its proof did not come");
	if (talk_fetch(talk, target_api(p->target, err), 0, err) < 0)
		return -1;
	for (size_t i = from; i < talk->n; i++) {
		const struct talk_event *e = &talk->events[i];
		cleanup_str struct str why = STR_INIT;
		if (e->matched || (e->type != TALK_MESSAGE && e->type != TALK_EDIT))
			continue;
		int met = match_text(p->vars, args, e->text, &why, err);
		if (met < 0)
			return -1;
		if (!met)
			continue;
		cleanup_str struct str text = STR_INIT;
		str_addf(&text, "wanted nothing for %s, but it came", who);
		talk_describe(talk, i, SHOWN_EVENTS, &text);
		return err_set(err, ERR_FAILED, "%s", str_text(&text));
	}
	talk->mark = talk->n;
	return 0;
}

const struct step_kind expect_steps[] = {
        {"expect", "contains", expect_keys, STEP_CHAT, expect_run},
        {"expect_none", NULL, none_keys, STEP_CHAT, none_run},
        {.name = NULL},
};
