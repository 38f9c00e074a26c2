/* libmicrohttpd's epoll descriptor watched by libuv. Odd rule: an exchange that is not answered at once is suspended, and a
 * suspended connection does not notice that its client went away, so its socket gets a watch of its own. */
#include "core/http_server.h"

#include "core/http_form.h"
#include "core/log.h"
#include "core/mem.h"
#include "core/net.h"
#include "core/str.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MAX_BODY ((size_t)1 << 20)
#define MAX_CONNECTIONS 1024
#define IDLE_S 75
/* A Bot API call may stand in the query: 4096 characters of Cyrillic are 24 KiB there. Touched only when used. */
#define HEADER_BYTES ((size_t)64 << 10)
/* So much more than allowed is still read, so that the client sees the 413 instead of a reset. */
#define SKIP_BYTES ((size_t)16 << 20)

struct http_server {
	struct loop *loop;
	struct MHD_Daemon *daemon;
	struct loop_watch *watch;
	struct loop_timer *timer;
	struct http_exchange *exchanges;
	http_handler *handler;
	void *arg;
	size_t max_body;
	int port;
	bool running; /* libmicrohttpd is on the stack */
	bool resumed; /* a connection was meanwhile, which libmicrohttpd sees only the next time */
	bool closed;
};

struct http_exchange {
	struct http_exchange *next, **prev;
	struct http_server *server;
	struct MHD_Connection *connection;
	char *method, *path;
	struct str body;
	size_t seen; /* bytes of the body, kept or not */
	struct http_form form;
	struct MHD_Response *response;
	unsigned status;
	bool handled;   /* the handler was called */
	bool dropped;   /* to be closed without an answer */
	bool suspended; /* and nobody may touch the connection but by resuming it */
	struct loop_watch *hangup;
	loop_fn *gone;
	void *gone_arg;
};

/* ---- running libmicrohttpd ---- */

static void destroy(struct http_server *s);

static void run(void *arg)
{
	struct http_server *s = arg;
	MHD_UNSIGNED_LONG_LONG ms;

	s->running = true;
	s->resumed = false;
	MHD_run(s->daemon);
	s->running = false;
	if (s->closed)
		destroy(s);
	else if (s->resumed)
		loop_timer_set(s->timer, 0, 0);
	else if (MHD_get_timeout(s->daemon, &ms) == MHD_YES)
		loop_timer_set(s->timer, ms > INT32_MAX ? INT32_MAX : (int64_t)ms, 0);
	else
		loop_timer_clear(s->timer);
}

static void log_message(void *arg, const char *fmt, va_list ap)
{
	char line[512];

	(void)arg;
	vsnprintf(line, sizeof(line), fmt, ap);
	line[strcspn(line, "\n")] = '\0';
	log_debug("http server: %s", line);
}

/* ---- exchanges ---- */

static struct http_exchange *exchange_new(struct http_server *s, struct MHD_Connection *connection,
                                          const char *method, const char *path)
{
	struct http_exchange *x = mem_alloc(sizeof(*x));

	x->server = s;
	x->connection = connection;
	x->method = mem_strdup(method);
	x->path = mem_strdup(path);
	x->body = STR_INIT_MAX(s->max_body);
	x->next = s->exchanges;
	x->prev = &s->exchanges;
	if (x->next)
		x->next->prev = &x->next;
	s->exchanges = x;
	return x;
}

static void exchange_ended(void *arg, struct MHD_Connection *connection, void **con_cls,
                           enum MHD_RequestTerminationCode why)
{
	struct http_exchange *x = *con_cls;

	(void)arg, (void)connection, (void)why;
	if (!x)
		return;
	*con_cls = NULL;
	*x->prev = x->next;
	if (x->next)
		x->next->prev = x->prev;
	loop_watch_free(x->hangup);
	if (x->response)
		MHD_destroy_response(x->response);
	http_form_free(&x->form);
	str_free(&x->body);
	free(x->method);
	free(x->path);
	free(x);
}

static void client_gone(void *arg)
{
	struct http_exchange *x = arg;

	loop_watch_free(TAKE(x->hangup));
	x->gone(x->gone_arg);
}

static void watch_hangup(struct http_exchange *x)
{
	const union MHD_ConnectionInfo *info;

	if (!x->suspended || !x->gone || x->hangup)
		return;
	info = MHD_get_connection_info(x->connection, MHD_CONNECTION_INFO_CONNECTION_FD);
	x->hangup = loop_watch_hangup(x->server->loop, info->connect_fd, client_gone, x);
}

/* The answer (or the order to drop) is there: wake the connection if it sleeps. */
static void wake(struct http_exchange *x)
{
	if (!x->suspended)
		return;
	x->suspended = false;
	loop_watch_free(TAKE(x->hangup));
	MHD_resume_connection(x->connection);
	if (x->server->running)
		x->server->resumed = true;
	else
		loop_timer_set(x->server->timer, 0, 0);
}

static enum MHD_Result reply(struct http_exchange *x)
{
	return x->dropped ? MHD_NO : MHD_queue_response(x->connection, x->status, x->response);
}

static void refuse(struct http_exchange *x, int status, const char *text)
{
	x->handled = true;
	http_answer_text(x, status, "text/plain; charset=utf-8", text);
}

static enum MHD_Result begin(struct http_exchange *x)
{
	const char *length = MHD_lookup_connection_value(x->connection, MHD_HEADER_KIND, "Content-Length");

	if (!length || strtoull(length, NULL, 10) <= x->server->max_body + SKIP_BYTES)
		return MHD_YES;
	refuse(x, 413, "The request is too large.\n");
	return reply(x);
}

static enum MHD_Result take_upload(struct http_exchange *x, const char *data, size_t *len)
{
	x->seen += *len;
	if (x->seen <= x->server->max_body)
		str_addn(&x->body, data, *len);
	else if (x->seen > x->server->max_body + SKIP_BYTES)
		return MHD_NO;
	*len = 0;
	return MHD_YES;
}

static void dispatch(struct http_exchange *x)
{
	struct http_server *s = x->server;

	x->handled = true;
	if (x->seen > s->max_body)
		refuse(x, 413, "The request is too large.\n");
	else if (http_form_read(&x->form, x->connection, str_text(&x->body), x->body.len))
		refuse(x, 400, "The form in this request is malformed.\n");
	else if (s->closed)
		x->dropped = true;
	else
		s->handler(s->arg, x);
}

static enum MHD_Result serve(void *arg, struct MHD_Connection *connection, const char *path,
                             const char *method, const char *version, const char *data, size_t *len,
                             void **con_cls)
{
	struct http_exchange *x = *con_cls;

	(void)version;
	if (!x) {
		*con_cls = x = exchange_new(arg, connection, method, path);
		return begin(x);
	}
	if (*len)
		return take_upload(x, data, len);
	if (!x->handled)
		dispatch(x);
	if (x->response || x->dropped)
		return reply(x);
	MHD_suspend_connection(connection);
	x->suspended = true;
	watch_hangup(x);
	return MHD_YES;
}

/* ---- opening and closing ---- */

int http_server_open(struct http_server **server, struct loop *loop,
                     const struct http_server_options *options, http_handler *handler, void *arg,
                     struct err *err)
{
	struct http_server *s;
	int port = 0, fd = net_listen(options->host ? options->host : "127.0.0.1", options->port, &port, err);

	if (fd < 0)
		return -1;
	s = mem_alloc(sizeof(*s));
	s->loop = loop;
	s->handler = handler;
	s->arg = arg;
	s->port = port;
	s->max_body = options->max_body ? options->max_body : MAX_BODY;
	s->daemon = MHD_start_daemon(
	        MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG, 0, NULL, NULL, serve, s,
	        MHD_OPTION_EXTERNAL_LOGGER, log_message, NULL, MHD_OPTION_LISTEN_SOCKET, fd,
	        MHD_OPTION_NOTIFY_COMPLETED, exchange_ended, NULL, MHD_OPTION_CONNECTION_LIMIT,
	        (unsigned)(options->max_connections > 0 ? options->max_connections : MAX_CONNECTIONS),
	        MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)(options->idle_s > 0 ? options->idle_s : IDLE_S),
	        MHD_OPTION_CONNECTION_MEMORY_LIMIT, HEADER_BYTES, MHD_OPTION_END);
	if (!s->daemon) {
		close(fd);
		free(s);
		return err_set(err, ERR_FAILED, "HTTP server on port %d: libmicrohttpd did not start", port);
	}
	s->timer = loop_timer_new(loop, run, s);
	s->watch = loop_watch_new(loop, MHD_get_daemon_info(s->daemon, MHD_DAEMON_INFO_EPOLL_FD)->epoll_fd,
	                          run, s);
	*server = s;
	return 0;
}

int http_server_port(const struct http_server *server)
{
	return server->port;
}

static void destroy(struct http_server *s)
{
	loop_watch_free(s->watch);
	loop_timer_free(s->timer);
	for (struct http_exchange *x = s->exchanges; x; x = x->next) {
		if (x->suspended) {
			x->dropped = true;
			x->suspended = false;
			loop_watch_free(TAKE(x->hangup));
			MHD_resume_connection(x->connection);
		}
	}
	/* What was answered a moment ago still goes out. */
	for (int i = 0; i < 3; i++)
		MHD_run(s->daemon);
	MHD_stop_daemon(s->daemon);
	free(s);
}

void http_server_close(struct http_server *server)
{
	if (!server)
		return;
	server->closed = true;
	if (!server->running)
		destroy(server);
}

/* ---- the request ---- */

const char *http_method(const struct http_exchange *x)
{
	return x->method;
}

const char *http_path(const struct http_exchange *x)
{
	return x->path;
}

const char *http_header(const struct http_exchange *x, const char *name)
{
	return MHD_lookup_connection_value(x->connection, MHD_HEADER_KIND, name);
}

const char *http_body(const struct http_exchange *x, size_t *len)
{
	if (len)
		*len = x->body.len;
	return str_text(&x->body);
}

const char *http_param(const struct http_exchange *x, const char *name)
{
	const struct http_field *f = http_form_find(&x->form, name, false);

	return f ? f->value : NULL;
}

const char *http_param_at(const struct http_exchange *x, size_t i, const char **value)
{
	for (size_t k = 0; k < x->form.n; k++) {
		const struct http_field *f = &x->form.fields[k];

		if (f->filename || i-- > 0)
			continue;
		*value = f->value;
		return f->name;
	}
	return NULL;
}

const char *http_upload(const struct http_exchange *x, const char *name, size_t *len, const char **filename)
{
	const struct http_field *f = http_form_find(&x->form, name, true);

	if (!f)
		return NULL;
	*len = f->len;
	*filename = f->filename;
	return f->value;
}

/* ---- the answer ---- */

void http_on_gone(struct http_exchange *x, loop_fn *fn, void *arg)
{
	x->gone = fn;
	x->gone_arg = arg;
	watch_hangup(x);
}

void http_answer_with(struct http_exchange *x, int status, const char *content_type, const void *body,
                      size_t len, const char *header, const char *value)
{
	if (x->response || x->dropped)
		return;
	x->response = MHD_create_response_from_buffer(len, (void *)(uintptr_t)body, MHD_RESPMEM_MUST_COPY);
	x->status = (unsigned)status;
	if (content_type)
		MHD_add_response_header(x->response, MHD_HTTP_HEADER_CONTENT_TYPE, content_type);
	if (header)
		MHD_add_response_header(x->response, header, value);
	wake(x);
}

void http_answer(struct http_exchange *x, int status, const char *content_type, const void *body, size_t len)
{
	http_answer_with(x, status, content_type, body, len, NULL, NULL);
}

void http_answer_text(struct http_exchange *x, int status, const char *content_type, const char *text)
{
	http_answer_with(x, status, content_type, text, strlen(text), NULL, NULL);
}

void http_drop(struct http_exchange *x)
{
	if (x->response)
		return;
	x->dropped = true;
	wake(x);
}
