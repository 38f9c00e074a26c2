#include "testsuite/errand.h"
#include "core/mem.h"
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

/* Before the answer's bytes: a file's text, or why there is none. */
struct answer {
	enum err_code code; /* ERR_NONE: done */
	uint64_t len;
};

static int send_all(int fd, const void *data, size_t len)
{
	const char *p = data;
	while (len) {
		ssize_t n = send(fd, p, len, MSG_NOSIGNAL);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -1;
		p += n;
		len -= (size_t)n;
	}
	return 0;
}

static int receive_all(int fd, void *data, size_t len)
{
	char *p = data;
	while (len) {
		ssize_t n = recv(fd, p, len, 0);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return -1;
		p += n;
		len -= (size_t)n;
	}
	return 0;
}

int errand_line(int fd, const cJSON *line)
{
	cleanup_free char *text = json_print(line), *whole = mem_printf("%s\n", text);
	return send_all(fd, whole, strlen(whole));
}

/* -- the side that asks -- */

static int ask(int fd, const cJSON *question, char **text, struct err *err)
{
	struct answer answer;
	if (errand_line(fd, question) || receive_all(fd, &answer, sizeof(answer)))
		return err_set(err, ERR_IO, "the runner went away");
	cleanup_free char *bytes = mem_alloc(answer.len + 1);
	if (receive_all(fd, bytes, answer.len))
		return err_set(err, ERR_IO, "the runner went away");
	bytes[answer.len] = '\0';
	if (answer.code != ERR_NONE)
		return err_set(err, answer.code, "%s", bytes);
	if (text)
		*text = TAKE(bytes);
	return 0;
}

static int ask_service(void *arg, const char *service, const char *op, struct err *err)
{
	cleanup_json cJSON *question = json_object();
	json_add_text(question, "op", op);
	json_add_text(question, "service", service);
	return ask(*(int *)arg, question, NULL, err);
}

static int ask_read(void *arg, const char *path, size_t max, char **text, struct err *err)
{
	cleanup_json cJSON *question = json_object();
	json_add_text(question, "read", path);
	json_add_int(question, "max", (int64_t)max);
	json_add_bool(question, "text", text != NULL);
	return ask(*(int *)arg, question, text, err);
}

void errand_through(struct target *t, int *fd)
{
	static const struct target_proxy proxy = {.service = ask_service, .read = ask_read};
	target_through(t, &proxy, fd);
}

/* -- the side that answers -- */

static int perform(struct target *t, const cJSON *question, char **text, struct err *err)
{
	const char *op = json_text(question, "op"), *service = json_text(question, "service");
	const char *path = json_text(question, "read");
	if (path)
		return target_read(t, path, (size_t)json_int(question, "max", 0),
		                   json_bool(question, "text", false) ? text : NULL, err);
	if (op && service)
		return target_service(t, service, op, err);
	return err_set(err, ERR_INVALID, "malformed request");
}

int errand_serve(struct target *t, int fd, const cJSON *question)
{
	struct err err = {0};
	cleanup_free char *text = NULL;
	int rc = perform(t, question, &text, &err);
	const char *bytes = rc ? err.msg : text ? text : "";
	struct answer answer = {.code = rc ? err.code : ERR_NONE, .len = strlen(bytes)};
	return send_all(fd, &answer, sizeof(answer)) || send_all(fd, bytes, answer.len) ? -1 : 0;
}
