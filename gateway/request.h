/* One running request of a client: a job that is followed, or a query. Every frame of its answer repeats the request's
 * correlation id; progress never goes backwards; exactly one of `complete` and `error` ends it. */
#ifndef GATEWAY_REQUEST_H
#define GATEWAY_REQUEST_H

#include "gateway/client.h"
#include "gateway/commands.h"
#include "gateway/protocol.h"

struct request_spec {
	const cJSON *sid; /* correlation id */
	const struct command *command;
	const cJSON *params; /* unchecked; NULL: none */
	enum lang lang;
	const struct cp_request *cp; /* answered as Command Protocol; NULL for a chat */
	bool bare;                   /* the answer's data is the result itself (frame `status`) */
	const char *user;            /* the client's label, "" when there is none */
	const char *origin;          /* the same origin is the same job; NULL */
};

/** Check role and arguments, then run. Answers now or later; failures are answered with an error frame. */
void request_start(struct client *client, const struct request_spec *spec);

/** Follow job ${id}, which an earlier request of the same origin made. */
void request_resume(struct client *client, const struct request_spec *spec, int64_t id);

/** Tell an event to the requests of ${client} that follow its job. */
void requests_event(struct client *client, const struct job_event *event);
/** Once a second: look after rows whose events were missed, and after deadlines. */
void requests_tick(struct client *client);
/** Forget all requests of a client that is gone; their jobs go on. */
void requests_drop(struct client *client);

/** Answer ${spec} with ${fault}. */
void request_refuse(struct client *client, const struct request_spec *spec, const struct fault *fault);

#endif
