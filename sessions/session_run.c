/* A command in a service as a job, for who has no terminal here: what it writes is told line by line and kept up to a bound. It is run
 * by `codefoundry session exec`, a process of its own, so that its end is one signal away. */
#include "core/clock.h"
#include "core/mem.h"
#include "core/proc.h"
#include "core/str.h"
#include "jobs/line.h"
#include "sessions/operation.h"
#include "sessions/session.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

#define TIMEOUT_MS 60000
#define END_MS 6000 /* between TERM and KILL; it needs four itself to be sure */
#define WORDS_MAX 64
#define BYTES_MAX 4096
#define OUTPUT_MAX 16384
#define LINES_MAX 200 /* told while it runs */

struct running {
	struct job *job;
	pid_t pid;
	int out, pidfd;
	struct str output, line;
	int lines;
	bool cut;
};

static int check_words(const cJSON *argv, struct err *err)
{
	size_t bytes = 0;
	const cJSON *word;
	int n = cJSON_GetArraySize(argv);
	cJSON_ArrayForEach(word, argv)
	{
		if (!cJSON_IsString(word))
			return err_set(err, ERR_INVALID, "argv is a list of texts");
		bytes += strlen(word->valuestring) + 1;
	}
	if (n < 1 || n > WORDS_MAX || bytes > BYTES_MAX || !*argv->child->valuestring)
		return err_set(err, ERR_INVALID, "a command has 1 to %d words of together at most %d bytes",
		               WORDS_MAX, BYTES_MAX);
	return 0;
}

/* Where services are processes, a command of theirs is one of this machine. */
static int check_policy(struct state *st, const struct session_row *row, struct err *err)
{
	const char *where = config_text(st->cfg, "SESSION_CHAT_EXEC");
	if (!strcmp(where, "all") ||
	    (!strcmp(where, "containers") && strcmp(row->engine, engine_process.name) != 0))
		return 0;
	return err_set(
	        err, ERR_DENIED,
	        "no command is run in session %s from a chat (SESSION_CHAT_EXEC=%s)%s: in a terminal of "
	        "this machine `codefoundry session exec %s -- COMMAND` does it",
	        row->name, where,
	        strcmp(where, "none") ? ", because its services are processes of this machine itself" : "",
	        row->name);
}

static int spawn(struct running *r, const struct session_row *row, const char *service, const cJSON *words,
                 struct err *err)
{
	struct state *st = job_state(r->job);
	const char *argv[WORDS_MAX + 9] = {proc_self(), "session", "exec", row->name, service},
	                             *file = config_file(st->cfg);
	size_t n = 5;
	int ends[2];
	const cJSON *word;
	if (file) {
		argv[n++] = "--env";
		argv[n++] = file;
	}
	argv[n++] = "--";
	cJSON_ArrayForEach(word, words) argv[n++] = word->valuestring;
	cleanup_free char *dir = mem_printf("STATE_DIR=%s", st->dir);
	const char *env[] = {dir, NULL};
	if (pipe2(ends, O_CLOEXEC))
		return err_sys(err, errno, "pipe");
	r->out = ends[0];
	fcntl(r->out, F_SETFL, O_NONBLOCK);
	struct proc_spec spec = PROC_SPEC_INIT;
	spec.argv = argv;
	spec.env = env;
	spec.out = spec.errfd = ends[1];
	int rc = proc_spawn(&spec, &r->pid, err);
	close(ends[1]);
	if (rc)
		return -1;
	r->pidfd = pidfd_open(r->pid, 0);
	return r->pidfd < 0 ? err_sys(err, errno, "watch process %d", (int)r->pid) : 0;
}

static void tell_line(struct running *r)
{
	if (r->line.len && ++r->lines <= LINES_MAX)
		job_log(r->job, "%s", str_text(&r->line));
	str_cut(&r->line, 0);
}

/* Everything is read, so that it can end; what is beyond the bound is dropped. */
static void take(struct running *r, const char *text, size_t n)
{
	size_t room = OUTPUT_MAX - r->output.len, kept = n < room ? n : room;
	str_addn(&r->output, text, kept);
	r->cut |= kept < n;
	for (size_t i = 0; i < n; i++) {
		if (text[i] == '\n')
			tell_line(r);
		else if (r->line.len < 1000)
			str_addc(&r->line, text[i]);
	}
}

static void drain(struct running *r)
{
	char buf[4096];
	ssize_t n;
	while ((n = read(r->out, buf, sizeof(buf))) > 0)
		take(r, buf, (size_t)n);
	if (n == 0)
		close(TAKE_FD(r->out));
}

/* TERM, then KILL, to it and what it started here; within the time it ends the program in its container. The signal that cancelled us may come
 * again meanwhile. */
static void end(struct running *r)
{
	struct pollfd p = {.fd = r->pidfd, .events = POLLIN};
	int64_t until = clock_mono_ms() + END_MS, left;
	kill(-r->pid, SIGTERM);
	while (r->pidfd >= 0 && (left = until - clock_mono_ms()) > 0)
		if (poll(&p, 1, (int)left) > 0)
			return;
	kill(-r->pid, SIGKILL);
}

/* Until it ended; what it left running may go on to hold its output open. */
static int follow(struct running *r, struct err *err)
{
	for (;;) {
		struct pollfd fds[] = {{.fd = r->pidfd, .events = POLLIN}, {.fd = r->out, .events = POLLIN}};
		if (job_poll(r->job, fds, 2, -1, err) < 0)
			return -1;
		if (r->out >= 0 && (fds[1].revents || fds[0].revents))
			drain(r);
		if (fds[0].revents)
			return 0;
	}
}

/* Returns 0 and its exit code, or -1 when it was not run to its end. */
static int run_it(struct running *r, const struct session_row *row, const char *service, const cJSON *words,
                  int *code, struct err *err)
{
	int status = 0, rc = spawn(r, row, service, words, err) || follow(r, err) ? -1 : 0;
	if (r->pid > 0) {
		if (rc)
			end(r);
		waitpid(r->pid, &status, 0);
	}
	tell_line(r);
	if (r->out >= 0)
		close(r->out);
	if (r->pidfd >= 0)
		close(r->pidfd);
	*code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
	return rc;
}

static cJSON *result_of(const struct running *r, const struct session_row *row, const char *service, int code,
                        int64_t took_ms)
{
	cJSON *result = json_object();
	cleanup_free char *clean = line_clean(str_text(&r->output), r->output.len, OUTPUT_MAX);
	json_add_text(result, "name", row->name);
	json_add_text(result, "service", service);
	json_add_int(result, "exit_code", code);
	json_add_text(result, "output", clean);
	json_add_bool(result, "cut", r->cut);
	json_add_int(result, "took_ms", took_ms);
	return result;
}

static int exec_run(struct job *job, struct err *err)
{
	struct state *st = job_state(job);
	const cJSON *args = job_args(job), *words = json_at(args, "argv");
	const char *name = json_text(args, "name"), *service = json_text(args, "service");
	cleanup_row struct session_row row = {0};
	struct running r = {.job = job, .out = -1, .pidfd = -1, .output = STR_INIT, .line = STR_INIT};
	int code = 0;
	if (session_name_check(name, err) || check_words(words, err) || operation_find(st, name, &row, err) ||
	    operation_running(&row, err) || check_policy(st, &row, err))
		return -1;
	if (!service)
		service = operation_usual_service(&row);
	if (operation_has_service(&row, service, err))
		return -1;
	int64_t began = clock_mono_ms();
	job_progress(job, "exec", 10, "session %s: running it in %s", name, service);
	int rc = run_it(&r, &row, service, words, &code, err);
	if (rc == 0) {
		job_result(job, result_of(&r, &row, service, code, clock_mono_ms() - began));
		job_progress(job, "done", 100, "exit code %d", code);
	}
	str_free(&r.output);
	str_free(&r.line);
	return rc;
}

const struct job_kind session_exec_kind = {
        .name = "session.exec", .run = exec_run, .max_attempts = 1, .timeout_ms = TIMEOUT_MS};
