#include "core/bell.h"
#include "core/clock.h"
#include "core/mem.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

struct bell {
	int fd;
};

void bell_ring(const char *state_dir)
{
	cleanup_free char *path = mem_printf("%s/bell", state_dir);
	cleanup_close int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd >= 0)
		futimens(fd, NULL);
}

int bell_open(struct bell **out, const char *state_dir, struct err *err)
{
	cleanup_free char *path = mem_printf("%s/bell", state_dir);
	bell_ring(state_dir); /* the file must be there to be watched */
	cleanup_close int fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	if (fd < 0)
		return err_sys(err, errno, "inotify (raise fs.inotify.max_user_instances)");
	if (inotify_add_watch(fd, path, IN_ATTRIB | IN_MODIFY) < 0)
		return err_sys(err, errno, "watch %s", path);
	struct bell *bell = mem_alloc(sizeof(*bell));
	bell->fd = TAKE_FD(fd);
	*out = bell;
	return 0;
}

void bell_close(struct bell *bell)
{
	if (!bell)
		return;
	close(bell->fd);
	free(bell);
}

int bell_fd(const struct bell *bell)
{
	return bell->fd;
}

void bell_drain(struct bell *bell)
{
	char events[4096] __attribute__((aligned(__alignof__(struct inotify_event))));
	while (read(bell->fd, events, sizeof(events)) > 0)
		;
}

int bell_wait(struct bell *bell, int64_t timeout_ms)
{
	struct pollfd p = {.fd = bell->fd, .events = POLLIN};
	if (poll(&p, 1, timeout_ms > INT32_MAX ? INT32_MAX : (int)timeout_ms) <= 0)
		return 0;
	bell_drain(bell);
	return 1;
}
