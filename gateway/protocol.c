#include "gateway/protocol.h"
#include "core/clock.h"
#include "core/mem.h"
#include "core/text.h"
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ID_MAX 128

static const char *const fault_names[FAULT_COUNT] = {
        [FAULT_NONE] = "",
        [FAULT_UNKNOWN_COMMAND] = "UNKNOWN_COMMAND",
        [FAULT_INVALID_PARAMS] = "INVALID_PARAMS",
        [FAULT_PROJECT_EXISTS] = "PROJECT_EXISTS",
        [FAULT_PROJECT_NOT_FOUND] = "PROJECT_NOT_FOUND",
        [FAULT_TIMEOUT] = "TIMEOUT",
        [FAULT_UNAUTHORIZED] = "UNAUTHORIZED",
        [FAULT_RATE_LIMITED] = "RATE_LIMITED",
        [FAULT_ENGINE_UNAVAILABLE] = "ENGINE_UNAVAILABLE",
        [FAULT_QUOTA_EXCEEDED] = "QUOTA_EXCEEDED",
        [FAULT_INTERNAL] = "INTERNAL",
};

/* The protocol knows fewer causes than we do; the finer one travels as details.reason. */
static const enum fault_code fault_codes[ERR_CODE_COUNT] = {
        [ERR_FAILED] = FAULT_INTERNAL,       [ERR_USAGE] = FAULT_INVALID_PARAMS,
        [ERR_CONFIG] = FAULT_INTERNAL,       [ERR_ENGINE] = FAULT_ENGINE_UNAVAILABLE,
        [ERR_QUOTA] = FAULT_QUOTA_EXCEEDED,  [ERR_NOT_FOUND] = FAULT_INVALID_PARAMS,
        [ERR_EXISTS] = FAULT_INVALID_PARAMS, [ERR_INVALID] = FAULT_INVALID_PARAMS,
        [ERR_STATE] = FAULT_INVALID_PARAMS,  [ERR_DENIED] = FAULT_UNAUTHORIZED,
        [ERR_BUSY] = FAULT_INTERNAL,         [ERR_TIMEOUT] = FAULT_TIMEOUT,
        [ERR_CANCELLED] = FAULT_INTERNAL,    [ERR_LIMIT] = FAULT_QUOTA_EXCEEDED,
        [ERR_NET] = FAULT_INTERNAL,          [ERR_IO] = FAULT_INTERNAL,
        [ERR_DB] = FAULT_INTERNAL,
};

int fault_set(struct fault *fault, enum fault_code code, const char *fmt, ...)
{
	va_list ap;
	*fault = (struct fault){.code = code};
	va_start(ap, fmt);
	vsnprintf(fault->text, sizeof(fault->text), fmt, ap);
	va_end(ap);
	return -1;
}

int fault_of(struct fault *fault, const struct err *err, bool project)
{
	enum fault_code code = fault_codes[err->code];
	if (project && err->code == ERR_EXISTS)
		code = FAULT_PROJECT_EXISTS;
	if (project && err->code == ERR_NOT_FOUND)
		code = FAULT_PROJECT_NOT_FOUND;
	fault_set(fault, code ? code : FAULT_INTERNAL, "%s", err->msg);
	fault->reason = err_name(err->code);
	return -1;
}

const char *fault_name(enum fault_code code)
{
	return fault_names[code];
}

/* `message` is a chat whose text stands under another key. */
static const struct {
	const char *name;
	enum frame_type type;
	const char *text_key;
} frame_types[] = {
        {"chat", FRAME_CHAT, "content"},
        {"command", FRAME_COMMAND, NULL},
        {"message", FRAME_CHAT, "message"},
        {"status", FRAME_STATUS, NULL},
        {"ping", FRAME_PING, NULL},
        {"subscribe", FRAME_SUBSCRIBE, NULL},
        {"unsubscribe", FRAME_UNSUBSCRIBE, NULL},
};
#define FRAME_TYPES "chat, command, message, status, ping, subscribe, unsubscribe"

const char *frame_type_name(enum frame_type type)
{
	for (size_t i = 0; i < ARRAY_LEN(frame_types); i++)
		if (frame_types[i].type == type)
			return frame_types[i].name;
	return "unknown";
}

static const struct {
	enum topic topic;
	const char *name;
} topics[] = {{TOPIC_JOBS, "jobs"}, {TOPIC_SESSIONS, "sessions"}, {TOPIC_TESTS, "tests"}};

const char *topic_name(enum topic topic)
{
	for (size_t i = 0; i < ARRAY_LEN(topics); i++)
		if (topics[i].topic == topic)
			return topics[i].name;
	return "";
}

/* Clients label users with texts or, as Telegram does, with numbers. */
static void read_user(const cJSON *value, char user[129])
{
	if (cJSON_IsString(value) && strlen(value->valuestring) <= ID_MAX)
		snprintf(user, 129, "%s", value->valuestring);
	else if (cJSON_IsNumber(value) && fabs(value->valuedouble) < 9e15)
		snprintf(user, 129, "%.0f", value->valuedouble);
	text_blank(user, "");
}

static const char *read_version(const cJSON *value)
{
	if (cJSON_IsString(value) && strcmp(value->valuestring, "1.0") == 0)
		return "1.0";
	if (cJSON_IsString(value) && strcmp(value->valuestring, "1.1") == 0)
		return "1.1";
	if (cJSON_IsNumber(value) && value->valuedouble >= 1.0 && value->valuedouble <= 1.0)
		return "1.0";
	if (cJSON_IsNumber(value) && fabs(value->valuedouble - 1.1) < 1e-9)
		return "1.1";
	return NULL;
}

/* Read the Command Protocol request of ${j} into ${f}; the id comes first, so that the error can name it. */
static int read_command(const cJSON *j, struct frame *f, struct fault *fault)
{
	struct cp_request *cp = &f->cp;
	const char *id = json_text(j, "id");
	const cJSON *confidence = json_at(j, "intent_confidence"), *params = json_at(j, "params");
	f->is_command = true;
	cp->version = read_version(json_at(j, "version"));
	cp->id = id && strlen(id) <= ID_MAX ? id : NULL;
	cp->command = json_text(j, "command");
	cp->params = cJSON_IsObject(params) ? params : NULL;
	if (json_text(j, "context.language"))
		f->language = json_text(j, "context.language");
	if (json_at(j, "context.user_id"))
		read_user(json_at(j, "context.user_id"), f->user);
	if (!cp->version)
		return fault_set(fault, FAULT_INVALID_PARAMS,
		                 "The command's `version` is missing or unknown: send \"1.0\" or \"1.1\".");
	if (!cp->id || !*cp->id)
		return fault_set(fault, FAULT_INVALID_PARAMS,
		                 "The command's `id` is missing: send a new UUID with each command.");
	if (!cp->command || !*cp->command)
		return fault_set(fault, FAULT_INVALID_PARAMS,
		                 "The command's `command` is missing: send its name, `help` lists them.");
	if (params && !cp->params && !cJSON_IsNull(params))
		return fault_set(fault, FAULT_INVALID_PARAMS,
		                 "The command's `params` must be an object, such as {\"name\":\"shop\"}.");
	if (confidence && !cJSON_IsNull(confidence) &&
	    !(cJSON_IsNumber(confidence) && confidence->valuedouble >= 0 && confidence->valuedouble <= 1))
		return fault_set(fault, FAULT_INVALID_PARAMS,
		                 "The command's `intent_confidence` must be a number from 0 to 1.");
	return 0;
}

/* A chat whose text is itself a Command Protocol request is that request; any other text stays a chat. */
static int read_chat(struct frame *f, const char *key, struct fault *fault)
{
	struct err ignored;
	f->text = json_text(f->root, key);
	f->action = json_text(f->root, "context.action");
	f->request_id = json_text(f->root, "context.request_id");
	if (f->request_id && (!*f->request_id || strlen(f->request_id) > ID_MAX))
		f->request_id = NULL;
	if (!f->text)
		return fault_set(fault, FAULT_INVALID_PARAMS,
		                 "The frame's `%s` is missing: send the text as a string.", key);
	const char *start = f->text + strspn(f->text, " \t\r\n");
	if (!*start && !f->action)
		return fault_set(fault, FAULT_INVALID_PARAMS,
		                 "The message is empty: write what you want, `help` shows examples.");
	if (*start != '{' || !(f->inner = json_parse(start, strlen(start), &ignored)))
		return 0;
	if (json_at(f->inner, "version") && json_at(f->inner, "id") && json_at(f->inner, "command"))
		return read_command(f->inner, f, fault);
	return 0;
}

static int read_command_frame(struct frame *f, struct fault *fault)
{
	struct err err;
	const cJSON *content = json_at(f->root, "content");
	if (!content || json_at(f->root, "command"))
		return read_command(f->root, f, fault);
	if (cJSON_IsObject(content))
		return read_command(content, f, fault);
	if (cJSON_IsString(content))
		f->inner = json_parse(content->valuestring, strlen(content->valuestring), &err);
	if (!cJSON_IsObject(f->inner))
		return fault_set(fault, FAULT_INVALID_PARAMS,
		                 "The command's `content` must hold a JSON object with "
		                 "`version`, `id`, `command` and `params`.");
	return read_command(f->inner, f, fault);
}

static int read_topics(struct frame *f, struct fault *fault)
{
	const cJSON *list = json_at(f->root, "topics"), *item;
	if (!list) {
		f->topics = TOPIC_ALL;
		return 0;
	}
	if (!cJSON_IsArray(list))
		return fault_set(fault, FAULT_INVALID_PARAMS,
		                 "`topics` must be a list of: jobs, sessions, tests.");
	cJSON_ArrayForEach(item, list)
	{
		unsigned known = 0;
		for (size_t i = 0; i < ARRAY_LEN(topics); i++)
			if (cJSON_IsString(item) && strcmp(item->valuestring, topics[i].name) == 0)
				known = topics[i].topic;
		if (!known)
			return fault_set(fault, FAULT_INVALID_PARAMS,
			                 "There is no topic `%.40s`: use jobs, sessions, tests.",
			                 cJSON_IsString(item) ? item->valuestring : "(not a text)");
		f->topics |= known;
	}
	return 0;
}

static int read_typed(struct frame *f, struct fault *fault)
{
	const char *type = json_text(f->root, "type");
	if (!type)
		return fault_set(fault, FAULT_INVALID_PARAMS,
		                 "The frame's `type` is missing: use one of " FRAME_TYPES ".");
	for (size_t i = 0; i < ARRAY_LEN(frame_types); i++) {
		if (strcmp(type, frame_types[i].name) != 0)
			continue;
		f->type = frame_types[i].type;
		if (f->type == FRAME_CHAT)
			return read_chat(f, frame_types[i].text_key, fault);
		if (f->type == FRAME_COMMAND)
			return read_command_frame(f, fault);
		if (f->type == FRAME_SUBSCRIBE || f->type == FRAME_UNSUBSCRIBE)
			return read_topics(f, fault);
		f->heartbeat = json_bool(f->root, "heartbeat", false);
		return 0;
	}
	return fault_set(fault, FAULT_INVALID_PARAMS,
	                 "There is no frame type `%.40s`: use one of " FRAME_TYPES ".", type);
}

int frame_parse(const char *text, size_t len, struct frame *f, struct fault *fault)
{
	struct err err;
	*f = (struct frame){0};
	f->root = json_parse(text, len, &err);
	if (!f->root)
		return fault_set(fault, FAULT_INVALID_PARAMS,
		                 "This frame is %.200s: send one JSON object per frame.", err.msg);
	if (!cJSON_IsObject(f->root))
		return fault_set(fault, FAULT_INVALID_PARAMS,
		                 "This is JSON, but not an object: send one such as {\"type\":\"ping\"}.");
	const cJSON *sid = json_at(f->root, "sessionId");
	if (cJSON_IsNumber(sid) ||
	    (cJSON_IsString(sid) && *sid->valuestring && strlen(sid->valuestring) <= 4 * ID_MAX))
		f->session_id = sid;
	f->language = json_text(f->root, "context.language");
	read_user(json_at(f->root, "context.user_id"), f->user);
	read_user(json_at(f->root, "userId"), f->user);
	return read_typed(f, fault);
}

void frame_free(struct frame *f)
{
	cJSON_Delete(f->root);
	cJSON_Delete(f->inner);
	*f = (struct frame){0};
}

static cJSON *frame_new(const char *type, const cJSON *sid)
{
	cJSON *j = json_object();
	json_add_text(j, "type", type);
	json_add(j, "sessionId", sid ? cJSON_Duplicate(sid, 1) : NULL);
	return j;
}

static void add_step(cJSON *j, const char *stage, int percent, const char *message)
{
	json_add_text(j, "stage", stage);
	json_add_int(j, "progress", percent);
	json_add_text(j, "message", message);
}

cJSON *frame_progress(const cJSON *sid, const char *stage, int percent, const char *message, int64_t job,
                      const char *log)
{
	cJSON *j = frame_new("progress", sid), *data = json_object();
	add_step(j, stage, percent, message);
	add_step(data, stage, percent, message);
	if (job)
		json_add_int(data, "job", job);
	if (log) {
		cJSON *logs = json_array();
		cJSON_AddItemToArray(logs, cJSON_CreateString(log));
		json_add(data, "logs", logs);
	}
	json_add(j, "data", data);
	return j;
}

cJSON *frame_complete(const cJSON *sid, const char *content, cJSON *data)
{
	cJSON *j = frame_new("complete", sid);
	json_add_text(j, "content", content);
	if (data)
		json_add(j, "data", data);
	return j;
}

cJSON *frame_question(const cJSON *sid, const char *question, const cJSON *options)
{
	cJSON *j = frame_new("question", sid), *data = json_object();
	json_add_text(j, "question", question);
	json_add(j, "options", cJSON_Duplicate(options, 1));
	json_add_text(data, "question", question);
	json_add(data, "options", cJSON_Duplicate(options, 1));
	json_add(j, "data", data);
	return j;
}

static cJSON *fault_details(const struct fault *fault)
{
	cJSON *details = json_object();
	if (fault->reason)
		json_add_text(details, "reason", fault->reason);
	if (fault->job)
		json_add_int(details, "job", fault->job);
	return details;
}

static void add_fault(cJSON *j, const struct fault *fault)
{
	json_add_text(j, "code", fault_name(fault->code));
	if (!json_at(j, "message"))
		json_add_text(j, "message", fault->text);
	json_add(j, "details", fault_details(fault));
}

cJSON *frame_error(const cJSON *sid, const struct fault *fault, cJSON *data)
{
	cJSON *j = frame_new("error", sid);
	json_add_text(j, "content", fault->text);
	json_add_text(j, "error", fault->text);
	if (!data) {
		data = json_object();
		add_fault(data, fault);
	}
	json_add(j, "data", data);
	return j;
}

cJSON *frame_event(const cJSON *sid, enum topic topic, cJSON *data)
{
	cJSON *j = frame_new("event", sid);
	json_add_text(j, "topic", topic_name(topic));
	json_add(j, "data", data);
	return j;
}

cJSON *frame_pong(const cJSON *sid)
{
	return frame_new("pong", sid);
}

cJSON *cp_response(const char *version, const char *id, cJSON *result, const char *message,
                   const struct fault *fault)
{
	char now[32];
	cJSON *j = json_object();
	json_add_text(j, "version", version ? version : "1.0");
	json_add_text(j, "id", id);
	json_add_text(j, "status", fault ? "error" : "success");
	if (result)
		json_add(j, "result", result);
	json_add_text(j, "message", message);
	if (fault) {
		cJSON *error = json_object();
		add_fault(error, fault);
		json_add(j, "error", error);
		/* Clients that read an error frame's `data` expect these two flat. */
		add_fault(j, fault);
	}
	json_add_text(j, "timestamp", clock_iso(clock_now_ms(), now, sizeof(now)));
	return j;
}
