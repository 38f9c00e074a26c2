#include "core/bell.h"
#include "core/mem.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#define WATCHED (IN_ATTRIB | IN_MODIFY)

struct bell {
	int fd;
	char *path;
};

static int touch(const char *path)
{
	return open(path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);
}

void bell_ring(const char *state_dir)
{
	cleanup_free char *path = mem_printf("%s/bell", state_dir);
	cleanup_close int fd = touch(path);
	if (fd >= 0)
		futimens(fd, NULL);
}

int bell_open(struct bell **out, const char *state_dir, struct err *err)
{
	cleanup_free char *path = mem_printf("%s/bell", state_dir);
	cleanup_close int file = touch(path); /* must be there to be watched */
	if (file < 0)
		return err_sys(err, errno, "open %s", path);
	cleanup_close int fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	if (fd < 0)
		return err_sys(err, errno, "inotify (raise fs.inotify.max_user_instances)");
	if (inotify_add_watch(fd, path, WATCHED) < 0)
		return err_sys(err, errno, "watch %s", path);
	struct bell *bell = mem_alloc(sizeof(*bell));
	bell->fd = TAKE_FD(fd);
	bell->path = TAKE(path);
	*out = bell;
	return 0;
}

void bell_close(struct bell *bell)
{
	if (!bell)
		return;
	close(bell->fd);
	free(bell->path);
	free(bell);
}

int bell_fd(const struct bell *bell)
{
	return bell->fd;
}

void bell_drain(struct bell *bell)
{
	char events[4096] __attribute__((aligned(__alignof__(struct inotify_event))));
	bool replaced = false;
	ssize_t n;
	while ((n = read(bell->fd, events, sizeof(events))) > 0) {
		const struct inotify_event *e;
		for (ssize_t at = 0; at < n; at += (ssize_t)(sizeof(*e) + e->len)) {
			e = (const struct inotify_event *)(events + at);
			replaced |= (e->mask & IN_IGNORED) != 0;
		}
	}
	if (replaced) { /* by a restored backup, say: the watch went with the old file */
		cleanup_close int fd = touch(bell->path);
		inotify_add_watch(bell->fd, bell->path, WATCHED);
	}
}

int bell_wait(struct bell *bell, int64_t timeout_ms)
{
	struct pollfd p = {.fd = bell->fd, .events = POLLIN};
	int wait = timeout_ms < 0 ? 0 : timeout_ms > INT_MAX ? INT_MAX : (int)timeout_ms;
	if (poll(&p, 1, wait) <= 0)
		return 0;
	bell_drain(bell);
	return 1;
}
