/* curl's multi-socket interface on libuv. curl's sockets come and go with every request, which costs five system calls each
 * with libuv's own handles: they have an epoll instance of their own, which is all that libuv watches. Odd rule: curl must
 * not be re-entered from its own callbacks, so what the user does inside on_data (start, cancel, close) is put off until
 * curl has returned. */
#include "core/http_client.h"

#include "core/clock.h"
#include "core/http_transfer.h"
#include "core/mem.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#define SPARE_HANDLES 16
#define SOCKETS_AT_ONCE 64
#define KEPT_CONNECTIONS 64L

enum call_state {
	CALL_QUEUED, /* waits for the kick: curl was busy, or it is to fail */
	CALL_RUNNING,
	CALL_DEAD, /* cancelled inside curl, or its done callback runs */
};

struct http_call {
	struct http_call *next, **prev; /* of the client's list for its state */
	struct http_client *client;
	struct http_transfer transfer;
	http_done *done;
	void *arg;
	enum call_state state;
	struct err *refused; /* why it never started */
};

struct http_client {
	struct loop *loop;
	CURLM *multi;
	int sockets; /* epoll */
	struct loop_watch *watch;
	struct loop_timer *timer, *kick;
	struct http_call *lists[CALL_DEAD + 1];
	CURL *spare[SPARE_HANDLES];
	size_t n_spare;
	unsigned in_curl; /* curl is on the stack */
	unsigned busy;    /* one of our loops over calls is on the stack */
	bool closed;
};

static void settle(struct http_client *c);
static void destroy(struct http_client *c);

static void move(struct http_call *call, enum call_state state)
{
	struct http_call **head = &call->client->lists[state];

	if (call->prev)
		*call->prev = call->next;
	if (call->prev && call->next)
		call->next->prev = call->prev;
	call->state = state;
	call->next = *head;
	call->prev = head;
	if (*head)
		(*head)->prev = &call->next;
	*head = call;
}

static void release(struct http_call *call)
{
	struct http_client *c = call->client;
	CURL *easy = NULL;

	*call->prev = call->next;
	if (call->next)
		call->next->prev = call->prev;
	if (call->transfer.easy)
		curl_multi_remove_handle(c->multi, call->transfer.easy);
	easy = http_transfer_free(&call->transfer);
	if (easy && c->n_spare < SPARE_HANDLES)
		c->spare[c->n_spare++] = easy;
	else
		curl_easy_cleanup(easy);
	free(call->refused);
	free(call);
}

/* ---- curl on libuv ---- */

static void wake(struct http_client *c, curl_socket_t fd, int flags)
{
	int running;

	c->in_curl++;
	curl_multi_socket_action(c->multi, fd, flags, &running);
	c->in_curl--;
}

static void sockets_ready(void *arg)
{
	struct http_client *c = arg;
	struct epoll_event events[SOCKETS_AT_ONCE];
	int n = epoll_wait(c->sockets, events, SOCKETS_AT_ONCE, 0);

	for (int i = 0; i < n; i++) {
		uint32_t e = events[i].events;
		int flags = (e & (EPOLLIN | EPOLLHUP) ? CURL_CSELECT_IN : 0) |
		            (e & EPOLLOUT ? CURL_CSELECT_OUT : 0) | (e & EPOLLERR ? CURL_CSELECT_ERR : 0);
		wake(c, events[i].data.fd, flags);
	}
	settle(c);
}

/* ${known}: the client when the socket is watched already. */
static int watch_socket(CURL *easy, curl_socket_t fd, int what, void *arg, void *known)
{
	struct http_client *c = arg;
	struct epoll_event want = {.events = (what & CURL_POLL_IN ? EPOLLIN : 0) |
	                                     (what & CURL_POLL_OUT ? EPOLLOUT : 0),
	                           .data.fd = fd};

	(void)easy;
	if (what == CURL_POLL_REMOVE) {
		epoll_ctl(c->sockets, EPOLL_CTL_DEL, fd, NULL);
		curl_multi_assign(c->multi, fd, NULL);
		return 0;
	}
	if (epoll_ctl(c->sockets, known ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, fd, &want))
		return -1;
	curl_multi_assign(c->multi, fd, c);
	return 0;
}

static int set_timer(CURLM *multi, long timeout_ms, void *arg)
{
	struct http_client *c = arg;

	(void)multi;
	if (timeout_ms < 0)
		loop_timer_clear(c->timer);
	else
		loop_timer_set(c->timer, timeout_ms, 0);
	return 0;
}

static void timer_fired(void *arg)
{
	wake(arg, CURL_SOCKET_TIMEOUT, 0);
	settle(arg);
}

/* ---- calls ---- */

static void add_to_curl(struct http_call *call)
{
	struct http_client *c = call->client;
	CURLMcode rc = curl_multi_add_handle(c->multi, call->transfer.easy);

	if (rc == CURLM_OK) {
		move(call, CALL_RUNNING);
		return;
	}
	call->refused = mem_alloc(sizeof(*call->refused));
	err_set(call->refused, ERR_FAILED, "%s: %s", call->transfer.origin, curl_multi_strerror(rc));
	loop_timer_set(c->kick, 0, 0);
}

static void finish(struct http_call *call, CURLcode code)
{
	struct http_response res = {.retry_after_s = -1};
	struct err err = {0};
	bool failed = call->refused || http_transfer_result(&call->transfer, code, &res, &err);

	move(call, CALL_DEAD);
	call->done(call->arg, failed ? NULL : &res, !failed ? NULL : call->refused ? call->refused : &err);
	release(call);
}

/* After curl returned: bury what was cancelled meanwhile, tell of what is complete. A done callback may do anything. */
static void settle(struct http_client *c)
{
	struct http_call *call;
	CURLMsg *msg;
	int left;

	if (c->busy || c->in_curl)
		return;
	while (c->lists[CALL_DEAD])
		release(c->lists[CALL_DEAD]);
	c->busy++;
	while (!c->closed && (msg = curl_multi_info_read(c->multi, &left))) {
		CURLcode code = msg->data.result;

		if (msg->msg != CURLMSG_DONE)
			continue;
		curl_easy_getinfo(msg->easy_handle, CURLINFO_PRIVATE, &call);
		finish(call, code);
	}
	c->busy--;
	if (c->closed)
		destroy(c);
}

static void kicked(void *arg)
{
	struct http_client *c = arg;
	struct http_call *call;

	c->busy++;
	while (!c->closed && (call = c->lists[CALL_QUEUED])) {
		if (call->refused)
			finish(call, CURLE_OK);
		else
			add_to_curl(call);
	}
	c->busy--;
	settle(c);
}

struct http_call *http_start(struct http_client *client, const struct http_request *req, http_done *done,
                             void *arg)
{
	struct http_call *call = mem_alloc(sizeof(*call));
	CURL *easy = client->n_spare ? client->spare[--client->n_spare] : NULL;
	struct err err;

	call->client = client;
	call->done = done;
	call->arg = arg;
	move(call, CALL_QUEUED);
	if (http_transfer_init(&call->transfer, easy, req, arg, &err)) {
		call->refused = mem_alloc(sizeof(*call->refused));
		*call->refused = err;
	} else {
		curl_easy_setopt(call->transfer.easy, CURLOPT_PRIVATE, call);
	}
	if (call->refused || client->in_curl)
		loop_timer_set(client->kick, 0, 0);
	else
		add_to_curl(call);
	return call;
}

void http_cancel(struct http_call *call)
{
	if (!call || call->state == CALL_DEAD)
		return;
	call->transfer.abandoned = true;
	if (call->client->in_curl)
		move(call, CALL_DEAD);
	else
		release(call);
}

/* ---- the client ---- */

int http_client_open(struct http_client **client, struct loop *loop, struct err *err)
{
	struct http_client *c = mem_alloc(sizeof(*c));

	c->multi = curl_multi_init();
	if (!c->multi) {
		free(c);
		return err_set(err, ERR_FAILED, "curl cannot be started");
	}
	c->loop = loop;
	c->sockets = epoll_create1(EPOLL_CLOEXEC);
	c->watch = loop_watch_new(loop, c->sockets, sockets_ready, c);
	if (!c->watch) {
		int cause = errno;
		curl_multi_cleanup(c->multi);
		if (c->sockets >= 0)
			close(c->sockets);
		free(c);
		return err_sys(err, cause, "watch curl's sockets");
	}
	c->timer = loop_timer_new(loop, timer_fired, c);
	c->kick = loop_timer_new(loop, kicked, c);
	curl_multi_setopt(c->multi, CURLMOPT_SOCKETFUNCTION, watch_socket);
	curl_multi_setopt(c->multi, CURLMOPT_SOCKETDATA, c);
	curl_multi_setopt(c->multi, CURLMOPT_TIMERFUNCTION, set_timer);
	curl_multi_setopt(c->multi, CURLMOPT_TIMERDATA, c);
	curl_multi_setopt(c->multi, CURLMOPT_MAXCONNECTS, KEPT_CONNECTIONS);
	*client = c;
	return 0;
}

static void destroy(struct http_client *c)
{
	for (size_t i = 0; i < ARRAY_LEN(c->lists); i++)
		while (c->lists[i])
			release(c->lists[i]);
	while (c->n_spare)
		curl_easy_cleanup(c->spare[--c->n_spare]);
	curl_multi_cleanup(c->multi);
	loop_watch_free(c->watch);
	close(c->sockets);
	loop_timer_free(c->timer);
	loop_timer_free(c->kick);
	free(c);
}

void http_client_close(struct http_client *client)
{
	if (!client)
		return;
	client->closed = true;
	for (size_t i = 0; i < ARRAY_LEN(client->lists); i++)
		for (struct http_call *call = client->lists[i]; call; call = call->next)
			call->transfer.abandoned = true;
	if (!client->busy && !client->in_curl)
		destroy(client);
}

/* ---- blocking ---- */

/* What curl_easy_perform does, but awake often enough to ask ${req}->go_on. Returns -1 when that said no. */
static int perform(CURLM *multi, const struct http_request *req, CURLcode *code)
{
	struct curl_waitfd wake = {.fd = req->wake_fd, .events = CURL_WAIT_POLLIN};
	int64_t asked = INT64_MIN / 2;
	int running = 1, left;
	CURLMsg *msg;

	for (;;) {
		CURLMcode rc = curl_multi_perform(multi, &running);

		if (rc == CURLM_OK && running && req->go_on && clock_mono_ms() - asked >= HTTP_ASK_MS / 2) {
			if (!req->go_on(req->arg))
				return -1;
			asked = clock_mono_ms();
		}
		if (rc == CURLM_OK && running)
			rc = curl_multi_poll(multi, &wake, req->wake_fd > 0,
			                     req->go_on ? HTTP_ASK_MS / 2 : 1000, NULL);
		if (wake.revents)
			asked = INT64_MIN / 2;
		if (rc != CURLM_OK) {
			*code = CURLE_OUT_OF_MEMORY;
			return 0;
		}
		if (running)
			continue;
		msg = curl_multi_info_read(multi, &left);
		*code = msg ? msg->data.result : CURLE_OUT_OF_MEMORY;
		return 0;
	}
}

static int transfer(struct http_transfer *t, const struct http_request *req, struct http_reply *reply,
                    struct http_response *res, struct err *err)
{
	CURLM *multi = curl_multi_init();
	CURLcode code = CURLE_OUT_OF_MEMORY;
	bool stopped = false;

	if (multi && curl_multi_add_handle(multi, t->easy) == CURLM_OK) {
		stopped = perform(multi, req, &code);
		/* what came is part of the easy handle and outlives this */
		curl_multi_remove_handle(multi, t->easy);
	}
	curl_multi_cleanup(multi);
	reply->heard = http_transfer_heard(t, code);
	return stopped ? err_set(err, ERR_CANCELLED, "%s: cancelled", t->origin)
	               : http_transfer_result(t, code, res, err);
}

static void note_server(CURL *easy, struct http_reply *reply)
{
	struct curl_header *header;

	if (curl_easy_header(easy, "Server", 0, CURLH_HEADER, -1, &header) == CURLHE_OK)
		snprintf(reply->server, sizeof(reply->server), "%s", header->value);
}

int http_fetch(const struct http_request *req, struct http_reply *reply, struct err *err)
{
	struct http_transfer t = {0};
	struct http_response res = {.retry_after_s = -1};
	int rc = http_transfer_init(&t, NULL, req, req->arg, err);

	if (!rc)
		rc = transfer(&t, req, reply, &res, err);
	if (!rc) {
		reply->status = res.status;
		snprintf(reply->content_type, sizeof(reply->content_type), "%s", res.content_type);
		note_server(t.easy, reply);
		reply->len = res.len;
		reply->body = str_take(&t.body);
	}
	curl_easy_cleanup(http_transfer_free(&t));
	return rc;
}

void http_reply_free(struct http_reply *reply)
{
	free(reply->body);
	*reply = (struct http_reply){0};
}
