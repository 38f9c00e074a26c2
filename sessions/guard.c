#include "sessions/guard.h"
#include "core/bell.h"
#include "core/clock.h"
#include "core/mem.h"
#include "core/text.h"
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

/* A lost ring is only a delay: look again after so long. */
#define LOOK_MS 1000

static off_t byte_of(const char *name)
{
	return (off_t)(text_hash(name) >> 2);
}

static int open_byte(struct state *st, const char *name, struct flock *lock, struct err *err)
{
	cleanup_free char *path = state_path(st, "sessions.lock");
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	*lock = (struct flock){.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = byte_of(name), .l_len = 1};
	return fd < 0 ? err_sys(err, errno, "open %s", path) : fd;
}

int guard_take(struct state *st, const char *name, int *guard, struct err *err)
{
	struct flock lock;
	cleanup_close int fd = open_byte(st, name, &lock, err);
	if (fd < 0)
		return -1;
	if (fcntl(fd, F_OFD_SETLK, &lock))
		return errno == EAGAIN || errno == EACCES ? 1 : err_sys(err, errno, "lock session %s", name);
	*guard = TAKE_FD(fd);
	return 0;
}

bool guard_busy(struct state *st, const char *name)
{
	struct flock lock;
	struct err ignored = {0};
	cleanup_close int fd = open_byte(st, name, &lock, &ignored);
	return fd >= 0 && fcntl(fd, F_OFD_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
}

static int wait_for(struct job *job, struct bell *bell, const char *name, int64_t timeout_ms, int *guard,
                    struct err *err)
{
	int64_t deadline = clock_mono_ms() + timeout_ms;
	int rc;
	while ((rc = guard_take(job_state(job), name, guard, err)) == 1) {
		int64_t left = deadline - clock_mono_ms();
		if (left <= 0)
			return err_set(err, ERR_BUSY,
			               "another operation on session %s goes on: try again when it is over",
			               name);
		struct pollfd p = {.fd = bell_fd(bell), .events = POLLIN};
		if (job_poll(job, &p, 1, left < LOOK_MS ? left : LOOK_MS, err) < 0)
			return -1;
		bell_drain(bell);
	}
	return rc;
}

int guard_wait(struct job *job, const char *name, int64_t timeout_ms, int *guard, struct err *err)
{
	struct bell *bell = NULL;
	if (bell_open(&bell, job_state(job)->dir, err))
		return -1;
	int rc = wait_for(job, bell, name, timeout_ms, guard, err);
	bell_close(bell);
	return rc;
}

void guard_release(struct state *st, int *guard)
{
	if (*guard == GUARD_NONE)
		return;
	close(*guard);
	*guard = GUARD_NONE;
	state_ring(st);
}
