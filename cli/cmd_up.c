/* `codefoundry up` and `down`: the control plane under one supervisor, detached unless told otherwise. */
#include "cli/args.h"
#include "cli/cli.h"
#include "cli/plane.h"
#include "cli/term.h"
#include "core/file.h"
#include "core/init.h"
#include "core/log.h"
#include "core/mem.h"
#include "core/proc.h"
#include "core/str.h"
#include "sessions/session.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/wait.h>
#include <unistd.h>

#define START_TIMEOUT_MS 30000
#define STOP_TIMEOUT_MS 30000
#define ASK_MS 5000
#define LOST_MS 1000
#define LAST_LINES 3

/* The supervisor itself, until it is told to end. */
static int run_foreground(const struct config *cfg, const char *dir, bool echo, struct err *err)
{
	struct plane plane;
	cleanup_close int lock = -1;
	cleanup_free char *lock_path = mem_printf("%s/up.lock", dir);
	int taken = lock_take(lock_path, &lock, err);
	if (taken)
		return taken > 0 ? err_set(err, ERR_BUSY, "it runs already (%s)", dir) : -1;
	int rc = plane_make(&plane, cfg, dir, err);
	if (rc == 0 && (rc = dir_make(plane.dir, 0700, err)) == 0 &&
	    (rc = plane_check_ports(&plane, cfg, err)) == 0) {
		struct supervisor_options options = {.dir = plane.dir,
		                                     .echo = echo,
		                                     .env = (const char *const *)plane.env,
		                                     .lost_ms = LOST_MS,
		                                     .keep_orphans = true};
		rc = supervisor_run(plane.services, plane.n, &options, err);
	}
	plane_free(&plane);
	return rc;
}

/* Last line that the detached supervisor wrote before it ended. */
static void explain_death(const char *log_path, struct err *err)
{
	cleanup_free char *text = NULL;
	struct err ignored;
	if (file_read(log_path, 1 << 20, &text, NULL, &ignored) || !text[0])
		return;
	const char *start = strstr(text, "codefoundry: ");
	err_set(err, ERR_FAILED, "%s", start ? start + strlen("codefoundry: ") : text);
}

/* Start `up --foreground` in a session of its own and wait until its control socket listens, or it is gone. */
static int detach(const struct config *cfg, const char *dir, struct err *err)
{
	const char *argv[] = {proc_self(),      "up", "--foreground", config_file(cfg) ? "--env" : NULL,
	                      config_file(cfg), NULL};
	cleanup_free char *state_env = mem_printf("STATE_DIR=%s", dir),
	                  *log_path = mem_printf("%s/up.log", dir);
	const char *env[] = {state_env, NULL};
	int ready[2];
	cleanup_close int log = open(log_path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (log < 0)
		return err_sys(err, errno, "open %s", log_path);
	if (pipe2(ready, O_CLOEXEC))
		return err_sys(err, errno, "pipe");
	struct proc_spec spec = PROC_SPEC_INIT;
	spec.argv = argv;
	spec.env = env;
	spec.out = spec.errfd = log;
	spec.ready_fd = ready[1];
	spec.new_session = true;
	pid_t pid;
	int rc = proc_spawn(&spec, &pid, err);
	close(ready[1]);
	char c = 0;
	struct pollfd p = {.fd = ready[0], .events = POLLIN};
	if (rc == 0 && (poll(&p, 1, START_TIMEOUT_MS) <= 0 || read(ready[0], &c, 1) != 1)) {
		int status = 0;
		rc = err_set(err, ERR_FAILED, "the supervisor did not start (see %s)", log_path);
		if (waitpid(pid, &status, WNOHANG) == pid || p.revents) {
			waitpid(pid, &status, 0);
			explain_death(log_path, err);
			if (WIFEXITED(status) && WEXITSTATUS(status) == err_exit_code(ERR_CONFIG))
				err->code = ERR_CONFIG;
		}
	}
	close(ready[0]);
	return rc;
}

static void print_log(const cJSON *lines)
{
	const cJSON *line;
	cJSON_ArrayForEach(line, lines)
	{
		cleanup_free char *clean =
		        log_redact(cJSON_GetStringValue(line) ? cJSON_GetStringValue(line) : "");
		fprintf(stderr, "  %s\n", clean);
	}
}

/* A part that cannot do its work yet (Telegram is not reached, say) is left to its tries; a person is told which and why. */
static int explain_wait(const char *dir, struct err *err)
{
	cleanup_json cJSON *status = NULL;
	cleanup_str struct str names = STR_INIT;
	if (supervisor_ask(dir, "status", NULL, ASK_MS, &status, err))
		return -1;
	const cJSON *service;
	cJSON_ArrayForEach(service, json_at(status, "services"))
	{
		const char *name = json_text(service, "name"), *state = json_text(service, "state");
		if (!name || !state || !strcmp(state, "ready"))
			continue;
		cleanup_json cJSON *tail = supervisor_log_tail(dir, name, LAST_LINES);
		str_addf(&names, "%s%s", names.len ? ", " : "", name);
		print_log(tail);
	}
	return err_set(err, ERR_TIMEOUT,
	               "not healthy within %d s: %s. It goes on trying; what it said last stands above. "
	               "`codefoundry status` "
	               "shows it, `codefoundry down` ends it",
	               START_TIMEOUT_MS / 1000, str_text(&names));
}

/* Returns once all are healthy. What this call ${began} and what failed for good is ended again. */
static int wait_healthy(const char *dir, bool began, struct err *err)
{
	cleanup_json cJSON *reply = NULL;
	struct err ignored;
	if (supervisor_ask(dir, "wait", NULL, START_TIMEOUT_MS, &reply, err) == 0)
		return 0;
	if (err->code == ERR_TIMEOUT)
		return explain_wait(dir, err);
	print_log(json_at(reply, "log"));
	if (began)
		supervisor_ask(dir, "shutdown", NULL, STOP_TIMEOUT_MS, NULL, &ignored);
	return err_wrap(err, "not all parts got healthy");
}

/* Two at once: the second waits for the first, which ends within its own limits, and then finds everything running. */
static int wait_turn(const char *dir, int *turn, struct err *err)
{
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return err_sys(err, errno, "open %s", dir);
	if (flock(fd, LOCK_EX)) {
		close(fd);
		return err_sys(err, errno, "lock %s", dir);
	}
	*turn = fd;
	return 0;
}

int cli_up(const struct config *cfg, int argc, char **argv, struct err *err)
{
	bool foreground = false, echo = false;
	const struct arg table[] = {{"foreground", ARG_FLAG, &foreground}, {"echo", ARG_FLAG, &echo}, {0}};
	struct args a = {"codefoundry up [--foreground [--echo]]   (--echo: with what the parts log; as the "
	                 "command of a "
	                 "container it does both)",
	                 table};
	bool builtin;
	cleanup_state struct state *st = NULL;
	if (args_parse(&a, argc, argv, err) || plane_builtin_telegram(cfg, &builtin, err) ||
	    state_open(&st, cfg, err))
		return -1;
	if (foreground || init_is_main())
		return run_foreground(cfg, st->dir, echo || init_is_main(), err);
	cleanup_close int turn = -1;
	if (wait_turn(st->dir, &turn, err))
		return -1;
	cleanup_free char *dir = plane_dir(st->dir);
	cleanup_json cJSON *before = NULL;
	if (supervisor_ask(dir, "status", NULL, ASK_MS, &before, err) == 0) {
		printf("It runs already.\n");
	} else {
		if (err->code != ERR_NOT_FOUND)
			return err_wrap(err, "ask the supervisor of %s", dir);
		fprintf(stderr, "starting…\n");
		if (detach(cfg, st->dir, err))
			return -1;
	}
	err_clear(err);
	if (wait_healthy(dir, !before, err))
		return -1;
	return cli_status(cfg, 1, (char *[]){"status", NULL}, err);
}

static void tell_sessions(struct state *st)
{
	struct err ignored;
	cleanup_json cJSON *sessions = sessions_list(st, true, &ignored);
	const cJSON *one;
	int n = 0, warm = 0;
	cJSON_ArrayForEach(one, sessions)
	{
		warm += json_bool(one, "warm", false);
		n += !json_bool(one, "warm", false) && strcmp(json_text_or(one, "state", ""), "failed") != 0;
	}
	if (n)
		printf("%d session%s still live%s: `codefoundry session list` shows, `codefoundry session "
		       "stop NAME` ends them\n",
		       n, n == 1 ? "" : "s", n == 1 ? "s" : "");
	if (warm)
		printf("%d warm one%s still run%s (SESSION_POOL): the next `session start` takes one; "
		       "`SESSION_POOL=0 codefoundry session reap` removes them\n",
		       warm, warm == 1 ? "" : "s", warm == 1 ? "s" : "");
}

int cli_down(const struct config *cfg, int argc, char **argv, struct err *err)
{
	static const struct arg table[] = {{0}};
	struct args a = {"codefoundry down   (sessions live on)", table};
	cleanup_state struct state *st = NULL;
	if (args_parse(&a, argc, argv, err) || state_open(&st, cfg, err))
		return -1;
	cleanup_free char *dir = plane_dir(st->dir);
	if (supervisor_ask(dir, "shutdown", NULL, STOP_TIMEOUT_MS, NULL, err) == 0) {
		printf("stopped\n");
	} else if (err->code == ERR_NOT_FOUND) {
		err_clear(err);
		printf("nothing runs\n");
	} else {
		return -1;
	}
	tell_sessions(st);
	return 0;
}
