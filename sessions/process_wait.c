/* Waiting for the services of a process session: the supervisor answers one question when all are ready or one failed. */
#include "core/clock.h"
#include "core/mem.h"
#include "jobs/supervisor.h"
#include "sessions/process.h"
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#define TELL_MS 1000 /* how often a slow start says what it waits for */
#define REPLY_MAX (256u << 10)

/* Names of services that are (not) ready, for people. Returns how many of them are not. */
static int unready(const char *dir, struct str *names, int *total)
{
	cleanup_json cJSON *reply = NULL;
	struct err ignored = {0};
	int n = 0;
	*total = 0;
	if (supervisor_ask(dir, "status", NULL, PROCESS_STATUS_MS, &reply, &ignored))
		return 0;
	const cJSON *s;
	cJSON_ArrayForEach(s, json_at(reply, "services"))
	{
		++*total;
		if (!json_bool(s, "ready", false))
			str_addf(names, "%s%s", n++ ? ", " : "", json_text(s, "name"));
	}
	return n;
}

/* A slow start: say what it waits for, with a share of 40–90 %. */
static void tell(struct job *job, const struct session_row *row)
{
	cleanup_str struct str names = STR_INIT_MAX(512);
	int total, left = unready(row->dir, &names, &total);
	if (left > 0)
		job_progress(job, "wait", 40 + 50 * (total - left) / total, "waiting for %s",
		             str_text(&names));
}

/* Read the supervisor's one line. Returns 1 when ${line} holds it, 0 for more to come, -1 at its end. */
static int read_reply(int fd, struct str *line)
{
	char buf[4096];
	ssize_t n = read(fd, buf, sizeof(buf));
	if (n < 0)
		return errno == EINTR || errno == EAGAIN ? 0 : -1;
	str_addn(line, buf, (size_t)n);
	if (n && !memchr(buf, '\n', (size_t)n))
		return line->overflow ? -1 : 0;
	return n ? 1 : -1;
}

/* What failed, with its last lines; ${reply} is the refusal of "wait". */
static int explain(const cJSON *reply, struct err *err)
{
	const char *service = json_text(reply, "service"), *why = json_text(reply, "error");
	cleanup_str struct str lines = STR_INIT_MAX(1200);
	const cJSON *line;
	cJSON_ArrayForEach(line, json_at(reply, "log")) if (cJSON_IsString(line))
	        str_addf(&lines, "\n  %s", line->valuestring);
	return err_set(err, ERR_FAILED, "service %s failed: %s%s", service ? service : "?",
	               why ? why : "no reason given", str_text(&lines));
}

static int timed_out(struct state *st, const struct session_row *row, struct err *err)
{
	cleanup_str struct str names = STR_INIT_MAX(512);
	int total;
	unready(row->dir, &names, &total);
	return err_set(err, ERR_TIMEOUT,
	               "not healthy after %lld s, still waiting for %s (SESSION_START_TIMEOUT)",
	               (long long)config_int(st->cfg, "SESSION_START_TIMEOUT"), str_text(&names));
}

static int await_reply(struct job *job, const struct session_row *row, int fd, struct str *line,
                       struct err *err)
{
	struct state *st = job_state(job);
	int64_t deadline = clock_mono_ms() + 1000 * config_int(st->cfg, "SESSION_START_TIMEOUT");
	for (;;) {
		int64_t left = deadline - clock_mono_ms();
		if (left <= 0)
			return timed_out(st, row, err);
		struct pollfd p = {.fd = fd, .events = POLLIN};
		int rc = job_poll(job, &p, 1, left < TELL_MS ? left : TELL_MS, err);
		if (rc < 0)
			return -1;
		if (rc == 0) {
			tell(job, row);
			continue;
		}
		rc = read_reply(fd, line);
		if (rc < 0)
			return err_set(err, ERR_FAILED, "its supervisor ended while services were starting");
		if (rc > 0)
			return 0;
	}
}

int process_wait(struct job *job, const struct session_row *row, struct err *err)
{
	cleanup_json cJSON *request = json_object();
	json_add_text(request, "op", "wait");
	cleanup_close int fd = supervisor_connect(row->dir, request, err);
	if (fd < 0)
		return -1;
	cleanup_str struct str line = STR_INIT_MAX(REPLY_MAX);
	if (await_reply(job, row, fd, &line, err))
		return -1;
	cleanup_json cJSON *reply = json_parse(line.p, line.len, err);
	if (!reply)
		return err_wrap(err, "its supervisor's answer");
	return json_bool(reply, "ok", false) ? 0 : explain(reply, err);
}

/* Its supervisor says when all are ready, which is all that can be waited for. One that failed it says at once: then, and where there
 * is no supervisor, ${fd} is looked at for a while only. */
int process_await(struct state *st, const struct session_row *row, int64_t since_ms, int fd,
                  int64_t timeout_ms, struct err *err)
{
	(void)st, (void)since_ms, (void)err;
	struct err ignored = {0};
	cleanup_json cJSON *request = json_object();
	json_add_text(request, "op", "wait");
	cleanup_close int told = supervisor_connect(row->dir, request, &ignored);
	struct pollfd p[] = {{.fd = fd, .events = POLLIN}, {.fd = told, .events = POLLIN}};
	char answer[4096];
	int wait = (int)(timeout_ms < INT_MAX ? timeout_ms : INT_MAX);
	if (poll(p, ARRAY_LEN(p), told < 0 && wait > TELL_MS ? TELL_MS : wait) <= 0 || !p[1].revents)
		return 0;
	ssize_t n = read(told, answer, sizeof(answer));
	if (n <= 0 || !memmem(answer, (size_t)n, "\"ok\":true", 9))
		poll(p, 1, wait > TELL_MS ? TELL_MS : wait);
	return 0;
}
