/* What the tests of the server share: the gateway as a process of its own (the test program, run again), jobs done by a
 * second one, clients over real sockets. A header, so that it is in no program but theirs. */
#ifndef GATEWAY_SERVER_RIG_H
#define GATEWAY_SERVER_RIG_H

#include "core/bell.h"
#include "core/clock.h"
#include "core/file.h"
#include "core/http_client.h"
#include "core/mem.h"
#include "core/proc.h"
#include "core/ws.h"
#include "gateway/gateway.h"
#include "gateway/projects.h"
#include "jobs/worker.h"
#include "sessions/session.h"
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#pragma GCC diagnostic ignored "-Wunused-function"

#define PATIENCE_MS 15000
#define ENV_MAX 16

static const struct setting *const tables[] = {state_settings, gateway_settings, session_settings,
                                               worker_settings, NULL};

/* -- what runs in the other processes -- */

/* Stands for a session start: steps that go back, a log line that is not UTF-8, and it waits while the file "hold" is there. */
static int fake_start(struct job *job, struct err *err)
{
	cleanup_free char *hold = state_path(job_state(job), "hold");
	job_progress(job, "prepare", 20, "preparing");
	job_progress(job, "start", 60, "starting");
	job_progress(job, "start", 40, "still starting");
	job_log(job, "line of a log \xff");
	while (path_exists(hold))
		if (job_poll(job, NULL, 0, 20, err) < 0)
			return -1;
	cJSON *result = json_object();
	json_add_text(result, "name", json_text(job_args(job), "name"));
	json_add_text(result, "note", "not UTF-8: \xff");
	job_result(job, result);
	return 0;
}

static int fake_stop(struct job *job, struct err *err)
{
	return err_set(err, ERR_NOT_FOUND, "there is no session %s", json_text(job_args(job), "name"));
}

static const struct job_kind start_kind = {.name = "session.start", .run = fake_start, .max_attempts = 1};
static const struct job_kind stop_kind = {.name = "session.stop", .run = fake_stop, .max_attempts = 1};
static const struct job_kind *const kinds[] = {&project_create_kind, &start_kind, &stop_kind, NULL};

static int run_gateway(const struct config *cfg)
{
	struct err err = {0};
	if (gateway_main(cfg, &err) == 0)
		return 0;
	fprintf(stderr, "%s\n", err.msg);
	return err_exit_code(err.code);
}

/* Does jobs one after the other until it is killed; holds the worker's lock, so that it counts as alive. */
static int run_worker(const struct config *cfg)
{
	struct err err = {0};
	struct state *st = NULL;
	struct bell *bell = NULL;
	int lock;
	if (state_open(&st, cfg, &err) || bell_open(&bell, st->dir, &err))
		return 1;
	cleanup_free char *path = state_path(st, "worker.lock");
	if (lock_take(path, &lock, &err))
		return 1;
	proc_ready();
	for (;;) {
		int64_t id = 0;
		if (db_get_int(st->db, &id, &err,
		               "SELECT id FROM jobs WHERE state = 'queued' ORDER BY id LIMIT 1", "") == 0 &&
		    id)
			jobs_exec(st, kinds, id, &err);
		else
			bell_wait(bell, 1000);
	}
}

static int other_process(const char *role)
{
	struct config *cfg = NULL;
	struct err err = {0};
	if (config_load(&cfg, tables, NULL, false, &err)) {
		fprintf(stderr, "%s\n", err.msg);
		return 3;
	}
	int status = strcmp(role, "gateway") == 0 ? run_gateway(cfg) : run_worker(cfg);
	config_free(cfg);
	return status;
}

/* -- the stage -- */

struct stage {
	char dir[64];
	int port, health_port;
	pid_t gateway, worker;
	struct loop *loop;
	struct loop_timer *timer;
	bool late;
	char *env[ENV_MAX + 1];
	int n_env;
};

static int free_port(void)
{
	struct sockaddr_in sa = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(sa);
	cleanup_close int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&sa, &len), 0);
	return ntohs(sa.sin_port);
}

static void set_env(struct stage *s, char *text)
{
	assert_true(s->n_env < ENV_MAX);
	s->env[s->n_env++] = text;
}

static void on_late(void *arg)
{
	struct stage *s = arg;
	s->late = true;
	loop_stop(s->loop);
}

/* Start this program again as ${role} and wait until it says it is ready. Returns false when it ended instead. */
static bool launch(struct stage *s, const char *role, pid_t *pid)
{
	struct err err = {0};
	int ready[2];
	char newline;
	assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
	struct proc_spec spec = PROC_SPEC_INIT;
	spec.argv = (const char *const[]){proc_self(), role, NULL};
	spec.env = (const char *const *)s->env;
	spec.ready_fd = ready[1];
	spec.errfd = getenv("TEST_LOG") ? PROC_INHERIT : PROC_NULL;
	spec.die_with_parent = true;
	assert_int_equal(proc_spawn(&spec, pid, &err), 0);
	close(ready[1]);
	bool ok = read(ready[0], &newline, 1) == 1;
	close(ready[0]);
	return ok;
}

static void stage_open(struct stage *s, const char *const *env)
{
	struct err err = {0};
	*s = (struct stage){0};
	snprintf(s->dir, sizeof(s->dir), "/tmp/gateway-server-XXXXXX");
	assert_non_null(mkdtemp(s->dir));
	s->port = free_port();
	s->health_port = free_port();
	set_env(s, mem_printf("STATE_DIR=%s", s->dir));
	set_env(s, mem_printf("GATEWAY_PORT=%d", s->port));
	set_env(s, mem_printf("GATEWAY_HEALTH_PORT=%d", s->health_port));
	set_env(s, mem_strdup("GATEWAY_RATE_LIMIT=0"));
	for (; env && *env; env++)
		set_env(s, mem_strdup(*env));
	assert_int_equal(loop_open(&s->loop, &err), 0);
	s->timer = loop_timer_new(s->loop, on_late, s);
	assert_true(launch(s, "gateway", &s->gateway));
}

static int end_process(pid_t *pid, int sig)
{
	int status = -1;
	if (*pid <= 0)
		return 0;
	kill(*pid, sig);
	waitpid(*pid, &status, 0);
	*pid = 0;
	return status;
}

static void stage_close(struct stage *s)
{
	struct err err;
	assert_int_equal(end_process(&s->gateway, SIGTERM), 0);
	end_process(&s->worker, SIGKILL);
	loop_timer_free(s->timer);
	loop_close(s->loop);
	for (int i = 0; i < s->n_env; i++)
		free(s->env[i]);
	tree_remove(s->dir, &err);
}

static void with_worker(struct stage *s)
{
	assert_true(launch(s, "worker", &s->worker));
}

/* Run the loop until somebody stops it. */
static void wait_loop(struct stage *s)
{
	s->late = false;
	loop_timer_set(s->timer, PATIENCE_MS, 0);
	loop_run(s->loop);
	loop_timer_clear(s->timer);
	if (s->late)
		fail_msg("nothing happened for %d ms", PATIENCE_MS);
}

/* -- a client -- */

struct peer {
	struct stage *s;
	struct ws *ws;
	cJSON *frames; /* array of all that came */
	int read;      /* of them looked at */
	bool open, closed;
	int code;
	char reason[200];
};

static void peer_open(void *arg, struct ws *ws)
{
	struct peer *p = arg;
	(void)ws;
	p->open = true;
	loop_stop(p->s->loop);
}

static void peer_message(void *arg, struct ws *ws, const char *text, size_t len)
{
	struct peer *p = arg;
	struct err err;
	(void)ws;
	cJSON *frame = json_parse(text, len, &err);
	assert_non_null(frame);
	cJSON_AddItemToArray(p->frames, frame);
	loop_stop(p->s->loop);
}

static void peer_close(void *arg, struct ws *ws, int code, const char *reason)
{
	struct peer *p = arg;
	(void)ws;
	p->ws = NULL;
	p->closed = true;
	p->code = code;
	snprintf(p->reason, sizeof(p->reason), "%s", reason ? reason : "");
	loop_stop(p->s->loop);
}

static const struct ws_events peer_events = {.open = peer_open, .message = peer_message, .close = peer_close};

static void start_connect(struct stage *s, struct peer *p, const char *path, const char *bearer)
{
	cleanup_free char *url = mem_printf("ws://127.0.0.1:%d%s", s->port, path);
	*p = (struct peer){.s = s, .frames = json_array()};
	p->ws = ws_connect(s->loop, url, bearer, NULL, &peer_events, p);
}

/* The next frame that was not looked at, or NULL when the connection closed. Borrowed. */
static const cJSON *next_frame(struct peer *p)
{
	while (cJSON_GetArraySize(p->frames) <= p->read && !p->closed)
		wait_loop(p->s);
	return cJSON_GetArrayItem(p->frames, p->read++);
}

static const cJSON *next_of(struct peer *p, const char *type)
{
	const cJSON *frame;
	while ((frame = next_frame(p)))
		if (strcmp(json_text(frame, "type"), type) == 0)
			return frame;
	fail_msg("closed (%d %s) instead of %s", p->code, p->reason, type);
	return NULL;
}

static void connect_peer(struct stage *s, struct peer *p)
{
	start_connect(s, p, "/", NULL);
	const cJSON *welcome = next_of(p, "complete");
	assert_non_null(json_text(welcome, "sessionId"));
	assert_non_null(strstr(json_text(welcome, "content"), "CodeFoundry"));
}

static void say(struct peer *p, const char *text)
{
	assert_int_equal(ws_send(p->ws, text, strlen(text)), 0);
}

static void drop(struct peer *p)
{
	if (p->ws)
		ws_close(p->ws, 1000, "bye");
	while (!p->closed)
		wait_loop(p->s);
	cJSON_Delete(p->frames);
}

/* Frames of one request until it ends: all under ${sid}, progress never back. Returns the last one. */
static const cJSON *finish(struct peer *p, const char *sid)
{
	int64_t percent = 0;
	for (;;) {
		const cJSON *frame = next_frame(p);
		if (!frame)
			fail_msg("closed: %d %s", p->code, p->reason);
		assert_string_equal(json_text(frame, "sessionId"), sid);
		if (strcmp(json_text(frame, "type"), "progress") != 0)
			return frame;
		assert_true(json_int(frame, "progress", -1) >= percent);
		percent = json_int(frame, "progress", -1);
		assert_true(percent <= 100);
		assert_int_equal(json_int(frame, "data.progress", -1), percent);
	}
}

static void assert_type(const cJSON *frame, const char *type)
{
	if (strcmp(json_text(frame, "type"), type) != 0) {
		cleanup_free char *text = json_print(frame);
		fail_msg("expected %s: %s", type, text);
	}
}

static int64_t database_count(struct stage *s, const char *sql)
{
	struct config *cfg = NULL;
	struct state *st = NULL;
	struct err err = {0};
	int64_t n = -1;
	assert_int_equal(config_load(&cfg, tables, NULL, false, &err), 0);
	assert_int_equal(config_set(cfg, "STATE_DIR", s->dir, &err), 0);
	assert_int_equal(state_open(&st, cfg, &err), 0);
	if (strncmp(sql, "SELECT", 6) == 0)
		assert_int_equal(db_get_int(st->db, &n, &err, sql, ""), 0);
	else
		assert_int_equal(db_run(st->db, &err, sql, ""), 0);
	state_close(st);
	config_free(cfg);
	return n;
}

static int http_get(int port, const char *path, cJSON **json, char **text)
{
	struct err err = {0};
	struct http_reply reply = {0};
	cleanup_free char *url = mem_printf("http://127.0.0.1:%d%s", port, path);
	struct http_request req = {.url = url, .total_ms = 5000};
	if (http_fetch(&req, &reply, &err))
		fail_msg("%s", err.msg);
	int status = (int)reply.status;
	if (json)
		*json = json_parse(reply.body, reply.len, &err);
	if (text)
		*text = mem_strdup(reply.body);
	http_reply_free(&reply);
	return status;
}

/* -- a client below WebSocket, for what ours refuses to send -- */

static int raw_connect(int port, const char *request_line, const char *headers, char *answer, size_t size)
{
	struct sockaddr_in sa = {.sin_family = AF_INET,
	                         .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	                         .sin_port = htons((uint16_t)port)};
	struct timeval patience = {PATIENCE_MS / 1000, 0};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	assert_int_equal(connect(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	cleanup_free char *request = mem_printf(
	        "GET %s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
	        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n%s\r\n",
	        request_line, port, headers);
	assert_int_equal(write(fd, request, strlen(request)), (ssize_t)strlen(request));
	size_t n = 0;
	while (n + 1 < size && read(fd, answer + n, 1) == 1) {
		answer[++n] = '\0';
		if (strstr(answer, "\r\n\r\n"))
			break;
	}
	return fd;
}

static int raw_status(int port, const char *request_line, const char *headers)
{
	char answer[4096] = "";
	int status = 0;
	close(raw_connect(port, request_line, headers, answer, sizeof(answer)));
	sscanf(answer, "HTTP/1.1 %d", &status);
	return status;
}

static bool read_all(int fd, unsigned char *buf, size_t n)
{
	for (size_t got = 0; got < n;) {
		ssize_t r = read(fd, buf + got, n - got);
		if (r <= 0)
			return false;
		got += (size_t)r;
	}
	return true;
}

/* Read frames until the close; its code, 0 when the socket ended without one. */
static int raw_close_code(int fd)
{
	unsigned char head[2], ext[8], body[70000];
	while (read_all(fd, head, 2)) {
		size_t len = head[1] & 0x7f;
		if (len == 126 && read_all(fd, ext, 2))
			len = (size_t)ext[0] << 8 | ext[1];
		if (len > sizeof(body) || !read_all(fd, body, len))
			return 0;
		if ((head[0] & 0x0f) == 8)
			return len >= 2 ? body[0] << 8 | body[1] : 1005;
	}
	return 0;
}

static void raw_send(int fd, int opcode, const char *data, size_t len)
{
	cleanup_str struct str frame = STR_INIT;
	str_addc(&frame, (char)(0x80 | opcode));
	if (len < 126) {
		str_addc(&frame, (char)(0x80 | len));
	} else {
		str_addc(&frame, (char)(0x80 | 127));
		for (int shift = 56; shift >= 0; shift -= 8)
			str_addc(&frame, (char)((uint64_t)len >> shift & 0xff));
	}
	str_addn(&frame, "\0\0\0\0", 4); /* a mask of zeros */
	str_addn(&frame, data, len);
	for (size_t sent = 0; sent < frame.len;) {
		ssize_t n = send(fd, frame.p + sent, frame.len - sent, MSG_NOSIGNAL);
		if (n <= 0)
			return; /* the other side had enough: its close is read next */
		sent += (size_t)n;
	}
}

static int code_after(struct stage *s, int opcode, const char *data, size_t len)
{
	char answer[4096] = "";
	int fd = raw_connect(s->port, "/", "", answer, sizeof(answer));
	assert_non_null(strstr(answer, "101"));
	raw_send(fd, opcode, data, len);
	int code = raw_close_code(fd);
	close(fd);
	return code;
}

#endif
