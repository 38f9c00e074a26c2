/* Sessions as plain processes: one detached supervisor each (jobs/supervisor), which runs our stack. Found again by the
 * marker in their environment, killed at once by the control group where there is one. */
#include "compose/stack.h"
#include "core/file.h"
#include "core/mem.h"
#include "core/proc.h"
#include "core/text.h"
#include "jobs/supervisor.h"
#include "sessions/cgroup.h"
#include "sessions/marker.h"
#include "sessions/plan.h"
#include "sessions/process.h"
#include "sessions/process_usage.h"
#include "sessions/supervise.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define LAUNCH_MS 10000   /* until the supervisor listens */
#define SHUTDOWN_MS 15000 /* its own TERM to KILL is 5 s */
#define SERVICE_MS 30000
#define GRACE_MS 2000
#define REPLY_MAX (256u << 10)

/* The services asked for, or all; NULL with ${err}. */
static cJSON *choose_services(const cJSON *wanted, struct err *err)
{
	cJSON *chosen = json_array();
	const cJSON *one;
	for (const struct stack_service *s = stack_services; s->name; s++) {
		if (!cJSON_GetArraySize(wanted) || json_has_text(wanted, s->name))
			cJSON_AddItemToArray(chosen, cJSON_CreateString(s->name));
	}
	cJSON_ArrayForEach(one, wanted)
	{
		bool known = false;
		for (const struct stack_service *s = stack_services; s->name; s++)
			known |= cJSON_IsString(one) && !strcmp(one->valuestring, s->name);
		if (known)
			continue;
		err_set(err, ERR_INVALID,
		        "no service %.40s: there are telegram, gateway, telegram-bot, test-runner",
		        cJSON_IsString(one) ? one->valuestring : "of that kind");
		cJSON_Delete(chosen);
		return NULL;
	}
	return chosen;
}

static int process_plan(struct job *job, struct session_row *row, struct lease_wants *wants, struct err *err)
{
	const cJSON *args = job_args(job);
	if (json_at(args, "compose") || json_at(args, "env_file"))
		return err_set(
		        err, ERR_INVALID,
		        "a compose file needs containers, and this session would be made of plain "
		        "processes: set ENGINE=compose (codefoundry doctor says whether Docker is usable)");
	cJSON *services = choose_services(json_at(args, "services"), err);
	if (!services)
		return -1;
	json_add(row->spec, "services", services);
	wants->ports = lease_want_stack();
	wants->nested = (int)config_int(job_state(job)->cfg, "SESSION_NESTED_PORTS");
	return 0;
}

static int process_prepare(struct job *job, const struct session_row *row, struct err *err)
{
	return plan_write(job_state(job), row, err);
}

static int process_resumable(const struct session_row *row, struct err *err)
{
	cleanup_json cJSON *plan = plan_read_marked(row->dir, err);
	return plan ? 0 : -1;
}

static int spawn(struct state *st, const struct session_row *row, const char *marker, int log, int ready,
                 struct err *err)
{
	cleanup_free char *env_file = mem_printf("%s/env", row->dir);
	cleanup_free char *state = mem_printf("STATE_DIR=%s", st->dir);
	cleanup_free char *path = mem_printf(MARKER_KEY "=%s", marker);
	cleanup_free char *install = mem_printf("CODEFOUNDRY_INSTALL=%s", st->install);
	cleanup_free char *uuid = mem_printf("CODEFOUNDRY_SESSION=%s", row->uuid);
	cleanup_free char *name = mem_printf("CODEFOUNDRY_SESSION_NAME=%s", row->name);
	const char *argv[] = {proc_self(), "session", "supervise", store_directory(row),
	                      "--env",     env_file,  NULL};
	const char *env[] = {state, path, install, uuid, name, NULL};
	struct proc_spec spec = PROC_SPEC_INIT;
	spec.argv = argv;
	spec.env = env;
	spec.clear_env = true;
	spec.cwd = row->dir;
	spec.out = spec.errfd = log;
	spec.ready_fd = ready;
	spec.new_session = true;
	/* while it lives, no other installation takes the ports: those for sessions inside are bound by nobody most of the time */
	int held[LEASE_PORTS_MAX];
	spec.held = held;
	spec.n_held = lease_claims(held);
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

static int process_launch(struct job *job, const struct session_row *row, struct err *err)
{
	struct state *st = job_state(job);
	cleanup_json cJSON *plan = plan_read_marked(row->dir, err);
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

static int process_stop(struct state *st, const struct session_row *row, bool keep, struct err *err)
{
	(void)keep; /* a process leaves nothing behind that could be kept */
	cleanup_free char *cgroup = cgroup_path(st->install, row->uuid);
	struct err ignored = {0};
	if (row->dir)
		supervisor_ask(row->dir, "shutdown", NULL, SHUTDOWN_MS, NULL, &ignored);
	if (marker_kill(st->install, row->uuid, GRACE_MS, err))
		return -1;
	return cgroup_remove(cgroup, err);
}

static int process_left(struct state *st, const struct session_row *row, cJSON *left, struct err *err)
{
	cleanup_free char *cgroup = cgroup_path(st->install, row->uuid);
	cleanup_free struct marker_proc *list = NULL;
	int marked = marker_find(st->install, row->uuid, &list, err), grouped = cgroup_count(cgroup);
	int n = marked > grouped || marked < 0 ? marked : grouped;
	if (n >= 0)
		json_add_int(left, "processes", n);
	return n;
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
	if (live && supervisor_ask(row->dir, "status", NULL, PROCESS_STATUS_MS, &reply, &ignored) == 0) {
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

/* What the kernel holds all services together to; 0: it does not. */
static int64_t memory_limit(struct state *st, const struct session_row *row)
{
	char text[32];
	int64_t bytes = 0;
	cleanup_free char *cgroup = cgroup_path(st->install, row->uuid);
	cleanup_free char *path = cgroup ? mem_printf("%s/memory.max", cgroup) : NULL;
	if (!path || file_peek(path, text, sizeof(text)) <= 0)
		return 0;
	text[strcspn(text, "\n")] = '\0';
	return text_int(text, &bytes) ? 0 : bytes; /* "max": none */
}

static cJSON *process_stats(struct state *st, const struct session_row *row)
{
	cJSON *list = process_services(st, row), *one;
	int64_t limit = memory_limit(st, row);
	process_usage(list);
	cJSON_ArrayForEach(one, list)
	{
		json_add_int(one, "memory_limit_bytes", limit);
		cJSON_DeleteItemFromObject(one, "state");
		cJSON_DeleteItemFromObject(one, "pid");
		cJSON_DeleteItemFromObject(one, "restarts");
	}
	return list;
}

/* Of its own: pages of the program and its libraries are shared by all, and can be dropped. 0 when it is gone. */
static int64_t private_bytes(pid_t pid)
{
	char path[32], text[128];
	long long resident = 0, shared = 0;
	snprintf(path, sizeof(path), "/proc/%d/statm", (int)pid);
	if (file_peek(path, text, sizeof(text)) <= 0 ||
	    sscanf(text, "%*d %lld %lld", &resident, &shared) != 2 || resident < shared)
		return 0;
	return (resident - shared) * sysconf(_SC_PAGESIZE);
}

/* Its supervisor and the sessions that were made inside it count as well. */
static int64_t process_memory(struct state *st, const struct session_row *row)
{
	struct err ignored = {0};
	cleanup_free struct marker_proc *list = NULL;
	int64_t sum = 0;
	int n = marker_find(st->install, row->uuid, &list, &ignored);
	for (int i = 0; i < n; i++)
		sum += private_bytes(list[i].id.pid);
	return n < 0 ? -1 : sum;
}

static int process_service(struct state *st, const struct session_row *row, const char *service,
                           const char *op, struct err *err)
{
	(void)st;
	return supervisor_ask(row->dir, op, service, SERVICE_MS, NULL, err);
}

/* Whether one lives its supervisor's lock tells. Without its directory it is nothing that could be managed, so none is
 * adopted from here. */
static cJSON *process_found(struct state *st, struct err *err)
{
	cleanup_free struct marker_proc *list = NULL;
	cleanup_json cJSON *all = json_array(), *foreign = json_array();
	int64_t strangers = 0;
	int n = marker_survey(st->install, &list, ENGINE_FOREIGN_MAX, foreign, &strangers, err);
	if (n < 0)
		return NULL;
	for (int i = 0; i < n; i++)
		cJSON_AddItemToArray(all, cJSON_CreateString(list[i].session));
	cgroup_find(st->install, all);
	cleanup_json cJSON *names = json_array();
	cJSON *found = json_object(), *sessions = cJSON_AddArrayToObject(found, "sessions");
	const cJSON *one;
	cJSON_ArrayForEach(one, all)
	{
		if (json_has_text(names, one->valuestring))
			continue;
		cJSON *session = json_object();
		cJSON_AddItemToArray(names, cJSON_CreateString(one->valuestring));
		json_add_text(session, "uuid", one->valuestring);
		cJSON_AddItemToArray(sessions, session);
	}
	json_add(found, "foreign", TAKE(foreign));
	json_add_int(found, "foreign_total", strangers);
	return found;
}

/* Writes to the stack's own databases are use too: somebody chats in it, or jobs run. */
static int64_t process_used_at(struct state *st, const struct session_row *row)
{
	(void)st;
	static const char *const files[] = {"telegram.db-wal", "telegram.db", "codefoundry.db-wal",
	                                    "codefoundry.db"};
	int64_t at = 0;
	for (size_t i = 0; i < ARRAY_LEN(files); i++) {
		cleanup_free char *path = mem_printf("%s/state/%s", row->dir, files[i]);
		struct stat s;
		if (stat(path, &s))
			continue;
		int64_t ms = (int64_t)s.st_mtim.tv_sec * 1000 + s.st_mtim.tv_nsec / 1000000;
		at = ms > at ? ms : at;
	}
	return at;
}

const struct engine engine_process = {
        .name = "process",
        .own_user = true,
        .plan = process_plan,
        .prepare = process_prepare,
        .resumable = process_resumable,
        .launch = process_launch,
        .wait = process_wait,
        .stop = process_stop,
        .left = process_left,
        .alive = process_alive,
        .stats = process_stats,
        .memory = process_memory,
        .services = process_services,
        .await = process_await,
        .service = process_service,
        .logs = process_logs,
        .follow = process_follow,
        .exec = process_exec,
        .read = process_read,
        .is_dir = process_is_dir,
        .copy_out = process_copy_out,
        .copy_in = process_copy_in,
        .owner = process_owner,
        .found = process_found,
        .used_at = process_used_at,
};
