/* The client's side of the control socket, and how both sides find it. */
#include "jobs/supervisor_socket.h"
#include "core/clock.h"
#include "core/mem.h"
#include "core/str.h"
#include "jobs/supervisor_private.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define BACKLOG 64
#define CONNECT_S 5
#define REPLY_MAX_BYTES (1u << 20)

static int open_dir(const char *dir, struct err *err)
{
	int fd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? err_sys(err, errno, "open %s", dir) : fd;
}

static struct sockaddr_un address(int dir)
{
	struct sockaddr_un sun = {.sun_family = AF_UNIX};
	snprintf(sun.sun_path, sizeof(sun.sun_path), "/proc/self/fd/%d/" SUPERVISOR_SOCKET, dir);
	return sun;
}

/* Connect; errno tells why not. */
static int try_connect(int dir)
{
	struct sockaddr_un sun = address(dir);
	cleanup_close int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct timeval patience = {.tv_sec = CONNECT_S}; /* one that hangs fills its backlog */
	if (fd >= 0)
		setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
	if (fd < 0 || connect(fd, (struct sockaddr *)&sun, sizeof(sun)))
		return -1;
	return TAKE_FD(fd);
}

int supervisor_socket_listen(const char *path, struct err *err)
{
	cleanup_close int dir = open_dir(path, err);
	if (dir < 0)
		return -1;
	cleanup_close int other = try_connect(dir);
	if (other >= 0)
		return err_set(err, ERR_EXISTS, "a supervisor answers on %s/" SUPERVISOR_SOCKET " already",
		               path);
	unlinkat(dir, SUPERVISOR_SOCKET, 0);
	struct sockaddr_un sun = address(dir);
	cleanup_close int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	mode_t old = umask(0177);
	int rc = fd < 0 ? -1 : bind(fd, (struct sockaddr *)&sun, sizeof(sun));
	int e = errno;
	umask(old);
	if (rc)
		return err_sys(err, e, "bind %s/" SUPERVISOR_SOCKET, path);
	if (listen(fd, BACKLOG))
		return err_sys(err, errno, "listen on %s/" SUPERVISOR_SOCKET, path);
	return TAKE_FD(fd);
}

void supervisor_socket_unlink(const char *path)
{
	struct err ignored = {0};
	cleanup_close int dir = open_dir(path, &ignored);
	if (dir >= 0)
		unlinkat(dir, SUPERVISOR_SOCKET, 0);
}

int supervisor_connect(const char *path, const cJSON *request, struct err *err)
{
	struct err why = {0};
	cleanup_close int dir = open_dir(path, &why);
	cleanup_close int fd = dir < 0 ? -1 : try_connect(dir);
	if (fd < 0 && dir >= 0 && errno != ENOENT && errno != ECONNREFUSED)
		return err_sys(err, errno, "reach the supervisor of %s", path);
	if (fd < 0)
		return err_set(err, ERR_NOT_FOUND, "no supervisor runs in %s", path);
	cleanup_free char *json = json_print(request), *line = mem_printf("%s\n", json);
	if (send(fd, line, strlen(line), MSG_NOSIGNAL) != (ssize_t)strlen(line))
		return err_sys(err, errno, "ask the supervisor of %s", path);
	return TAKE_FD(fd);
}

/* Read until a whole line is there. */
static int read_line(int fd, int64_t until, struct str *line, struct err *err)
{
	char buf[4096];
	while (!line->len || line->p[line->len - 1] != '\n') {
		struct pollfd p = {.fd = fd, .events = POLLIN};
		int64_t wait = until - clock_mono_ms();
		int ready = poll(&p, 1, wait < 0 ? 0 : wait > INT_MAX ? INT_MAX : (int)wait);
		if (ready < 0 && errno != EINTR)
			return err_sys(err, errno, "poll");
		if (ready <= 0 && clock_mono_ms() >= until)
			return err_set(err, ERR_TIMEOUT, "the supervisor did not answer in time");
		if (ready <= 0)
			continue;
		ssize_t n = recv(fd, buf, sizeof(buf), 0);
		if (n <= 0)
			return err_set(err, ERR_NET, "the supervisor ended without an answer");
		str_addn(line, buf, (size_t)n);
		if (line->overflow)
			return err_set(err, ERR_LIMIT, "the supervisor's answer is too long");
	}
	return 0;
}

int supervisor_call(const char *dir, const cJSON *request, int64_t timeout_ms, cJSON **out, struct err *err)
{
	cleanup_close int fd = supervisor_connect(dir, request, err);
	cleanup_str struct str line = STR_INIT_MAX(REPLY_MAX_BYTES);
	if (fd < 0 || read_line(fd, clock_mono_ms() + timeout_ms, &line, err))
		return -1;
	cleanup_json cJSON *reply = json_parse(line.p, line.len, err);
	if (!reply)
		return err_wrap(err, "answer of the supervisor");
	bool ok = json_bool(reply, "ok", false);
	if (!ok) {
		const char *error = json_text(reply, "error");
		err_set(err, ERR_FAILED, "%s", error ? error : "refused");
	}
	if (out)
		*out = TAKE(reply);
	return ok ? 0 : -1;
}

int supervisor_ask(const char *dir, const char *op, const char *service, int64_t timeout_ms, cJSON **reply,
                   struct err *err)
{
	cleanup_json cJSON *request = json_object();
	json_add_text(request, "op", op);
	if (service)
		json_add_text(request, "service", service);
	return supervisor_call(dir, request, timeout_ms, reply, err);
}
