/* One run of the compose tool: its lines go to the job as they come, its last ones into the error, and it ends with all
 * its children when the job is cancelled. */
#include "compose/docker.h"
#include "compose/podman_compose.h"
#include "compose/provider.h"
#include "compose/provider_private.h"
#include "core/clock.h"
#include "core/file.h"
#include "core/log.h"
#include "core/mem.h"
#include "core/proc.h"
#include "core/str.h"
#include "core/text.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define TIMEOUT_MS 600000
#define KILL_GRACE_MS 5000
#define LINGER_MS 1000 /* for output of what the tool left running */
#define OUTPUT_MAX (1u << 20)
#define LINE_MAX_BYTES 1000
#define LAST_LINES 10
#define LAST_BYTES 1500
#define ARGS_MAX 64

const char *const provider_environment[] = {
        "COMPOSE_FILE",           "COMPOSE_PROJECT_NAME",
        "COMPOSE_PROFILES",       "COMPOSE_PATH_SEPARATOR",
        "COMPOSE_ENV_FILES",      "COMPOSE_DISABLE_ENV_FILE",
        "COMPOSE_COMPATIBILITY",  "COMPOSE_CONVERT_WINDOWS_PATHS",
        "COMPOSE_REMOVE_ORPHANS", "COMPOSE_IGNORE_ORPHANS",
        "COMPOSE_DRY_RUN",        "COMPOSE_ANSI=never",
        "COMPOSE_PROGRESS=plain", "COMPOSE_MENU=false",
        "DOCKER_CLI_HINTS=false", NULL,
};

struct run {
	struct job *job;
	pid_t pid;
	int pidfd, out, errs;
	int theirs[2];
	int64_t until;      /* monotonic: when the next worse thing is done to it */
	bool asked, killed; /* it got TERM, KILL */
	struct str text;
	struct str line;
	char *last[LAST_LINES]; /* a ring, oldest at `next` when it is full */
	size_t next;
	bool traced; /* inside a traceback of Python */
};

static void shut(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

static void run_free(struct run *r)
{
	int *fds[] = {&r->pidfd, &r->out, &r->errs, &r->theirs[0], &r->theirs[1]};
	for (size_t i = 0; i < ARRAY_LEN(fds); i++)
		shut(fds[i]);
	for (size_t i = 0; i < LAST_LINES; i++)
		free(r->last[i]);
	str_free(&r->text);
	str_free(&r->line);
}

/* -- what it says -- */

/* Take escape sequences out: ESC [ … letter, and ESC with one character. */
static void strip_escapes(char *s)
{
	char *to = s;
	while (*s) {
		if (*s != '\033') {
			*to++ = *s++;
			continue;
		}
		s++;
		if (*s == '[')
			for (s++; *s && (*s < '@' || *s > '~');)
				s++;
		if (*s)
			s++;
	}
	*to = '\0';
}

/* docker-compose 1.29 meets an engine that went away with fifty lines of its own innards; what it has to say is the last one. */
static bool is_traceback(struct run *r, const char *line)
{
	static const char *const between[] = {"During handling of the above exception",
	                                      "The above exception was the direct cause"};
	bool chained = !strncmp(line, between[0], strlen(between[0])) ||
	               !strncmp(line, between[1], strlen(between[1]));
	bool inside = r->traced && *line == ' ';
	if (chained) { /* then the exception before it was not the last one */
		r->next = (r->next + LAST_LINES - 1) % LAST_LINES;
		free(r->last[r->next]);
		r->last[r->next] = NULL;
	}
	r->traced = inside || strstr(line, "Traceback (most recent call last)");
	return r->traced || chained;
}

static void end_line(struct run *r)
{
	cleanup_free char *raw = str_take(&r->line);
	r->line = STR_INIT_MAX(LINE_MAX_BYTES);
	strip_escapes(raw);
	text_make_utf8(raw, strlen(raw));
	text_blank(raw, "");
	size_t len = strlen(raw);
	while (len && raw[len - 1] == ' ')
		raw[--len] = '\0';
	const char *from = raw + strspn(raw, " ");
	if (!*from || is_traceback(r, raw))
		return;
	/* redacted before anything is cut from it */
	char *line = log_redact(from);
	free(r->last[r->next]);
	r->last[r->next] = line;
	r->next = (r->next + 1) % LAST_LINES;
	if (r->job)
		job_log(r->job, "%s", line);
}

/* Old versions draw over their lines even without a terminal, so a carriage return ends one too. */
static void add_lines(struct run *r, const char *p, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (p[i] == '\n' || p[i] == '\r')
			end_line(r);
		else if (p[i])
			str_addc(&r->line, p[i]);
	}
}

/* Append the last lines, as many as there is room for. */
static void add_last(const struct run *r, struct str *out)
{
	size_t bytes = 0, n = 0;
	for (; n < LAST_LINES; n++) {
		const char *line = r->last[(r->next + LAST_LINES - 1 - n) % LAST_LINES];
		if (!line || (bytes += strlen(line) + 1) > LAST_BYTES)
			break;
	}
	for (size_t i = n; i > 0; i--)
		str_addf(out, "%s%s", i == n ? "" : "\n", r->last[(r->next + LAST_LINES - i) % LAST_LINES]);
}

/* Read once from ${*fd}, which is closed at its end. */
static void take(struct run *r, int *fd)
{
	char buf[16384];
	ssize_t n = read(*fd, buf, sizeof(buf));
	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return;
	if (n <= 0)
		shut(fd);
	else if (fd == &r->errs)
		add_lines(r, buf, (size_t)n);
	else
		str_addn(&r->text, buf, (size_t)n);
}

/* -- its life -- */

static void add_args(const char **argv, size_t *n, const char *const *args)
{
	for (; args && *args; args++)
		if (*n < ARGS_MAX - 1)
			argv[(*n)++] = *args;
}

/* 1.27 knows only the older spelling of --ansi never. */
static bool knows_ansi(const struct provider *p)
{
	int major = 0, minor = 0;
	return sscanf(p->version, "%d.%d", &major, &minor) != 2 || major > 1 || minor >= 28;
}

static int build_argv(const struct provider *p, const struct provider_call *call, const char *argv[ARGS_MAX],
                      struct err *err)
{
	static const char *const ansi[] = {"--ansi", "never", NULL}, *const no_ansi[] = {"--no-ansi", NULL};
	size_t n = 0;
	add_args(argv, &n, p->command);
	add_args(argv, &n, knows_ansi(p) ? ansi : no_ansi);
	/* podman-compose works where its first file is, and its variables are in the environment */
	bool plain = !strcmp(p->name, PROVIDER_PODMAN);
	const char *const options[][3] = {{"-p", call->project},
	                                  {"--env-file", plain ? NULL : call->env_file},
	                                  {"--project-directory", plain ? NULL : call->directory}};
	for (size_t i = 0; i < ARRAY_LEN(options); i++)
		if (options[i][1])
			add_args(argv, &n, options[i]);
	for (const char *const *f = call->files; f && *f; f++)
		add_args(argv, &n, (const char *const[]){"-f", *f, NULL});
	add_args(argv, &n, call->args);
	argv[n] = NULL;
	if (n == ARGS_MAX - 1)
		return err_set(err, ERR_LIMIT, "%s: too many arguments", p->name);
	return 0;
}

/* podman (4.3) goes no further when there is no config.json in DOCKER_CONFIG, which other programs may use for their plugins alone. */
static const char *unwanted(void)
{
	const char *dir = getenv("DOCKER_CONFIG");
	cleanup_free char *path = dir ? mem_printf("%s/config.json", dir) : NULL;
	return path && !path_exists(path) ? "DOCKER_CONFIG" : NULL;
}

static int start(struct run *r, const struct provider *p, const char *const *argv,
                 const struct provider_call *call, struct err *err)
{
	const char *env[ARGS_MAX] = {NULL}, *socket = docker_socket(&(struct err){0});
	/* version 1 follows the person's docker context unless it is told the address; docker.h knows none */
	cleanup_free char *host = socket ? mem_printf("DOCKER_HOST=unix://%s", socket) : NULL,
	                  *container_host = socket ? mem_printf("CONTAINER_HOST=unix://%s", socket) : NULL;
	size_t n = 0;
	add_args(env, &n, provider_environment);
	add_args(env, &n, (const char *const[]){host, container_host, NULL}); /* the latter is podman's */
	if (!strcmp(p->name, PROVIDER_PODMAN))
		add_args(env, &n, (const char *const[]){unwanted(), NULL});
	/* Podman builds by itself, and is no BuildKit, whose image the tools would want to pull */
	if (!strcmp(docker_name(), "Podman"))
		add_args(env, &n,
		         (const char *const[]){"DOCKER_BUILDKIT=0", "COMPOSE_DOCKER_CLI_BUILD=0", NULL});
	add_args(env, &n, call->env);
	int out[2], errs[2];
	if (pipe2(out, O_CLOEXEC))
		return err_sys(err, errno, "start %s: pipe", argv[0]);
	r->out = out[0];
	r->theirs[0] = out[1];
	if (pipe2(errs, O_CLOEXEC))
		return err_sys(err, errno, "start %s: pipe", argv[0]);
	r->errs = errs[0];
	r->theirs[1] = errs[1];
	struct proc_spec spec = PROC_SPEC_INIT;
	spec.argv = argv;
	spec.env = env;
	spec.keep_fd = call->keep_fd;
	spec.out = r->theirs[0];
	spec.errfd = r->theirs[1];
	if (proc_spawn(&spec, &r->pid, err))
		return -1;
	shut(&r->theirs[0]);
	shut(&r->theirs[1]);
	r->pidfd = (int)syscall(SYS_pidfd_open, r->pid, 0);
	return r->pidfd < 0 ? err_sys(err, errno, "watch %s", argv[0]) : 0;
}

/* The reason to end it is in an error by now, or is that its time is over: TERM first, then KILL. */
static void push(struct run *r)
{
	kill(-r->pid, r->asked ? SIGKILL : SIGTERM);
	r->killed = r->asked;
	r->asked = true;
	r->until = r->killed ? INT64_MAX : clock_mono_ms() + KILL_GRACE_MS;
}

/* Wait for something. After it was asked to end the job has no say any more. Returns -1 when the job wants the end. */
static int wait_any(struct run *r, struct pollfd *fds, nfds_t n, struct err *err)
{
	int64_t left = r->until - clock_mono_ms();
	if (left < 0)
		left = 0;
	if (left > 3600000)
		left = 3600000;
	if (r->job && !r->asked)
		return job_poll(r->job, fds, n, left, err) < 0 ? -1 : 0;
	int rc = poll(fds, n, (int)left);
	return rc < 0 && errno != EINTR ? err_sys(err, errno, "poll") : 0;
}

/* Follow it until it is gone and has said everything, or left its output to others. -1: it was ended, ${err} says why. */
static int follow(struct run *r, const char *what, int64_t timeout_ms, struct err *err)
{
	bool gone = false;
	int failed = 0;
	r->until = clock_mono_ms() + timeout_ms;
	while (!gone || r->out >= 0 || r->errs >= 0) {
		struct pollfd fds[] = {{.fd = gone ? -1 : r->pidfd, .events = POLLIN},
		                       {.fd = r->out, .events = POLLIN},
		                       {.fd = r->errs, .events = POLLIN}};
		if (wait_any(r, fds, 3, err)) {
			failed = -1;
			push(r);
			continue;
		}
		if (fds[1].revents)
			take(r, &r->out);
		if (fds[2].revents)
			take(r, &r->errs);
		if (r->text.overflow && !r->asked) {
			failed = err_set(err, ERR_LIMIT, "%s wrote more than %zu bytes", what, r->text.max);
			push(r);
		}
		if (fds[0].revents) {
			gone = true;
			r->until = clock_mono_ms() + LINGER_MS;
		}
		if (clock_mono_ms() < r->until)
			continue;
		if (gone)
			break;
		if (!r->asked)
			failed = err_set(err, ERR_TIMEOUT, "%s was not done after %lld s", what,
			                 (long long)(timeout_ms / 1000));
		push(r);
	}
	end_line(r);
	if (r->asked) /* who of the group ignored TERM; its number is ours as long as the tool is not reaped */
		kill(-r->pid, SIGKILL);
	return failed;
}

static int reap(struct run *r)
{
	int status = 0;
	pid_t pid;
	while ((pid = waitpid(r->pid, &status, 0)) < 0 && errno == EINTR)
		;
	return pid < 0 ? 255 : WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

int provider_run(const struct provider *p, const struct provider_call *call, char **out, struct err *err)
{
	__attribute__((cleanup(run_free))) struct run r = {.job = call->job, .theirs = {-1, -1}};
	r.pidfd = r.out = r.errs = -1;
	r.text = STR_INIT_MAX(call->max_output ? call->max_output : OUTPUT_MAX);
	r.line = STR_INIT_MAX(LINE_MAX_BYTES);
	const char *argv[ARGS_MAX] = {NULL};
	cleanup_free char *what =
	        mem_printf("%s %s", p->name, call->args && call->args[0] ? call->args[0] : "");
	if (build_argv(p, call, argv, err))
		return -1;
	int failed = start(&r, p, argv, call, err);
	if (failed && !r.pid)
		return -1;
	if (failed)
		kill(-r.pid, SIGKILL);
	else
		failed = follow(&r, what, call->timeout_ms ? call->timeout_ms : TIMEOUT_MS, err);
	int status = reap(&r);
	if (!status && !strcmp(p->name, PROVIDER_PODMAN))
		status = podman_compose_status(str_text(&r.text));
	cleanup_str struct str last = STR_INIT_MAX(LAST_BYTES + LAST_LINES);
	add_last(&r, &last);
	if (failed) {
		if (last.len && err->code == ERR_TIMEOUT)
			return err_set(err, ERR_TIMEOUT, "%s was not done in time; its last words: %s", what,
			               str_text(&last));
		return -1;
	}
	if (status)
		return err_set(err, ERR_FAILED, "%s: %s", what,
		               last.len ? str_text(&last) : "it failed without a word");
	if (out)
		*out = str_take(&r.text);
	return 0;
}
