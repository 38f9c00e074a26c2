/* Steps of a person in a chat: send, press, and what reaches the bot past the person: update, fault, block. */
#include "core/mem.h"
#include "testsuite/steps.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SHOWN_EVENTS 4

static int api_post(struct play *p, const char *path, cJSON *body, cJSON **answer, struct err *err)
{
	cleanup_json cJSON *owned = body, *got = NULL;
	struct user_api *api = target_api(p->target, err);
	if (!api || !(got = user_api_post(api, path, owned, err)))
		return -1;
	if (answer)
		*answer = TAKE(got);
	return 0;
}

int step_talk(struct play *p, const char *who, const cJSON *args, struct talk **out, struct err *err)
{
	int64_t user, chat;
	if (step_user(p, who, &user, err) || step_int(p, args, "chat", user, &chat, err))
		return -1;
	for (*out = p->talks; *out; *out = (*out)->next)
		if ((*out)->chat == chat)
			return 0;
	struct user_api *api = target_api(p->target, err);
	if (!api || talk_open(out, api, chat, err))
		return -1;
	(*out)->next = p->talks;
	p->talks = *out;
	return 0;
}

static int copy_text(struct play *p, const cJSON *args, const char *key, cJSON *body, struct err *err)
{
	cleanup_free char *text = NULL;
	if (step_text(p, args, key, &text, err))
		return -1;
	if (text)
		json_add_text(body, key, text);
	return 0;
}

static int copy_int(struct play *p, const cJSON *args, const char *key, cJSON *body, struct err *err)
{
	int64_t n;
	if (!cJSON_HasObjectItem(args, key))
		return 0;
	if (step_int(p, args, key, 0, &n, err))
		return -1;
	json_add_int(body, key, n);
	return 0;
}

static const struct schema send_keys[] = {
        {.key = "text", .shape = SHAPE_TEXT, .required = true},
        {.key = "chat", .shape = SHAPE_TEXT},
        {.key = "name", .shape = SHAPE_TEXT},
        {.key = "language", .shape = SHAPE_TEXT},
        {.key = "reply_to", .shape = SHAPE_COUNT},
        {.key = "edit", .shape = SHAPE_COUNT},
        {.key = NULL},
};

static int send_run(struct play *p, const char *who, const cJSON *args, struct err *err)
{
	struct talk *talk;
	int64_t user;
	if (step_talk(p, who, args, &talk, err) || step_user(p, who, &user, err))
		return -1;
	cleanup_json cJSON *body = json_object(), *answer = NULL;
	json_add_int(body, "user", user);
	if (talk->chat != user)
		json_add_int(body, "chat", talk->chat);
	if (copy_text(p, args, "text", body, err) || copy_text(p, args, "name", body, err) ||
	    copy_text(p, args, "language", body, err) || copy_int(p, args, "reply_to", body, err) ||
	    copy_int(p, args, "edit", body, err))
		return -1;
	if (api_post(p, "/user/message", TAKE(body), &answer, err))
		return err_wrap(err, "send as %s", who);
	vars_set_int(p->vars, "sent", json_int(answer, "message_id", 0));
	vars_set_int(p->vars, "update", json_int(answer, "update_id", 0));
	return 0;
}

static const struct schema press_keys[] = {
        {.key = "button", .shape = SHAPE_TEXT},
        {.key = "data", .shape = SHAPE_TEXT},
        {.key = "message", .shape = SHAPE_COUNT},
        {.key = "from", .shape = SHAPE_TEXT},
        {.key = NULL},
};

/* `from`: whose chat the button stands in, when another presses it. */
static int press_run(struct play *p, const char *who, const cJSON *args, struct err *err)
{
	cleanup_free char *label = NULL, *data = NULL;
	const char *from = json_text(args, "from");
	struct talk *talk;
	int64_t message, user;
	if (step_talk(p, from ? from : who, args, &talk, err) || step_user(p, who, &user, err) ||
	    step_text(p, args, "button", &label, err) || step_text(p, args, "data", &data, err) ||
	    step_int(p, args, "message", 0, &message, err))
		return -1;
	const char *found = NULL;
	const struct talk_event *e = talk_button(talk, message, label, data, &found);
	if (!e) {
		cleanup_str struct str text = STR_INIT;
		str_addf(&text, "wanted a button \"%s\" to press", label ? label : data ? data : "");
		talk_describe(talk, 0, SHOWN_EVENTS, &text);
		return err_set(err, ERR_FAILED, "%s", str_text(&text));
	}
	vars_set(p->vars, "data", found);
	vars_set_int(p->vars, "message", e->message_id);
	cJSON *body = json_object();
	json_add_int(body, "user", user);
	json_add_int(body, "chat", talk->chat);
	json_add_int(body, "message_id", e->message_id);
	json_add_text(body, "data", found);
	return api_post(p, "/user/press", body, NULL, err) ? err_wrap(err, "press as %s", who) : 0;
}

static int update_run(struct play *p, const char *who, const cJSON *args, struct err *err)
{
	int64_t user;
	struct talk *talk; /* begun before, so that an answer is not missed */
	if (step_user(p, who, &user, err) || step_talk(p, who, NULL, &talk, err))
		return -1;
	vars_set_int(p->vars, "user_id", user);
	cJSON *update = vars_expand_json(p->vars, args, err);
	if (!update)
		return -1;
	cleanup_json cJSON *answer = NULL;
	cJSON *body = json_object();
	json_add(body, "update", update);
	if (api_post(p, "/user/update", body, &answer, err))
		return -1;
	vars_set_int(p->vars, "update", json_int(answer, "update_id", 0));
	return 0;
}

static const struct schema fault_keys[] = {
        {.key = "method", .shape = SHAPE_TEXT, .required = true},
        {.key = "times", .shape = SHAPE_COUNT},
        {.key = "error_code", .shape = SHAPE_COUNT},
        {.key = "description", .shape = SHAPE_TEXT},
        {.key = "retry_after", .shape = SHAPE_COUNT},
        {.key = "delay_ms", .shape = SHAPE_COUNT},
        {.key = "drop", .shape = SHAPE_FLAG},
        {.key = "after_effect", .shape = SHAPE_FLAG},
        {.key = "html", .shape = SHAPE_FLAG},
        {.key = NULL},
};

static int fault_run(struct play *p, const char *who, const cJSON *args, struct err *err)
{
	(void)who;
	cJSON *body = vars_expand_json(p->vars, args, err);
	if (!body)
		return -1;
	if (!cJSON_HasObjectItem(body, "times"))
		json_add_int(body, "times", 1);
	return api_post(p, "/user/fault", body, NULL, err);
}

static const struct schema block_keys[] = {
        {.key = "blocked", .shape = SHAPE_FLAG, .required = true},
        {.key = NULL},
};

static int block_run(struct play *p, const char *who, const cJSON *args, struct err *err)
{
	int64_t user;
	if (step_user(p, who, &user, err))
		return -1;
	cJSON *body = json_object();
	json_add_int(body, "user", user);
	json_add_bool(body, "blocked", json_bool(args, "blocked", true));
	return api_post(p, "/user/block", body, NULL, err);
}

const struct step_kind chat_steps[] = {
        {"send", "text", send_keys, STEP_CHAT, send_run},
        {"press", "button", press_keys, STEP_CHAT, press_run},
        {"update", NULL, NULL, STEP_CHAT, update_run},
        {"fault", NULL, fault_keys, STEP_CHAT | STEP_ALONE, fault_run},
        {"block", "blocked", block_keys, STEP_CHAT, block_run},
        {.name = NULL},
};
