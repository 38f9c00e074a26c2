/* The control socket: several clients, one JSON object per line, answers in order. A request that waits for something
 * ("wait", "restart", …) is looked at again whenever a service changes. A client that goes away is forgotten;
 * what it asked for is done all the same. */
#include "core/file.h"
#include "core/mem.h"
#include "jobs/supervisor_private.h"
#include "jobs/supervisor_socket.h"
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define LINE_MAX_BYTES 16384
#define CLIENTS_MAX 64
#define FLUSH_MS 1000

enum goal { GOAL_NONE, GOAL_ALL, GOAL_READY, GOAL_STOPPED, GOAL_GONE, GOAL_SHUTDOWN };

struct client {
	uv_pipe_t pipe;
	struct control *control;
	struct client *next;
	char line[LINE_MAX_BYTES];
	size_t len;
	enum goal goal; /* what its request waits for */
	struct service *service;
	pid_t pid; /* GOAL_GONE: whose end */
	bool closing;
};

struct control {
	struct supervisor *sv;
	char *dir;
	int lock, fd;
	struct loop_watch *watch;
	struct client *clients;
	int count, writes;
	struct loop_timer *flush;
	loop_fn *done;
	void *done_arg;
};

/* -- answers -- */

struct reply {
	uv_write_t req;
	struct control *control;
	char *text;
};

static void flushed(struct control *c)
{
	if (!c->done || c->writes)
		return;
	loop_fn *done = c->done;
	c->done = NULL;
	loop_timer_clear(c->flush);
	done(c->done_arg);
}

static void give_up(void *arg)
{
	struct control *c = arg;
	c->writes = 0;
	flushed(c);
}

static void client_closed(uv_handle_t *handle)
{
	free(handle->data);
}

static void client_close(struct client *client)
{
	struct control *c = client->control;
	if (client->closing)
		return;
	client->closing = true;
	client->goal = GOAL_NONE;
	for (struct client **p = &c->clients; *p; p = &(*p)->next) {
		if (*p == client) {
			*p = client->next;
			break;
		}
	}
	c->count--;
	uv_close((uv_handle_t *)&client->pipe, client_closed);
}

static void reply_written(uv_write_t *req, int status)
{
	struct reply *reply = req->data;
	struct control *c = reply->control;
	struct client *client = req->handle->data;
	free(reply->text);
	free(reply);
	c->writes--;
	if (status)
		client_close(client);
	flushed(c);
}

/* Send one line; transfers ${obj}. */
static void answer(struct client *client, cJSON *obj)
{
	struct reply *reply = mem_alloc(sizeof(*reply));
	cleanup_free char *text = json_print(obj);
	cJSON_Delete(obj);
	reply->control = client->control;
	reply->text = mem_printf("%s\n", text);
	reply->req.data = reply;
	client->goal = GOAL_NONE;
	uv_buf_t buf = uv_buf_init(reply->text, (unsigned)strlen(reply->text));
	client->control->writes++;
	if (uv_write(&reply->req, (uv_stream_t *)&client->pipe, &buf, 1, reply_written)) {
		client->control->writes--;
		free(reply->text);
		free(reply);
		client_close(client);
	}
}

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
	answer(client, obj);
}

static void refuse_failed(struct client *client, const struct service *s)
{
	cleanup_free char *text = mem_printf("%s failed: it ended with exit code %d before it was ready",
	                                     s->spec->name, s->exit);
	cJSON *obj = json_object();
	json_add_bool(obj, "ok", false);
	json_add_text(obj, "error", text);
	json_add_text(obj, "service", s->spec->name);
	json_add(obj, "log", supervisor_log_tail(client->control->dir, s->spec->name, SUPERVISOR_TAIL));
	answer(client, obj);
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

static void answer_status(struct client *client)
{
	struct supervisor *sv = client->control->sv;
	cJSON *obj = json_object(), *list = json_array();
	json_add_bool(obj, "ok", true);
	for (size_t i = 0; i < sv->n; i++)
		cJSON_AddItemToArray(list, describe(&sv->services[i]));
	json_add(obj, "services", list);
	answer(client, obj);
}

/* -- waiting -- */

static void look_all(struct client *client)
{
	struct supervisor *sv = client->control->sv;
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
		answer_status(client);
}

static void look_ready(struct client *client)
{
	struct service *s = client->service;
	if (s->state == SERVICE_READY)
		answer_status(client);
	else if (s->state == SERVICE_FAILED)
		refuse_failed(client, s);
	else if (s->state == SERVICE_STOPPED || (s->state == SERVICE_STOPPING && !s->again))
		refuse(client, "%s was stopped meanwhile", s->spec->name);
}

/* Whether what the client waits for has come. */
static void look(struct client *client)
{
	if (client->control->sv->stopping && client->goal != GOAL_NONE && client->goal != GOAL_SHUTDOWN) {
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
			answer_status(client);
		else if (client->service->state != SERVICE_STOPPING || client->service->again)
			refuse(client, "%s was started again meanwhile", client->service->spec->name);
		break;
	case GOAL_GONE:
		if (client->service->proc.pid != client->pid)
			answer_status(client);
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
	struct supervisor *sv = client->control->sv;
	if (op->goal == GOAL_NONE) {
		answer_status(client);
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
		look(client);
	}
}

static void handle_line(struct client *client, const char *text, size_t len)
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
	client->service = supervisor_find(client->control->sv, service);
	if (op->needs_service && !client->service)
		refuse(client, "there is no service %.128s here", service ? service : "(none named)");
	else
		perform(client, op, request);
}

/* Take the whole lines of the buffer, one at a time: the next only when the one before was answered. */
static void take_lines(struct client *client)
{
	char *newline;
	while (!client->closing && client->goal == GOAL_NONE &&
	       (newline = memchr(client->line, '\n', client->len))) {
		size_t n = (size_t)(newline - client->line);
		cleanup_free char *line = mem_strndup(client->line, n);
		memmove(client->line, newline + 1, client->len - n - 1);
		client->len -= n + 1;
		handle_line(client, line, strlen(line));
	}
	if (!client->closing && client->len == sizeof(client->line))
		client_close(client); /* a line without end, or who does not wait for answers */
}

static void give_buffer(uv_handle_t *handle, size_t size, uv_buf_t *buf)
{
	struct client *client = handle->data;
	(void)size;
	*buf = uv_buf_init(client->line + client->len, (unsigned)(sizeof(client->line) - client->len));
}

static void got_bytes(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
	struct client *client = stream->data;
	(void)buf;
	if (n < 0) {
		client_close(client);
		return;
	}
	client->len += (size_t)n;
	take_lines(client);
}

static void accept_client(void *arg)
{
	struct control *c = arg;
	int fd = accept4(c->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (fd < 0)
		return;
	struct client *client = c->count < CLIENTS_MAX ? mem_alloc(sizeof(*client)) : NULL;
	if (!client) {
		close(fd);
		return;
	}
	client->control = c;
	uv_pipe_init(loop_uv(c->sv->loop), &client->pipe, 0);
	client->pipe.data = client;
	client->next = c->clients;
	c->clients = client;
	c->count++;
	if (uv_pipe_open(&client->pipe, fd)) {
		close(fd);
		client_close(client);
		return;
	}
	uv_read_start((uv_stream_t *)&client->pipe, give_buffer, got_bytes);
}

/* -- life -- */

int control_open(struct control **out, struct supervisor *sv, struct err *err)
{
	const char *dir = sv->options->dir;
	cleanup_free char *lock_path = mem_printf("%s/control.lock", dir);
	cleanup_close int lock = -1;
	int rc = lock_take(lock_path, &lock, err);
	if (rc)
		return rc < 0 ? -1 : err_set(err, ERR_EXISTS, "a supervisor runs in %s already", dir);
	int fd = supervisor_socket_listen(dir, err);
	if (fd < 0)
		return -1;
	struct control *c = mem_alloc(sizeof(*c));
	c->sv = sv;
	c->dir = mem_strdup(dir);
	c->lock = TAKE_FD(lock);
	c->fd = fd;
	c->watch = loop_watch_new(sv->loop, fd, accept_client, c);
	c->flush = loop_timer_new(sv->loop, give_up, c);
	*out = c;
	return 0;
}

/* An answer lets the client's next line in, which may change any other: then the list is walked anew. Closed clients
 * are freed by the loop later, so the pointers stay good. */
void control_changed(struct control *c)
{
	if (!c)
		return;
	struct client *client = c->clients;
	while (client) {
		struct client *next = client->next;
		bool waited = client->goal != GOAL_NONE;
		look(client);
		if (waited && client->goal == GOAL_NONE && !client->closing) {
			take_lines(client);
			next = c->clients;
		}
		client = next;
	}
}

void control_finish(struct control *c, loop_fn *done, void *arg)
{
	c->done = done;
	c->done_arg = arg;
	for (struct client *client = c->clients, *next; client; client = next) {
		next = client->next;
		if (client->goal == GOAL_SHUTDOWN)
			answer_status(client);
	}
	loop_timer_set(c->flush, FLUSH_MS, 0);
	flushed(c);
}

void control_close(struct control *c)
{
	if (!c)
		return;
	supervisor_socket_unlink(c->dir);
	loop_watch_free(c->watch);
	loop_timer_free(c->flush);
	close(c->fd);
	while (c->clients)
		client_close(c->clients);
	close(c->lock);
	c->done = NULL;
}

void control_free(struct control *c)
{
	if (!c)
		return;
	free(c->dir);
	free(c);
}
