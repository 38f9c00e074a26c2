#include "testsuite/probe.h"
#include "core/clock.h"
#include "core/mem.h"
#include "core/str.h"
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

struct probe {
	int fd;
	struct str in;      /* received, not yet taken */
	struct str message; /* of a fragmented message */
};

static int left_ms(int64_t deadline)
{
	int64_t left = deadline - clock_mono_ms();
	return left < 0 ? 0 : left > 60000 ? 60000 : (int)left;
}

static int parse_url(const char *url, struct sockaddr_in *addr, struct err *err)
{
	char host[64];
	unsigned port;
	*addr = (struct sockaddr_in){.sin_family = AF_INET};
	if (sscanf(url, "ws://%63[0-9.]:%u", host, &port) != 2 || port > 65535 ||
	    inet_pton(AF_INET, host, &addr->sin_addr) != 1)
		return err_set(err, ERR_INVALID, "no address of the form ws://1.2.3.4:port: %.80s", url);
	addr->sin_port = htons((uint16_t)port);
	return 0;
}

static int send_all(int fd, const void *data, size_t len, struct err *err)
{
	const char *p = data;
	while (len) {
		ssize_t n = send(fd, p, len, MSG_NOSIGNAL);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			err_sys(err, errno, "send");
			err->code = ERR_NET;
			return -1;
		}
		p += n;
		len -= (size_t)n;
	}
	return 0;
}

/* More bytes into ${p}->in. 1 came, 0 timeout, 2 end of connection. */
static int receive(struct probe *p, int64_t deadline)
{
	char buf[65536];
	for (;;) {
		struct pollfd pfd = {.fd = p->fd, .events = POLLIN};
		int rc = poll(&pfd, 1, left_ms(deadline));
		if (rc < 0 && errno == EINTR)
			continue;
		if (rc <= 0)
			return 0;
		ssize_t n = recv(p->fd, buf, sizeof(buf), 0);
		if (n <= 0)
			return 2;
		str_addn(&p->in, buf, (size_t)n);
		return p->in.overflow ? 2 : 1;
	}
}

static void take(struct str *s, size_t n)
{
	size_t rest = s->len - n;
	if (s->p && rest)
		memmove(s->p, s->p + n, rest);
	str_cut(s, rest);
}

static int handshake(struct probe *p, const char *url, const char *path, const char *token, int64_t deadline,
                     int *status, struct err *err)
{
	cleanup_str struct str req = STR_INIT;
	str_addf(&req,
	         "GET %s HTTP/1.1\r\nHost: %s\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
	         "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n",
	         path && *path ? path : "/", url + strlen("ws://"));
	if (token)
		str_addf(&req, "Authorization: Bearer %s\r\n", token);
	str_add(&req, "\r\n");
	if (send_all(p->fd, str_text(&req), req.len, err))
		return -1;
	char *end;
	while (!(end = strstr(str_text(&p->in), "\r\n\r\n"))) {
		int rc = receive(p, deadline);
		if (rc == 0)
			return err_set(err, ERR_TIMEOUT, "%s: no answer to the upgrade", url);
		if (rc == 2)
			return err_set(err, ERR_NET, "%s: connection ended during the upgrade", url);
	}
	if (sscanf(str_text(&p->in), "HTTP/1.%*c %d", status) != 1)
		return err_set(err, ERR_NET, "%s: not an HTTP answer", url);
	if (*status != 101)
		return err_set(err, ERR_DENIED, "%s: upgrade refused with status %d", url, *status);
	if (!strstr(str_text(&p->in), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="))
		return err_set(err, ERR_NET, "%s: wrong Sec-WebSocket-Accept", url);
	take(&p->in, (size_t)(end + 4 - str_text(&p->in)));
	return 0;
}

static int connect_until(int fd, const struct sockaddr_in *addr, int64_t deadline)
{
	if (connect(fd, (const struct sockaddr *)addr, sizeof(*addr)) == 0)
		return 0;
	if (errno != EINPROGRESS)
		return errno;
	struct pollfd pfd = {.fd = fd, .events = POLLOUT};
	if (poll(&pfd, 1, left_ms(deadline)) <= 0)
		return ETIMEDOUT;
	int e = 0;
	socklen_t len = sizeof(e);
	getsockopt(fd, SOL_SOCKET, SO_ERROR, &e, &len);
	return e;
}

int probe_open(struct probe **out, const char *url, const char *path, const char *token, int64_t deadline,
               int *status, struct err *err)
{
	struct sockaddr_in addr;
	*status = 0;
	if (parse_url(url, &addr, err))
		return -1;
	struct probe *p = mem_alloc(sizeof(*p));
	p->in = p->message = STR_INIT_MAX(PROBE_MAX_FRAME + 64);
	p->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int rc = p->fd < 0 ? errno : connect_until(p->fd, &addr, deadline);
	if (rc) {
		err_sys(err, rc, "connect to %s", url);
		err->code = rc == ETIMEDOUT ? ERR_TIMEOUT : ERR_NET;
		probe_close(p);
		return -1;
	}
	fcntl(p->fd, F_SETFL, 0);
	setsockopt(p->fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
	if (handshake(p, url, path, token, deadline, status, err)) {
		probe_close(p);
		return -1;
	}
	*out = p;
	return 0;
}

void probe_close(struct probe *p)
{
	if (!p)
		return;
	if (p->fd >= 0)
		close(p->fd);
	str_free(&p->in);
	str_free(&p->message);
	free(p);
}

int probe_send(struct probe *p, int opcode, const void *data, size_t len, struct err *err)
{
	unsigned char head[14] = {(unsigned char)(0x80 | opcode)}, mask[4] = {0};
	size_t n = 2;
	if (len < 126) {
		head[1] = (unsigned char)(0x80 | len);
	} else if (len < 65536) {
		head[1] = 0x80 | 126;
		head[n++] = (unsigned char)(len >> 8);
		head[n++] = (unsigned char)len;
	} else {
		head[1] = 0x80 | 127;
		for (int shift = 56; shift >= 0; shift -= 8)
			head[n++] = (unsigned char)((uint64_t)len >> shift);
	}
	if (getrandom(mask, sizeof(mask), 0) != sizeof(mask))
		return err_sys(err, errno, "getrandom");
	memcpy(head + n, mask, sizeof(mask));
	n += sizeof(mask);
	cleanup_free unsigned char *frame = mem_alloc(n + len + 1);
	memcpy(frame, head, n);
	for (size_t i = 0; i < len; i++)
		frame[n + i] = ((const unsigned char *)data)[i] ^ mask[i & 3];
	return send_all(p->fd, frame, n + len, err);
}

/* The first frame in ${in}. Returns its whole size, 0 when it is not complete. */
static size_t frame_at(const struct str *in, int *opcode, int *final, const char **data, size_t *len)
{
	const unsigned char *b = (const unsigned char *)in->p;
	if (in->len < 2)
		return 0;
	size_t head = 2, n = b[1] & 0x7f, more = n == 126 ? 2 : n == 127 ? 8 : 0;
	if (in->len < head + more)
		return 0;
	if (more)
		n = 0;
	for (size_t i = 0; i < more; i++)
		n = (n << 8) | b[head + i];
	head += more;
	if (n > PROBE_MAX_FRAME || in->len < head + n)
		return 0;
	*opcode = b[0] & 0x0f;
	*final = b[0] & 0x80;
	*data = in->p + head;
	*len = n;
	return head + n;
}

/* What one frame means to the reader: as probe_read, or -2 for none. */
static int frame_taken(struct probe *p, int opcode, int final, const char *data, size_t len, char **text,
                       int *code, struct err *err)
{
	if (opcode == PROBE_CLOSE) {
		*code = len >= 2 ? ((unsigned char)data[0] << 8) | (unsigned char)data[1] : 1005;
		return 2;
	}
	if (opcode == PROBE_PING)
		return probe_send(p, PROBE_PONG, data, len, err) ? -1 : -2;
	if (opcode == PROBE_PONG)
		return -2;
	str_addn(&p->message, data, len);
	if (!final)
		return -2;
	*text = str_take(&p->message);
	p->message.max = PROBE_MAX_FRAME;
	return 1;
}

int probe_read(struct probe *p, int64_t deadline, char **text, int *code, struct err *err)
{
	for (;;) {
		int opcode, final;
		const char *data;
		size_t len, size = frame_at(&p->in, &opcode, &final, &data, &len);
		if (size) {
			int rc = frame_taken(p, opcode, final, data, len, text, code, err);
			take(&p->in, size);
			if (rc != -2)
				return rc;
			continue;
		}
		int rc = receive(p, deadline);
		if (rc == 2)
			*code = 1006;
		if (rc != 1)
			return rc;
	}
}
