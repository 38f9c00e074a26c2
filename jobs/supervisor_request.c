/* What a client may ask, as a table. A request that waits for something ("wait", "restart", …) sets the client's goal, which
 * is looked at again whenever a service changes. */
#include "core/mem.h"
#include "jobs/supervisor_client.h"
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void refuse(struct client *client, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void refuse(struct client *client, const char *fmt, ...)
{
	va_list ap;
	char text[512];
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	cJSON *obj = json_object();
	json_add_bool(obj, "ok", false);
	json_add_text(obj, "error", text);
	client_answer(client, obj);
}

static void refuse_failed(struct client *client, const struct service *s)
{
	cleanup_free char *text = mem_printf("%s failed: it ended with exit code %d before it was ready",
	                                     s->spec->name, s->exit);
	cJSON *obj = json_object();
	json_add_bool(obj, "ok", false);
	json_add_text(obj, "error", text);
	json_add_text(obj, "service", s->spec->name);
	int lines = service_log_lines(s->log); /* what earlier processes said misleads */
	json_add(obj, "log",
	         supervisor_log_tail(client->sv->options->dir, s->spec->name,
	                             lines < SUPERVISOR_TAIL ? lines : SUPERVISOR_TAIL));
	client_answer(client, obj);
}

static cJSON *describe(const struct service *s)
{
	cJSON *obj = json_object();
	json_add_text(obj, "name", s->spec->name);
	json_add_text(obj, "state", service_state_name(s->state));
	if (s->proc.pid)
		json_add_int(obj, "pid", s->proc.pid);
	else
		json_add(obj, "pid", NULL);
	json_add_bool(obj, "ready", s->state == SERVICE_READY);
	json_add_int(obj, "restarts", s->restarts);
	if (s->exit >= 0)
		json_add_int(obj, "exit", s->exit);
	else
		json_add(obj, "exit", NULL);
	json_add_int(obj, "since", s->since);
	return obj;
}

void request_status(struct client *client)
{
	struct supervisor *sv = client->sv;
	cJSON *obj = json_object(), *list = json_array();
	json_add_bool(obj, "ok", true);
	for (size_t i = 0; i < sv->n; i++)
		cJSON_AddItemToArray(list, describe(&sv->services[i]));
	json_add(obj, "services", list);
	client_answer(client, obj);
}

/* -- waiting -- */

static void look_all(struct client *client)
{
	struct supervisor *sv = client->sv;
	bool all = true;
	for (size_t i = 0; i < sv->n; i++) {
		enum service_state state = sv->services[i].state;
		if (state == SERVICE_FAILED) {
			refuse_failed(client, &sv->services[i]);
			return;
		}
		/* one that was stopped on purpose is not waited for */
		all &= state == SERVICE_READY || state == SERVICE_STOPPED;
	}
	if (all)
		request_status(client);
}

static void look_ready(struct client *client)
{
	struct service *s = client->service;
	if (s->state == SERVICE_READY)
		request_status(client);
	else if (s->state == SERVICE_FAILED)
		refuse_failed(client, s);
	else if (s->state == SERVICE_STOPPED || (s->state == SERVICE_STOPPING && !s->again))
		refuse(client, "%s was stopped meanwhile", s->spec->name);
}

void request_look(struct client *client)
{
	if (client->sv->stopping && client->goal != GOAL_NONE && client->goal != GOAL_SHUTDOWN) {
		refuse(client, "the supervisor is shutting down");
		return;
	}
	switch (client->goal) {
	case GOAL_ALL:
		look_all(client);
		break;
	case GOAL_READY:
		look_ready(client);
		break;
	case GOAL_STOPPED:
		if (client->service->state == SERVICE_STOPPED)
			request_status(client);
		else if (client->service->state != SERVICE_STOPPING || client->service->again)
			refuse(client, "%s was started again meanwhile", client->service->spec->name);
		break;
	case GOAL_GONE:
		if (client->service->proc.pid != client->pid)
			request_status(client);
		break;
	case GOAL_NONE:
	case GOAL_SHUTDOWN:
		break;
	}
}

/* -- requests -- */

static void do_kill(struct client *client, const cJSON *request)
{
	struct service *s = client->service;
	int64_t sig = json_int(request, "signal", SIGKILL);
	if (sig < 1 || sig > SIGRTMAX)
		refuse(client, "signal must be 1 to %d", SIGRTMAX);
	else if (!s->proc.pid)
		refuse(client, "%s is not running (%s)", s->spec->name, service_state_name(s->state));
	else {
		client->pid = s->proc.pid;
		client->goal = GOAL_GONE;
		proc_signal(&s->proc, (int)sig);
	}
}

static const struct op {
	const char *name;
	bool needs_service;
	enum goal goal;
	enum service_event event;
} ops[] = {
        {.name = "status"},
        {.name = "wait", .goal = GOAL_ALL},
        {.name = "restart", .needs_service = true, .goal = GOAL_READY, .event = EVENT_RESTART},
        {.name = "start", .needs_service = true, .goal = GOAL_READY, .event = EVENT_START},
        {.name = "stop", .needs_service = true, .goal = GOAL_STOPPED, .event = EVENT_STOP},
        {.name = "kill", .needs_service = true, .goal = GOAL_GONE},
        {.name = "shutdown", .goal = GOAL_SHUTDOWN},
};

static void perform(struct client *client, const struct op *op, const cJSON *request)
{
	struct supervisor *sv = client->sv;
	if (op->goal == GOAL_NONE) {
		request_status(client);
	} else if (op->goal == GOAL_SHUTDOWN) {
		client->goal = GOAL_SHUTDOWN;
		supervisor_shutdown(sv);
	} else if (sv->stopping) {
		refuse(client, "the supervisor is shutting down");
	} else if (op->goal == GOAL_GONE) {
		do_kill(client, request);
	} else {
		if (op->needs_service && service_event(client->service, op->event))
			refuse(client, "%s cannot %s now (%s)", client->service->spec->name, op->name,
			       service_state_name(client->service->state));
		else
			client->goal = op->goal;
		request_look(client);
	}
}

void request_take(struct client *client, const char *text, size_t len)
{
	struct err err = {0};
	cleanup_json cJSON *request = json_parse(text, len, &err);
	const char *name = json_text(request, "op"), *service = json_text(request, "service");
	const struct op *op = NULL;
	for (size_t i = 0; name && i < ARRAY_LEN(ops); i++)
		if (!strcmp(ops[i].name, name))
			op = &ops[i];
	if (!request || !op) {
		refuse(client, "%s",
		       request ? "op must be status, wait, restart, start, stop, kill or shutdown" : err.msg);
		return;
	}
	client->service = supervisor_find(client->sv, service);
	if (op->needs_service && !client->service)
		refuse(client, "there is no service %.128s here", service ? service : "(none named)");
	else
		perform(client, op, request);
}
