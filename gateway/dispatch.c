#include "gateway/dispatch.h"
#include "core/clock.h"
#include "core/mem.h"
#include "core/mutant.h"
#include "core/text.h"
#include "core/version.h"
#include "gateway/questions.h"
#include "gateway/request.h"
#include "gateway/responder.h"
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void client_send(struct client *client, cJSON *frame)
{
	cleanup_json cJSON *owned = frame;
	cleanup_free char *text = json_print(owned);
	size_t len = strlen(text);
	/* A log line of a foreign program may hold any byte, and one bad byte would end the connection with 1007. */
	if (!text_is_utf8(text, len))
		for (char *p = text; *p; p++)
			if ((unsigned char)*p >= 0x80)
				*p = '?';
	client->send(client, text, len);
}

static const cJSON *sid_of(struct client *client, const struct frame *f)
{
	return f->session_id && !MUTANT("gateway_forgets_the_request_id") ? f->session_id : client->sid;
}

void dispatch_welcome(struct client *client)
{
	cJSON *data = json_object();
	json_add_text(data, "version", version_text);
	json_add_text(data, "role", role_name(client->role));
	client_send(client, frame_complete(client->sid, responder_welcome(LANG_EN), data));
}

static struct request_spec spec_of(struct client *client, const struct frame *f)
{
	return (struct request_spec){
	        .sid = sid_of(client, f),
	        .user = f->user,
	        .cp = f->is_command ? &f->cp : NULL,
	        .lang = f->language && strncmp(f->language, "ru", 2) == 0 ? LANG_RU : LANG_EN,
	};
}

static void refuse_frame(struct client *client, const struct frame *f, const struct fault *fault)
{
	struct request_spec spec = spec_of(client, f);
	request_refuse(client, &spec, fault);
}

void dispatch_refuse(struct client *client, const char *text, size_t len, const struct fault *fault)
{
	struct frame f;
	struct fault ignored;
	frame_parse(text, len, &f, &ignored);
	refuse_frame(client, &f, fault);
	frame_free(&f);
}

/* -- commands -- */

/* The job of an id is looked for under one spelling; an id that is no UUID is not unique enough to mean "the same". */
static char *command_origin(const char *id)
{
	if (!id_is_uuid(id))
		return NULL;
	char *origin = mem_printf("cp:%s", id);
	for (char *p = origin; *p; p++)
		*p = (char)tolower((unsigned char)*p);
	return origin;
}

static void run_command(struct client *client, const struct frame *f)
{
	struct request_spec spec = spec_of(client, f);
	struct fault fault;
	cleanup_free char *origin = command_origin(f->cp.id);
	spec.command = command_find(f->cp.command);
	spec.params = f->cp.params;
	spec.origin = origin;
	if (spec.command) {
		request_start(client, &spec);
		return;
	}
	command_unknown(f->cp.command, &fault);
	request_refuse(client, &spec, &fault);
}

/* -- chats -- */

/* Answers to "which session?" come from the database. */
static void add_session_options(struct client *client, struct response *question)
{
	cleanup_query struct query q = QUERY_INIT;
	struct err err;
	if (question->command->kind == NULL || strncmp(question->command->kind, "session.", 8) != 0 ||
	    db_query(client->hub->st->db, &q, &err,
	             "SELECT name FROM sessions WHERE state <> 'failed' AND pool IS NULL ORDER BY name LIMIT 20", ""))
		return;
	while (query_next(&q, &err) == 1)
		cJSON_AddItemToArray(question->options, cJSON_CreateString(query_text(&q, 0)));
}

static void act(struct client *client, const struct frame *f, const char *origin, struct response *response)
{
	struct request_spec spec = spec_of(client, f);
	if (response->type == RESPONSE_TEXT) {
		client_send(client, frame_complete(spec.sid, response->text, NULL));
	} else if (response->type == RESPONSE_COMMAND) {
		spec.command = response->command;
		spec.params = response->params;
		spec.lang = response->lang;
		spec.origin = origin;
		request_start(client, &spec);
	} else {
		cleanup_free char *key = json_print(spec.sid);
		add_session_options(client, response);
		client_send(client, frame_question(spec.sid, response->text, response->options));
		questions_put(client->hub->questions, key, response, clock_mono_ms());
	}
}

/* A chat that was sent before under the same request id is its job, whatever its text means by now: the question that it
 * answered is gone. */
static bool resume(struct client *client, const struct frame *f, const char *origin)
{
	cleanup_query struct query q = QUERY_INIT;
	struct request_spec spec = spec_of(client, f);
	struct err err;
	if (!origin ||
	    db_query(client->hub->st->db, &q, &err, "SELECT id, kind FROM jobs WHERE origin = ?", "t",
	             origin) ||
	    query_next(&q, &err) != 1)
		return false;
	int64_t id = query_int(&q, 0);
	for (const struct command *c = commands; c->name; c++)
		if (c->kind && strcmp(c->kind, query_text(&q, 1)) == 0)
			spec.command = c;
	query_end(&q);
	if (spec.command)
		request_resume(client, &spec, id);
	return spec.command != NULL;
}

static void chat(struct client *client, const struct frame *f)
{
	struct response question = {0}, response;
	cleanup_free char *origin = f->request_id ? mem_printf("chat:%s", f->request_id) : NULL;
	cleanup_free char *key = json_print(sid_of(client, f));
	if (resume(client, f, origin))
		return;
	if (questions_take(client->hub->questions, key, &question, clock_mono_ms()))
		responder_answer(f->text, &question, &response);
	else
		responder_read(f->text, spec_of(client, f).lang, &response);
	act(client, f, origin, &response);
	response_free(&response);
	response_free(&question);
}

static void refuse_action(struct client *client, const struct frame *f)
{
	struct fault fault;
	fault_set(&fault, FAULT_UNKNOWN_COMMAND,
	          "This gateway knows no action `%.40s`: send a chat, or a command; `help` lists them.",
	          f->action);
	refuse_frame(client, f, &fault);
}

/* -- the small ones -- */

static void ping(struct client *client, const struct frame *f)
{
	const cJSON *sid = sid_of(client, f);
	client_send(client, f->heartbeat ? frame_pong(sid) : frame_complete(sid, "Pong", NULL));
}

static void status(struct client *client, const struct frame *f)
{
	struct request_spec spec = spec_of(client, f);
	spec.command = command_find("status");
	spec.bare = true;
	request_start(client, &spec);
}

static void subscribe(struct client *client, const struct frame *f)
{
	bool before = client->topics != 0;
	client->topics =
	        f->type == FRAME_SUBSCRIBE ? client->topics | f->topics : client->topics & ~f->topics;
	if (client->topics && !before)
		feed_follow(client->hub->feed);
	else if (!client->topics && before)
		feed_unfollow(client->hub->feed);
	if (f->type == FRAME_SUBSCRIBE) {
		cJSON_Delete(client->topics_sid);
		client->topics_sid = cJSON_Duplicate(sid_of(client, f), 1);
	}
	cleanup_str struct str text = STR_INIT;
	cJSON *data = json_object(), *list = json_array();
	for (unsigned t = 1; t < TOPIC_ALL; t <<= 1) {
		if (!(client->topics & t))
			continue;
		cJSON_AddItemToArray(list, cJSON_CreateString(topic_name((enum topic)t)));
		str_addf(&text, "%s%s", text.len ? ", " : "Subscribed to: ", topic_name((enum topic)t));
	}
	json_add(data, "topics", list);
	client_send(client, frame_complete(sid_of(client, f),
	                                   text.len ? str_text(&text) : "Subscribed to nothing.", data));
}

static enum topic topic_of(const char *kind)
{
	return strncmp(kind, "session.", 8) == 0 ? TOPIC_SESSIONS
	       : strncmp(kind, "test.", 5) == 0  ? TOPIC_TESTS
	                                         : 0;
}

void dispatch_event(struct client *client, const struct job_event *event, const char *kind)
{
	for (unsigned t = 1; t < TOPIC_ALL; t <<= 1) {
		if (!(client->topics & t) || (t != TOPIC_JOBS && t != (unsigned)topic_of(kind)))
			continue;
		cJSON *data = json_object();
		json_add_int(data, "job", event->job);
		json_add_text(data, "kind", kind);
		json_add_text(data, "type", event->type);
		json_add_text(data, "stage", event->stage);
		if (event->percent >= 0)
			json_add_int(data, "progress", event->percent);
		json_add_text(data, "message", event->text);
		json_add_int(data, "at", event->at);
		metrics_add(client->hub->metrics, METRIC_EVENTS, NULL, 1);
		client_send(client, frame_event(client->topics_sid, (enum topic)t, data));
	}
}

static void dispatch(struct client *client, const struct frame *f)
{
	if (f->is_command)
		run_command(client, f);
	else if (f->type == FRAME_CHAT && f->action)
		refuse_action(client, f);
	else if (f->type == FRAME_CHAT)
		chat(client, f);
	else if (f->type == FRAME_STATUS)
		status(client, f);
	else if (f->type == FRAME_PING)
		ping(client, f);
	else
		subscribe(client, f);
}

void dispatch_text(struct client *client, const char *text, size_t len)
{
	struct frame f;
	struct fault fault;
	int bad = frame_parse(text, len, &f, &fault);
	char label[40];
	snprintf(label, sizeof(label), "type=\"%s\"", bad ? "invalid" : frame_type_name(f.type));
	metrics_add(client->hub->metrics, METRIC_MESSAGES, label, 1);
	if (bad && MUTANT("gateway_says_nothing_to_bad_frames"))
		(void)fault;
	else if (bad)
		refuse_frame(client, &f, &fault);
	else
		dispatch(client, &f);
	frame_free(&f);
}
