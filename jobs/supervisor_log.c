/* A service's output, line by line: into log/<service>.log, which is rotated once, and with a prefix to our stderr. */
#include "core/file.h"
#include "core/mem.h"
#include "core/str.h"
#include "jobs/line.h"
#include "jobs/supervisor_private.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define LINE_MAX_BYTES 8192
#define CUT_MARK " … (cut)"
#define LOG_MAX_BYTES (8 << 20)
#define TAIL_MAX_BYTES (256 << 10)

struct service_log {
	char *path, *name;
	int fd; /* -1 while the disk refuses it */
	int64_t size, max;
	int width, color, lines;
	char line[LINE_MAX_BYTES];
	size_t len;
	bool cutting; /* the rest of a line that was too long */
};

static void open_file(struct service_log *log)
{
	struct stat st;
	log->fd = open(log->path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	log->size = log->fd >= 0 && fstat(log->fd, &st) == 0 ? st.st_size : 0;
}

int service_log_open(struct service_log **out, const char *dir, const char *service, int64_t max_bytes,
                     int width, int echo_color, struct err *err)
{
	cleanup_free char *logs = mem_printf("%s/log", dir);
	if (dir_make(logs, 0700, err))
		return -1;
	struct service_log *log = mem_alloc(sizeof(*log));
	log->path = mem_printf("%s/%s.log", logs, service);
	log->name = mem_strdup(service);
	log->max = max_bytes > 0 ? max_bytes : LOG_MAX_BYTES;
	log->width = width;
	log->color = echo_color;
	open_file(log);
	if (log->fd < 0) {
		err_sys(err, errno, "open log %s", log->path);
		service_log_close(log);
		return -1;
	}
	*out = log;
	return 0;
}

void service_log_close(struct service_log *log)
{
	if (!log)
		return;
	if (log->fd >= 0)
		close(log->fd);
	free(log->path);
	free(log->name);
	free(log);
}

/* A full disk loses lines, it does not stop the service. */
static void write_file(struct service_log *log, const char *text, size_t n)
{
	if (log->size > 0 && log->size + (int64_t)n > log->max) {
		cleanup_free char *old = mem_printf("%s.1", log->path);
		rename(log->path, old);
		if (log->fd >= 0)
			close(TAKE_FD(log->fd));
	}
	if (log->fd < 0)
		open_file(log);
	ssize_t written = log->fd >= 0 ? write(log->fd, text, n) : 0;
	log->size += written > 0 ? written : 0;
}

static void echo(struct service_log *log, const char *text, size_t n)
{
	static const int colors[] = {36, 33, 32, 35, 34, 31};
	cleanup_str struct str out = STR_INIT;
	if (log->color >= 0)
		str_addf(&out, "\x1b[%dm%-*s |\x1b[0m ", colors[log->color % (int)ARRAY_LEN(colors)],
		         log->width, log->name);
	else
		str_addf(&out, "%-*s | ", log->width, log->name);
	str_addn(&out, text, n);
	if (write(STDERR_FILENO, out.p, out.len) < 0)
		return; /* nobody listens; the file has it */
}

static void end_line(struct service_log *log, const char *mark)
{
	cleanup_str struct str line = STR_INIT;
	str_addn(&line, log->line, log->len);
	str_add(&line, mark);
	str_addc(&line, '\n');
	log->len = 0;
	log->lines++;
	write_file(log, line.p, line.len);
	if (log->width)
		echo(log, line.p, line.len);
}

void service_log_feed(struct service_log *log, const char *data, size_t n)
{
	while (n) {
		const char *newline = memchr(data, '\n', n);
		size_t part = newline ? (size_t)(newline - data) : n;
		size_t room = sizeof(log->line) - log->len, kept = part < room ? part : room;
		if (!log->cutting) {
			memcpy(log->line + log->len, data, kept);
			log->len += kept;
			if (kept < part) {
				end_line(log, CUT_MARK);
				log->cutting = true;
			}
		}
		if (newline && !log->cutting)
			end_line(log, "");
		if (newline)
			log->cutting = false;
		part += newline != NULL;
		data += part;
		n -= part;
	}
}

void service_log_flush(struct service_log *log)
{
	if (log->len)
		end_line(log, "");
	log->cutting = false;
}

void service_log_begin(struct service_log *log)
{
	log->lines = 0;
}

int service_log_lines(const struct service_log *log)
{
	return log->lines;
}

/* Put up to ${n} last lines of ${path} before those in ${list}. */
static void prepend_tail(cJSON *list, const char *path, int n)
{
	cleanup_close int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	struct stat st;
	if (fd < 0 || fstat(fd, &st))
		return;
	off_t from = st.st_size > TAIL_MAX_BYTES ? st.st_size - TAIL_MAX_BYTES : 0;
	cleanup_free char *buf = mem_alloc(TAIL_MAX_BYTES);
	ssize_t got = pread(fd, buf, TAIL_MAX_BYTES, from);
	size_t end = got > 0 ? (size_t)got : 0;
	while (end > 0 && cJSON_GetArraySize(list) < n) {
		end -= buf[end - 1] == '\n';
		char *newline = end ? memrchr(buf, '\n', end) : NULL;
		size_t start = newline ? (size_t)(newline - buf) + 1 : 0;
		if (!newline && from > 0)
			break; /* its beginning is not here */
		cleanup_free char *line = line_clean(buf + start, end - start, LINE_MAX_BYTES);
		cJSON_InsertItemInArray(list, 0, cJSON_CreateString(line));
		end = start;
	}
}

static bool is_service_name(const char *name)
{
	return *name && *name != '.' && strlen(name) < 128 &&
	       name[strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-")] ==
	               '\0';
}

cJSON *supervisor_log_tail(const char *dir, const char *service, int n)
{
	cJSON *list = json_array();
	if (!is_service_name(service)) /* it may come from a chat */
		return list;
	cleanup_free char *path = mem_printf("%s/log/%s.log", dir, service), *old = mem_printf("%s.1", path);
	prepend_tail(list, path, n);
	prepend_tail(list, old, n);
	return list;
}
