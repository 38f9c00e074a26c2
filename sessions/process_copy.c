/* Files into and out of the state directory that the services of a process session share. */
#include "core/mem.h"
#include "core/tar.h"
#include "sessions/process.h"
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int open_state(const struct session_row *row, const char *path, struct err *err)
{
	cleanup_free char *dir = mem_printf("%s/state", row->dir);
	return process_open_below(dir, path, err);
}

/* ${path} cut into the open directory above it and its last part ("." for what ends in a slash), to free. -1 with ${err}. */
static int open_above(const struct session_row *row, const char *path, char **last, struct err *err)
{
	const char *slash = strrchr(path, '/'), *end = slash ? slash + 1 : path;
	cleanup_free char *above = mem_strndup(path, (size_t)(end - path));
	if (!strcmp(end, ".."))
		return err_set(err, ERR_INVALID, "%s: no path leads out of the state directory", path);
	int fd = open_state(row, above, err);
	if (fd >= 0)
		*last = mem_strdup(*end ? end : ".");
	return fd;
}

/* A link is none, wherever it leads. */
int process_is_dir(struct state *st, const struct session_row *row, const char *service, const char *path,
                   struct err *err)
{
	(void)st, (void)service;
	struct stat s;
	cleanup_free char *last = NULL;
	cleanup_close int above = open_above(row, path, &last, err);
	if (above >= 0)
		return fstatat(above, last, &s, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(s.st_mode);
	if (err->code != ERR_NOT_FOUND)
		return -1;
	err_clear(err);
	return 0;
}

int process_copy_out(struct state *st, const struct session_row *row, const char *service, const char *path,
                     int fd, int stop_fd, struct err *err)
{
	(void)st, (void)service;
	struct tar_options o = {.stop_fd = stop_fd};
	cleanup_free char *last = NULL;
	cleanup_close int above = open_above(row, path, &last, err);
	if (above < 0)
		return err_wrap(err, "read %s", path);
	if (tar_pack(above, last, last, fd, &o, err) == 0)
		return 0;
	if (err->code == ERR_IO && strstr(err->msg, strerror(EPIPE))) /* whoever reads it says why */
		return 0;
	return err_wrap(err, "read %s", path);
}

int process_copy_in(struct state *st, const struct session_row *row, const char *service, const char *path,
                    int fd, int stop_fd, struct err *err)
{
	(void)st, (void)service;
	struct tar_options o = {.stop_fd = stop_fd};
	cleanup_close int dir = open_state(row, path, err);
	return dir < 0 || tar_receive(fd, dir, NULL, &o, err) ? err_wrap(err, "write below %s", path) : 0;
}

int process_owner(struct state *st, const struct session_row *row, const char *service, int64_t *uid,
                  int64_t *gid, struct err *err)
{
	(void)st, (void)row, (void)service, (void)err;
	*uid = geteuid();
	*gid = getegid();
	return 0;
}
