#include "compose/docker_archive.h"
#include "compose/docker.h"
#include "compose/docker_http.h"
#include "core/mem.h"
#include "core/text.h"
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define IDLE_MS 120000
#define PASSWD_MAX ((size_t)1 << 20)

struct stream {
	int fd, stop_fd;
	int failed; /* errno of fd */
	bool unread;
};

static bool is_wanted(void *arg)
{
	const struct stream *s = arg;
	struct pollfd stop = {.fd = s->stop_fd > 0 ? s->stop_fd : -1, .events = POLLIN};

	return poll(&stop, 1, 0) == 0;
}

static char *archive_path(const char *container, const char *path, const char *more)
{
	cleanup_free char *escaped = docker_escape(path);

	return mem_printf("/containers/%s/archive?path=%s%s", container, escaped, more);
}

/* ---- out ---- */

static bool take(void *arg, const char *data, size_t len)
{
	struct stream *s = arg;

	while (len) {
		ssize_t n = write(s->fd, data, len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			s->unread = errno == EPIPE;
			s->failed = errno;
			return false;
		}
		data += n;
		len -= (size_t)n;
	}
	return true;
}

int docker_archive_get(const char *container, const char *path, int fd, int stop_fd, struct err *err)
{
	struct stream s = {.fd = fd, .stop_fd = stop_fd};
	struct http_request req = {.on_data = take,
	                           .go_on = is_wanted,
	                           .arg = &s,
	                           .wake_fd = stop_fd,
	                           .total_ms = HTTP_NO_LIMIT,
	                           .idle_ms = IDLE_MS};
	struct http_reply reply = {0};

	if (docker_check_id(container, err))
		return -1;
	/* the root's own last name would be nothing */
	cleanup_free char *url = archive_path(container, strcmp(path, "/") ? path : "/.", "");
	int rc = docker_request(&req, url, &reply, err);
	if (!rc && reply.status != 200)
		rc = docker_refusal(&reply, err);
	http_reply_free(&reply);
	if (!rc && s.failed && !s.unread)
		rc = err_sys(err, s.failed, "write the archive");
	return rc ? err_wrap(err, "read %s", path) : 0;
}

/* ---- in ---- */

static ssize_t give(void *arg, char *buf, size_t size)
{
	struct stream *s = arg;
	struct pollfd p[] = {{.fd = s->fd, .events = POLLIN},
	                     {.fd = s->stop_fd > 0 ? s->stop_fd : -1, .events = POLLIN}};
	ssize_t n = -1;

	do {
		if (poll(p, 2, -1) > 0 && p[1].revents)
			return -1;
		n = read(s->fd, buf, size);
	} while (n < 0 && (errno == EINTR || errno == EAGAIN));
	if (n < 0)
		s->failed = errno;
	return n;
}

int docker_archive_put(const char *container, const char *path, int fd, int stop_fd, struct err *err)
{
	struct stream s = {.fd = fd, .stop_fd = stop_fd};
	struct http_request req = {.method = "PUT",
	                           .give = give,
	                           .content_type = "application/x-tar",
	                           .go_on = is_wanted,
	                           .arg = &s,
	                           .wake_fd = stop_fd,
	                           .total_ms = HTTP_NO_LIMIT};
	struct http_reply reply = {0};

	if (docker_check_id(container, err))
		return -1;
	cleanup_free char *url = archive_path(container, path, "&noOverwriteDirNonDir=true");
	int rc = docker_request(&req, url, &reply, err);
	if (!rc && reply.status != 200)
		rc = docker_refusal(&reply, err);
	http_reply_free(&reply);
	if (rc && s.failed)
		rc = err_sys(err, s.failed, "read the archive");
	return rc ? err_wrap(err, "write below %s", path) : 0;
}

/* ---- what is there ---- */

static bool enough(void *arg, const char *data, size_t len)
{
	(void)arg, (void)data, (void)len;
	return false;
}

/* Only a directory has a "." in it. */
int docker_is_dir(const char *container, const char *path, struct err *err)
{
	struct http_request req = {.on_data = enough};
	struct http_reply reply = {0};
	cleanup_free char *inside = mem_printf("%s/.", path);

	if (docker_check_id(container, err))
		return -1;
	cleanup_free char *url = archive_path(container, inside, "");
	if (docker_request(&req, url, &reply, err))
		return -1;
	bool is_dir = reply.status == 200, no_container = strstr(reply.body, "No such container") != NULL;
	if (no_container)
		docker_refusal(&reply, err);
	http_reply_free(&reply);
	return no_container ? -1 : is_dir;
}

/* "name:x:UID:GID:…" of ${passwd}. Returns 0, or -1 when nobody is called so. */
static int find_user(char *passwd, const char *name, int64_t *uid, int64_t *gid)
{
	for (char *rest = passwd, *line; (line = strsep(&rest, "\n"));) {
		char *fields[4] = {0};
		for (size_t i = 0; i < ARRAY_LEN(fields); i++)
			fields[i] = strsep(&line, ":");
		if (fields[3] && !strcmp(fields[0], name))
			return text_int(fields[2], uid) || text_int(fields[3], gid) ? -1 : 0;
	}
	return -1;
}

int docker_user(const char *container, int64_t *uid, int64_t *gid, struct err *err)
{
	if (docker_check_id(container, err))
		return -1;
	cleanup_free char *path = mem_printf("/containers/%s/json", container);
	cleanup_json cJSON *info = docker_get(path, err);
	if (!info)
		return -1;
	cleanup_free char *user = mem_strdup(json_text_or(info, "Config.User", "")), *passwd = NULL;
	char *group = strchr(user, ':');
	if (group)
		*group++ = '\0';
	*uid = *gid = 0;
	if (*user && text_int(user, uid) &&
	    (docker_read_file(container, "/etc/passwd", PASSWD_MAX, &passwd, NULL, err) ||
	     find_user(passwd, user, uid, gid)))
		return err_set(err, ERR_FAILED, "user %s of the container has no number in its /etc/passwd",
		               user);
	if (group)
		text_int(group, gid); /* a name: the user's own group will do */
	return 0;
}
