#include "core/net.h"

#include "core/mem.h"
#include <errno.h>
#include <netdb.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define BACKLOG 1024

int net_listen(const char *host, int port, int *bound, struct err *err)
{
	struct addrinfo hints = {.ai_flags = AI_NUMERICHOST | AI_PASSIVE, .ai_socktype = SOCK_STREAM},
	                *ai = NULL;
	struct sockaddr_storage addr;
	socklen_t len = sizeof(addr);
	cleanup_close int fd = -1;
	char service[16], name[16];
	int on = 1;

	snprintf(service, sizeof(service), "%d", port);
	if (port < 0 || port > 65535 || getaddrinfo(host, service, &hints, &ai))
		return err_set(err, ERR_INVALID, "cannot listen on %s:%d: not a numeric address and port",
		               host, port);
	fd = socket(ai->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd >= 0)
		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	int failed = fd < 0 || bind(fd, ai->ai_addr, ai->ai_addrlen) || listen(fd, BACKLOG);
	int errnum = errno;
	freeaddrinfo(ai);
	if (failed && errnum == EADDRINUSE)
		return err_set(err, ERR_EXISTS,
		               "port %d on %s is in use: end what listens there (ss -ltnp shows it) or set "
		               "another port",
		               port, host);
	if (failed)
		return err_sys(err, errnum, "cannot listen on %s:%d", host, port);
	if (getsockname(fd, (struct sockaddr *)&addr, &len) ||
	    getnameinfo((struct sockaddr *)&addr, len, NULL, 0, name, sizeof(name), NI_NUMERICSERV))
		return err_sys(err, errno, "cannot listen on %s:%d", host, port);
	*bound = atoi(name);
	return TAKE_FD(fd);
}

int net_probe(const char *host, int port, struct err *err)
{
	int bound;
	cleanup_close int fd = net_listen(host, port, &bound, err);
	return fd < 0 ? -1 : 0;
}

bool net_claim(const char *what, int *fd)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	size_t most = sizeof(a.sun_path) - 1;
	int n = snprintf(a.sun_path + 1, most, "codefoundry-%s", what);
	*fd = -1;
	cleanup_close int bound = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (bound < 0 || n < 0 || (size_t)n >= most)
		return true;
	if (bind(bound, (struct sockaddr *)&a,
	         (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)n)))
		return errno != EADDRINUSE;
	*fd = TAKE_FD(bound);
	return true;
}
