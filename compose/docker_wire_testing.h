/* What the two tests of the Engine API against a scripted engine share: that engine. */
#ifndef COMPOSE_DOCKER_WIRE_TESTING_H
#define COMPOSE_DOCKER_WIRE_TESTING_H

#include "compose/docker.h"
#include "compose/test_docker.h"
#include <pthread.h>
#include <sys/socket.h>
#include <sys/un.h>

#define HEAD "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n"

struct answer {
	const void *data; /* NULL: none, until the other side hangs up */
	size_t len;
	size_t piece; /* bytes at a time; 0: all at once */
};

static struct engine {
	char dir[40], path[64];
	int listener;
	pthread_t thread;
	struct answer answers[4];
	size_t n;
	char requests[4][200]; /* first lines */
	size_t zeros;          /* bytes 0 of the last request's body, however it was cut into chunks */
} engine;

static inline void count_zeros(const char *buf, size_t n)
{
	for (size_t i = 0; i < n; i++)
		engine.zeros += !buf[i];
}

static inline void give(int fd, const struct answer *a)
{
	char buf[4096];
	const char *p = a->data;
	for (size_t left = a->data ? a->len : 0; left;) {
		size_t n = a->piece && a->piece < left ? a->piece : left;
		if (send(fd, p, n, MSG_NOSIGNAL) != (ssize_t)n)
			break;
		p += n;
		left -= n;
	}
	if (a->data)
		shutdown(fd, SHUT_WR);
	for (ssize_t n; (n = recv(fd, buf, sizeof(buf), 0)) > 0;)
		count_zeros(buf, (size_t)n);
}

static inline void *serve(void *arg)
{
	(void)arg;
	for (size_t i = 0; i < engine.n; i++) {
		char buf[4096];
		int fd = accept(engine.listener, NULL, NULL);
		ssize_t n = recv(fd, buf, sizeof(buf) - 1, 0);
		if (n <= 0) { /* only looked whether somebody is there */
			close(fd);
			i--;
			continue;
		}
		engine.zeros = 0;
		count_zeros(buf, (size_t)n);
		buf[n] = '\0';
		snprintf(engine.requests[i], sizeof(engine.requests[i]), "%.*s", (int)strcspn(buf, "\r"),
		         buf);
		give(fd, &engine.answers[i]);
		close(fd);
	}
	return NULL;
}

/* The engine gives ${n} answers, one connection each. */
static inline void script(const struct answer *answers, size_t n)
{
	memcpy(engine.answers, answers, n * sizeof(*answers));
	engine.n = n;
	pthread_create(&engine.thread, NULL, serve, NULL);
}

static inline void script_text(const char *text)
{
	script(&(struct answer){text, strlen(text), 0}, 1);
}

static inline void played(void)
{
	pthread_join(engine.thread, NULL);
}

static inline int setup(void **state)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	(void)state;
	alarm(60);
	snprintf(engine.dir, sizeof(engine.dir), "/tmp/codefoundry-test.XXXXXX");
	if (!mkdtemp(engine.dir))
		return -1;
	snprintf(engine.path, sizeof(engine.path), "%s/sock", engine.dir);
	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", engine.path);
	engine.listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (bind(engine.listener, (struct sockaddr *)&addr, sizeof(addr)) || listen(engine.listener, 8))
		return -1;
	cleanup_free char *host = mem_printf("unix://%s", engine.path);
	return setenv("DOCKER_HOST", host, 1);
}

static inline int teardown(void **state)
{
	struct err err;
	(void)state;
	close(engine.listener);
	unsetenv("DOCKER_HOST");
	return tree_remove(engine.dir, &err);
}

#endif
