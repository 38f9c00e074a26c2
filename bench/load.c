#include "bench/load.h"
#include "bench/bench.h"
#include "core/clock.h"
#include "core/mem.h"
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#define MAX_FRAME 125 /* of what is sent; RFC 6455 5.2: above, the length has two more bytes */

struct connection {
	int fd;
	size_t len;
	unsigned char in[1024];
};

struct load {
	int epoll;
	size_t n;
	bool running; /* a message is under way on every connection */
	struct connection *at;
	unsigned char frame[MAX_FRAME + 6];
	size_t frame_len;
};

/* Bytes of the whole frame at the beginning of what came, 0 when it is not whole yet. */
static size_t frame_at(const struct connection *c)
{
	if (c->len < 2)
		return 0;
	size_t head = 2, len = c->in[1] & 127;
	if (len == 126) {
		head = 4;
		len = c->len < 4 ? sizeof(c->in) : (size_t)(c->in[2] << 8 | c->in[3]);
	}
	return head + len <= c->len ? head + len : 0;
}

static void drop(struct connection *c, size_t n)
{
	c->len -= n;
	memmove(c->in, c->in + n, c->len);
}

static void receive(struct connection *c)
{
	ssize_t n = recv(c->fd, c->in + c->len, sizeof(c->in) - c->len, 0);
	if (n <= 0)
		give_up("a server hung up, or said nothing for %d ms", PEER_MS);
	c->len += (size_t)n;
}

static void transmit(int fd, const void *data, size_t len)
{
	if (send(fd, data, len, MSG_NOSIGNAL) != (ssize_t)len)
		give_up("a server hung up");
}

static void upgrade(struct connection *c)
{
	static const char request[] =
	        "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
	        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";
	unsigned char *end = NULL;
	transmit(c->fd, request, sizeof(request) - 1);
	while (!end) {
		receive(c);
		end = memmem(c->in, c->len, "\r\n\r\n", 4);
	}
	if (strncmp((char *)c->in, "HTTP/1.1 101", 12) != 0)
		give_up("a server refused the upgrade: %.30s", (char *)c->in);
	drop(c, (size_t)(end - c->in) + 4);
}

static void open_one(struct load *l, struct connection *c, int port, bool greeted)
{
	struct sockaddr_in to = {.sin_family = AF_INET,
	                         .sin_port = htons((uint16_t)port),
	                         .sin_addr = {htonl(INADDR_LOOPBACK)}};
	struct timeval patience = {.tv_sec = PEER_MS / 1000};
	struct epoll_event want = {.events = EPOLLIN, .data.ptr = c};
	int on = 1;
	c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (c->fd < 0 || connect(c->fd, (struct sockaddr *)&to, sizeof(to)))
		give_up("no connection to port %d", port);
	setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	setsockopt(c->fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	upgrade(c);
	while (greeted && !frame_at(c))
		receive(c);
	if (greeted)
		drop(c, frame_at(c));
	epoll_ctl(l->epoll, EPOLL_CTL_ADD, c->fd, &want);
}

struct load *load_open(int port, size_t n, bool greeted)
{
	struct load *l = mem_alloc(sizeof(*l));
	l->n = n;
	l->at = mem_alloc(n * sizeof(*l->at));
	l->epoll = epoll_create1(EPOLL_CLOEXEC);
	for (size_t i = 0; i < n; i++)
		open_one(l, &l->at[i], port, greeted);
	return l;
}

/* RFC 6455 5.3: a client masks; the mask may be any. */
static void make_frame(struct load *l, const char *text)
{
	static const unsigned char mask[4] = {0x11, 0x22, 0x33, 0x44};
	size_t len = strlen(text);
	if (len > MAX_FRAME)
		give_up("the message is longer than %d bytes", MAX_FRAME);
	l->frame[0] = 0x81;
	l->frame[1] = (unsigned char)(0x80 | len);
	memcpy(l->frame + 2, mask, 4);
	for (size_t i = 0; i < len; i++)
		l->frame[6 + i] = (unsigned char)text[i] ^ mask[i % 4];
	l->frame_len = len + 6;
}

static uint64_t answer(struct load *l, struct connection *c)
{
	uint64_t n = 0;
	receive(c);
	for (size_t len; (len = frame_at(c)); n++) {
		drop(c, len);
		transmit(c->fd, l->frame, l->frame_len);
	}
	return n;
}

uint64_t load_run(struct load *l, const char *text, int64_t ms)
{
	struct epoll_event events[64];
	int64_t end = clock_mono_ms() + ms;
	uint64_t answers = 0;
	make_frame(l, text);
	for (size_t i = 0; i < l->n && !l->running; i++)
		transmit(l->at[i].fd, l->frame, l->frame_len);
	l->running = true;
	while (clock_mono_ms() < end) {
		int n = epoll_wait(l->epoll, events, 64, PEER_MS);
		if (n <= 0)
			give_up("a server answered nothing for %d ms", PEER_MS);
		for (int i = 0; i < n; i++)
			answers += answer(l, events[i].data.ptr);
	}
	return answers;
}

void load_close(struct load *l)
{
	for (size_t i = 0; i < l->n; i++)
		close(l->at[i].fd);
	close(l->epoll);
	free(l->at);
	free(l);
}
