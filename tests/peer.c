/* What the system tests need from the other side: a program that has a port, locks or spoils a database, is somebody else's gateway, or
 * does the same thing twice at once. One mode each; see `modes` below. Background modes say "ready" on their standard output. */
#include "core/file.h"
#include "core/json.h"
#include "core/loop.h"
#include "core/mem.h"
#include "core/net.h"
#include "core/proc.h"
#include "core/str.h"
#include "core/ws.h"
#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define LONG_LINES 200
#define DAMAGED_BYTES 8192

static int fail(const struct err *err)
{
	fprintf(stderr, "peer: %s\n", err->msg);
	return 1;
}

static void ready(void)
{
	puts("ready");
	fflush(stdout);
}

/* listen PORT */
static int mode_listen(char **args)
{
	struct err err = {0};
	int bound;
	if (net_listen("127.0.0.1", atoi(args[0]), &bound, &err) < 0)
		return fail(&err);
	ready();
	for (;;)
		pause();
}

/* hangup PORT TEXT: take connections, answer TEXT and end them, as a port forwarder does (with no TEXT) when nobody listens behind it. */
static int mode_hangup(char **args)
{
	struct err err = {0};
	char request[4096];
	int bound, fd = net_listen("127.0.0.1", atoi(args[0]), &bound, &err);
	size_t len = args[1] ? strlen(args[1]) : 0;
	if (fd < 0)
		return fail(&err);
	fcntl(fd, F_SETFL, 0);
	ready();
	for (;;) {
		int client = accept(fd, NULL, NULL);
		if (client < 0 || (len && (recv(client, request, sizeof(request), 0) < 0 ||
		                           send(client, args[1], len, MSG_NOSIGNAL) < 0)))
			return 1;
		close(client);
	}
}

static int execute(const char *path, const char *sql)
{
	sqlite3 *db = NULL;
	int rc = sqlite3_open(path, &db);
	if (rc == SQLITE_OK)
		rc = sqlite3_exec(db, sql, NULL, NULL, NULL);
	if (rc != SQLITE_OK)
		fprintf(stderr, "peer: %s: %s\n", path, sqlite3_errmsg(db));
	return rc != SQLITE_OK; /* left open: that is the lock */
}

/* lock DATABASE */
static int mode_lock(char **args)
{
	if (execute(args[0], "BEGIN EXCLUSIVE"))
		return 1;
	ready();
	for (;;)
		pause();
}

/* newer DATABASE */
static int mode_newer(char **args)
{
	return execute(args[0], "PRAGMA user_version = 999");
}

/* damage DATABASE */
static int mode_damage(char **args)
{
	static const char *const beside[] = {"-wal", "-shm"};
	unsigned char noise[DAMAGED_BYTES];
	struct err err = {0};
	for (size_t i = 0; i < ARRAY_LEN(beside); i++) {
		cleanup_free char *path = mem_printf("%s%s", args[0], beside[i]);
		unlink(path);
	}
	for (size_t n = 0; n < sizeof(noise); n += 256)
		if (getrandom(noise + n, 256, 0) != 256)
			return 1;
	return file_write(args[0], noise, sizeof(noise), 0600, &err) ? fail(&err) : 0;
}

/* twice PROGRAM ARG…: both at once; exits with how many failed */
static int mode_twice(char **args)
{
	struct err err = {0};
	struct proc_spec spec = PROC_SPEC_INIT;
	int failed = 0, status;
	spec.argv = (const char *const *)args;
	for (int i = 0; i < 2; i++) {
		pid_t pid;
		if (proc_spawn(&spec, &pid, &err))
			return fail(&err);
	}
	while (wait(&status) > 0)
		failed += status != 0;
	return failed;
}

static void send_frame(struct ws *ws, const char *type, const char *id, const char *content)
{
	cleanup_json cJSON *frame = json_object();
	json_add_text(frame, "type", type);
	json_add_text(frame, "sessionId", id);
	if (content)
		json_add_text(frame, "content", content);
	cleanup_free char *text = json_print(frame);
	ws_send(ws, text, strlen(text));
}

static void on_open(void *arg, struct ws *ws)
{
	(void)arg;
	send_frame(ws, "complete", "me", "Welcome");
}

static void on_message(void *arg, struct ws *ws, const char *text, size_t len)
{
	(void)arg;
	struct err err = {0};
	cleanup_json cJSON *request = json_parse(text, len, &err);
	cleanup_str struct str answer = STR_INIT;
	const char *type = json_text(request, "type"), *id = json_text(request, "sessionId");
	if (type && !strcmp(type, "ping"))
		send_frame(ws, "pong", id, NULL);
	if (!type || strcmp(type, "chat") != 0)
		return;
	for (int i = 1; i <= LONG_LINES; i++)
		str_addf(&answer, "line %d *of* `many` <b>& xxxxxxxxxxxxxxxxxxxx\n", i);
	send_frame(ws, "complete", id, str_text(&answer));
}

/* gateway PORT: answers every chat with a long Markdown text */
static int mode_gateway(char **args)
{
	static const struct ws_events events = {.open = on_open, .message = on_message};
	struct err err = {0};
	struct loop *loop;
	struct ws_server *server;
	if (loop_open(&loop, &err) ||
	    ws_server_open(&server, loop, "127.0.0.1", atoi(args[0]), NULL, &events, NULL, &err))
		return fail(&err);
	ready();
	loop_run(loop);
	return 0;
}

static const struct {
	const char *name;
	int (*run)(char **args);
} modes[] = {
        {"listen", mode_listen}, {"lock", mode_lock},       {"newer", mode_newer},   {"damage", mode_damage},
        {"twice", mode_twice},   {"gateway", mode_gateway}, {"hangup", mode_hangup},
};

int main(int argc, char **argv)
{
	for (size_t i = 0; argc > 2 && i < ARRAY_LEN(modes); i++)
		if (!strcmp(argv[1], modes[i].name))
			return modes[i].run(argv + 2);
	fprintf(stderr, "usage: peer listen|gateway PORT, hangup PORT TEXT, lock|newer|damage DATABASE, "
	                "twice PROGRAM ARG…\n");
	return 2;
}
