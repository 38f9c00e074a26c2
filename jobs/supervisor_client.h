/* One client of the control socket, between supervisor_control.c (bytes) and supervisor_request.c (meaning). */
#ifndef JOBS_SUPERVISOR_CLIENT_H
#define JOBS_SUPERVISOR_CLIENT_H

#include "jobs/supervisor_private.h"

#define CLIENT_LINE_MAX 16384

/* What a request waits for. */
enum goal { GOAL_NONE, GOAL_ALL, GOAL_READY, GOAL_STOPPED, GOAL_GONE, GOAL_SHUTDOWN };

struct client {
	uv_pipe_t pipe;
	struct supervisor *sv;
	struct control *control;
	struct client *next;
	char line[CLIENT_LINE_MAX];
	size_t len;
	enum goal goal;
	struct service *service;
	pid_t pid; /* GOAL_GONE: whose end */
	bool closing;
};

/** Send ${obj} (transferred) as one line; the client then waits for nothing. */
void client_answer(struct client *client, cJSON *obj);

/** Take one request line: answered at once, or the client has a goal now. */
void request_take(struct client *client, const char *text, size_t len);
/** Answer when what the client waits for has come. */
void request_look(struct client *client);
/** Answer with the state of all services. */
void request_status(struct client *client);

#endif
