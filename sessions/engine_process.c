/* Sessions as plain processes: one detached supervisor each (jobs/supervisor), which runs our stack. Found again by the
 * marker in their environment, killed at once by the control group where there is one. */
#include "core/clock.h"
#include "core/file.h"
#include "core/mem.h"
#include "core/proc.h"
#include "jobs/supervisor.h"
#include "sessions/cgroup.h"
#include "sessions/engine.h"
#include "sessions/marker.h"
#include "sessions/plan.h"
#include "sessions/supervise.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LAUNCH_MS 10000   /* until the supervisor listens */
#define SHUTDOWN_MS 15000 /* its own TERM to KILL is 5 s */
#define STATUS_MS 500
#define SERVICE_MS 30000
#define GRACE_MS 2000
#define TELL_MS 1000 /* how often a slow start says what it waits for */
#define REPLY_MAX (256u << 10)

static int spawn(struct state *st, const struct session_row *row, const char *marker, int log, int ready,
                 struct err *err)
{
	cleanup_free char *env_file = mem_printf("%s/env", row->dir);
	cleanup_free char *state = mem_printf("STATE_DIR=%s", st->dir);
	cleanup_free char *path = mem_printf(MARKER_KEY "=%s", marker);
	cleanup_free char *install = mem_printf("CODEFOUNDRY_INSTALL=%s", st->install);
	cleanup_free char *uuid = mem_printf("CODEFOUNDRY_SESSION=%s", row->uuid);
	cleanup_free char *name = mem_printf("CODEFOUNDRY_SESSION_NAME=%s", row->name);
	const char *argv[] = {proc_self(), "session", "supervise", row->name, "--env", env_file, NULL};
	const char *env[] = {state, path, install, uuid, name, NULL};
	struct proc_spec spec = PROC_SPEC_INIT;
	spec.argv = argv;
	spec.env = env;
	spec.clear_env = true;
	spec.cwd = row->dir;
	spec.out = spec.errfd = log;
	spec.ready_fd = ready;
	spec.new_session = true;
	pid_t pid;
	return proc_spawn(&spec, &pid, err);
}

/* Wait for the supervisor's newline; end of file means that it ended. */
static int await_ready(const struct session_row *row, int fd, struct err *err)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};
	char c;
	int rc = poll(&p, 1, LAUNCH_MS);
	if (rc > 0 && read(fd, &c, 1) == 1)
		return 0;
	cleanup_free char *path = mem_printf("%s/supervisor.log", row->dir), *text = NULL;
	struct err ignored;
	if (file_read(path, REPLY_MAX, &text, NULL, &ignored))
		text = mem_strdup("");
	size_t len = strlen(text);
	return err_set(err, rc == 0 ? ERR_TIMEOUT : ERR_FAILED, "its supervisor %s: %s",
	               rc == 0 ? "does not answer" : "ended at once", text + (len > 1000 ? len - 1000 : 0));
}

static int process_launch(struct state *st, const struct session_row *row, struct err *err)
{
	cleanup_json cJSON *plan = plan_read(row->dir, err);
	if (!plan)
		return -1;
	cleanup_free char *log_path = mem_printf("%s/supervisor.log", row->dir);
	cleanup_close int log = open(log_path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (log < 0)
		return err_sys(err, errno, "open %s", log_path);
	int ends[2];
	if (pipe2(ends, O_CLOEXEC))
		return err_sys(err, errno, "pipe");
	cleanup_close int in = ends[0];
	cleanup_close int out = ends[1];
	if (spawn(st, row, json_text(plan, "marker"), log, out, err))
		return -1;
	close(TAKE_FD(out));
	return await_ready(row, in, err);
}

/* Names of services that are (not) ready, for people. Returns how many of them are not. */
static int unready(const char *dir, struct str *names, int *total)
{
	cleanup_json cJSON *reply = NULL;
	struct err ignored = {0};
	int n = 0;
	*total = 0;
	if (supervisor_ask(dir, "status", NULL, STATUS_MS, &reply, &ignored))
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

static int process_wait(struct job *job, const struct session_row *row, struct err *err)
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

static int process_stop(struct state *st, const struct session_row *row, struct err *err)
{
	cleanup_free char *cgroup = cgroup_path(st->install, row->uuid);
	struct err ignored = {0};
	if (row->dir)
		supervisor_ask(row->dir, "shutdown", NULL, SHUTDOWN_MS, NULL, &ignored);
	if (marker_kill(st->install, row->uuid, GRACE_MS, err))
		return -1;
	return cgroup_remove(cgroup, err);
}

static int process_count(struct state *st, const struct session_row *row, struct err *err)
{
	cleanup_free char *cgroup = cgroup_path(st->install, row->uuid);
	cleanup_free struct marker_proc *list = NULL;
	int marked = marker_find(st->install, row->uuid, &list, err), grouped = cgroup_count(cgroup);
	return marked > grouped || marked < 0 ? marked : grouped;
}

static bool process_alive(struct state *st, const struct session_row *row)
{
	(void)st;
	return supervise_running(row->dir);
}

static cJSON *process_services(struct state *st, const struct session_row *row)
{
	(void)st;
	cleanup_json cJSON *reply = NULL;
	struct err ignored = {0};
	cJSON *list = json_array();
	bool live = row->state == SESSION_RUNNING || row->state == SESSION_STARTING ||
	            row->state == SESSION_STOPPING;
	const cJSON *s;
	if (live && supervisor_ask(row->dir, "status", NULL, STATUS_MS, &reply, &ignored) == 0) {
		cJSON_ArrayForEach(s, json_at(reply, "services"))
		{
			cJSON *one = json_object();
			json_add_text(one, "name", json_text(s, "name"));
			json_add_text(one, "state", json_text(s, "state"));
			json_add_int(one, "pid", json_int(s, "pid", 0));
			json_add_int(one, "restarts", json_int(s, "restarts", 0));
			cJSON_AddItemToArray(list, one);
		}
		return list;
	}
	cJSON_ArrayForEach(s, json_at(row->spec, "services"))
	{
		cJSON *one = json_object();
		json_add_text(one, "name", cJSON_GetStringValue(s));
		json_add_text(one, "state",
		              row->state == SESSION_RUNNING ? "gone" : lifecycle_state_name(row->state));
		json_add_int(one, "pid", 0);
		json_add_int(one, "restarts", 0);
		cJSON_AddItemToArray(list, one);
	}
	return list;
}

static int process_service(struct state *st, const struct session_row *row, const char *service,
                           const char *op, struct err *err)
{
	(void)st;
	return supervisor_ask(row->dir, op, service, SERVICE_MS, NULL, err);
}

static cJSON *process_logs(struct state *st, const struct session_row *row, const char *service, int n)
{
	(void)st;
	return supervisor_log_tail(row->dir, service, n);
}

static cJSON *process_found(struct state *st, struct err *err)
{
	cleanup_free struct marker_proc *list = NULL;
	int n = marker_find(st->install, NULL, &list, err);
	if (n < 0)
		return NULL;
	cJSON *all = json_array(), *names = json_array();
	const cJSON *one;
	for (int i = 0; i < n; i++)
		cJSON_AddItemToArray(all, cJSON_CreateString(list[i].session));
	cgroup_find(st->install, all);
	cJSON_ArrayForEach(one, all)
	{
		if (!json_has_text(names, one->valuestring))
			cJSON_AddItemToArray(names, cJSON_CreateString(one->valuestring));
	}
	cJSON_Delete(all);
	return names;
}

const struct engine engine_process = {
        .name = "process",
        .prepare = plan_write,
        .launch = process_launch,
        .wait = process_wait,
        .stop = process_stop,
        .count = process_count,
        .alive = process_alive,
        .services = process_services,
        .service = process_service,
        .logs = process_logs,
        .found = process_found,
};
