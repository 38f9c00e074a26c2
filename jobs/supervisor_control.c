/* The control socket: several clients, one JSON object per line, answers in order. A client that goes away is
 * forgotten; what it asked for is done all the same. What the lines mean stands in supervisor_request.c. */
#include "core/file.h"
#include "core/mem.h"
#include "jobs/supervisor_client.h"
#include "jobs/supervisor_socket.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define CLIENTS_MAX 64
#define FLUSH_MS 1000

struct control {
	struct supervisor *sv;
	char *dir, *lock_path; /* where the socket is */
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

void client_answer(struct client *client, cJSON *obj)
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
		request_take(client, line, strlen(line));
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
	client->sv = c->sv;
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
	c->lock_path = TAKE(lock_path);
	c->lock = TAKE_FD(lock);
	c->fd = fd;
	c->watch = loop_watch_new(sv->loop, fd, accept_client, c);
	c->flush = loop_timer_new(sv->loop, give_up, c);
	*out = c;
	return 0;
}

bool control_reachable(const struct control *c)
{
	struct stat ours, there;
	if (stat(c->lock_path, &there))
		return errno != ENOENT && errno != ENOTDIR && errno != ELOOP;
	return fstat(c->lock, &ours) || (ours.st_ino == there.st_ino && ours.st_dev == there.st_dev);
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
		request_look(client);
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
			request_status(client);
	}
	loop_timer_set(c->flush, FLUSH_MS, 0);
	flushed(c);
}

void control_close(struct control *c)
{
	if (!c)
		return;
	if (control_reachable(c)) /* else another's may stand there by now */
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
	free(c->lock_path);
	free(c);
}
