/* The gateway protocol without any network: frames of clients become structs, answers become JSON objects. Being
 * stricter than the specification breaks clients that exist, so whatever is not needed is not looked at. */
#ifndef GATEWAY_PROTOCOL_H
#define GATEWAY_PROTOCOL_H

#include "core/err.h"
#include "core/json.h"
#include <stdbool.h>
#include <stddef.h>

enum fault_code {
	FAULT_NONE,
	FAULT_UNKNOWN_COMMAND,
	FAULT_INVALID_PARAMS,
	FAULT_PROJECT_EXISTS,
	FAULT_PROJECT_NOT_FOUND,
	FAULT_TIMEOUT,
	FAULT_UNAUTHORIZED,
	FAULT_RATE_LIMITED,
	FAULT_ENGINE_UNAVAILABLE,
	FAULT_QUOTA_EXCEEDED,
	FAULT_INTERNAL,
	FAULT_COUNT
};

/* What goes wrong towards a client: a code of the protocol, a text for people, and err_name() of the cause. */
struct fault {
	enum fault_code code;
	char text[2200];
	const char *reason; /* static; NULL */
	int64_t job;        /* it concerns; 0 */
};

/** Set ${fault}; always returns -1. */
int fault_set(struct fault *fault, enum fault_code code, const char *fmt, ...)
        __attribute__((format(printf, 3, 4)));
/** The protocol's fault for an error of ours; ${project} says that existence is about a project. Always returns -1. */
int fault_of(struct fault *fault, const struct err *err, bool project);
const char *fault_name(enum fault_code code);

enum frame_type { FRAME_CHAT, FRAME_COMMAND, FRAME_STATUS, FRAME_PING, FRAME_SUBSCRIBE, FRAME_UNSUBSCRIBE };
const char *frame_type_name(enum frame_type type);

enum topic { TOPIC_JOBS = 1, TOPIC_SESSIONS = 2, TOPIC_TESTS = 4, TOPIC_ALL = 7 };
const char *topic_name(enum topic topic);

/* A Command Protocol request; all pointers live in the frame's tree. */
struct cp_request {
	const char *version; /* "1.0" or "1.1"; static */
	const char *id;
	const char *command;
	const cJSON *params; /* object or NULL */
};

struct frame {
	cJSON *root, *inner; /* owned: the frame, and the tree parsed out of `content` */
	enum frame_type type;
	const cJSON *session_id; /* text or number as the client wrote it; NULL when absent */
	char user[129];          /* the client's label of its user; "" */
	const char *text;        /* of chat; a `message` is a chat too */
	const char *action;      /* context.action of a `message`; NULL */
	const char *language;    /* context.language, such as "ru"; NULL */
	const char *request_id;  /* context.request_id: the same one asks for the same effect; NULL */
	bool heartbeat;
	unsigned topics; /* of subscribe and unsubscribe; all when the list is absent */
	bool is_command; /* then `cp` holds a request */
	struct cp_request cp;
};

/**
 * Parse one text frame. Returns 0, or -1 with ${fault}; ${f} then still holds the session id (and the request's id)
 * as far as they could be read, for the error frame. Call frame_free in both cases.
 */
int frame_parse(const char *text, size_t len, struct frame *f, struct fault *fault);
void frame_free(struct frame *f);

/* Answers. ${sid} is the correlation id (copied); the caller owns the returned object. */
/* ${job} (0: none) and a new ${log} line (NULL: none) travel under `data` only. */
cJSON *frame_progress(const cJSON *sid, const char *stage, int percent, const char *message, int64_t job,
                      const char *log);
cJSON *frame_complete(const cJSON *sid, const char *content,
                      cJSON *data); /* transfers ${data}; may be NULL */
cJSON *frame_question(const cJSON *sid, const char *question,
                      const cJSON *options); /* array of texts, copied */
cJSON *frame_error(const cJSON *sid, const struct fault *fault,
                   cJSON *data);                                     /* transfers ${data}; NULL: the usual */
cJSON *frame_event(const cJSON *sid, enum topic topic, cJSON *data); /* transfers ${data} */
cJSON *frame_pong(const cJSON *sid);

/** Response that travels as `data`: with ${fault} NULL a success of ${result} (transferred). */
cJSON *cp_response(const char *version, const char *id, cJSON *result, const char *message,
                   const struct fault *fault);

#endif
