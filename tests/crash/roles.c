/* This program as everything that is hurt. */
#include "sessions/test_stack.h"
#include "tests/crash/crash.h"
#include <libgen.h>

#define SHORT_BUSY_MS 300

static const struct job_kind *const *all_kinds(void)
{
	return kinds;
}

/* The cell is the folder around the state directory. */
static void open_cell(const char *state_dir, int levels)
{
	cleanup_free char *path = mem_strdup(state_dir);
	char *dir = path;
	for (int i = 0; i < levels; i++)
		dir = dirname(dir);
	cell_open(dir);
}

static void open_outer(void)
{
	open_cell(getenv("STATE_DIR"), 1);
}

/* -- the operation -- */

static bool is_hurt(int64_t job)
{
	struct plan plan;
	return hurt_read(&plan) && plan.job == job;
}

static void prepare_to_be_hurt(struct state *st)
{
	struct plan plan;
	cleanup_free char *pids = mem_printf("%d %d", (int)getpid(), (int)getppid());
	if (!hurt_read(&plan))
		return;
	cell_note("op.pid", pids);
	state_ring(st);
	if (!plan.record && faults[plan.fault].short_busy)
		db_set_busy_ms(SHORT_BUSY_MS);
}

static int job_main(int64_t id)
{
	struct test_state t = {0};
	struct err err = {0};
	open_outer();
	if (open_quiet(&t))
		return 1;
	bool hurt = is_hurt(id);
	if (hurt) {
		prepare_to_be_hurt(t.st);
		test_state_disconnect(&t);
		if (open_quiet(&t)) /* waits as long as it is to wait now */
			return 1;
		hurt_arm(ROLE_OPERATION);
	}
	int rc = jobs_exec(t.st, all_kinds(), id, &err);
	if (rc)
		fprintf(stderr, "%s\n", err.msg);
	test_state_disconnect(&t);
	return rc != 0;
}

static int terminal_main(const char *kind, const char *args)
{
	struct test_state t = {0};
	struct err err = {0};
	cleanup_json cJSON *a = cJSON_Parse(args), *result = NULL;
	struct job_request request = {.kind = kind, .args = a, .owner = "cli:hurt"};
	open_outer();
	if (open_quiet(&t))
		return 1;
	prepare_to_be_hurt(t.st);
	hurt_arm(ROLE_OPERATION);
	int rc = jobs_run(t.st, all_kinds(), &request, NULL, NULL, &result, &err);
	test_state_disconnect(&t);
	return rc != 0;
}

/* -- the worker -- */

/* Registered last: when it was called, all others were. */
static int tick(struct state *st, struct err *err)
{
	(void)err;
	cell_note("ticked", "");
	state_ring(st);
	return 0;
}

static int worker_role(void)
{
	static const struct worker_task ticker = {.name = "tick", .every_ms = 3600000, .look = tick};
	static const struct worker_task *const tasks[] = {&session_reap_task, &ticker, NULL};
	struct test_state t = {0};
	struct err err = {0};
	open_outer();
	if (open_quiet(&t))
		return 1;
	int rc = worker_main(t.st, all_kinds(), tasks, &err);
	if (rc)
		fprintf(stderr, "worker: %s\n", err.msg);
	test_state_disconnect(&t);
	return rc != 0;
}

/* -- supervisor and services -- */

static int supervisor_main(int argc, char **argv)
{
	open_outer();
	hurt_arm(ROLE_SUPERVISOR);
	return again_main(argc, argv);
}

static const char *service_env;

static void told_to_end(int sig)
{
	(void)sig;
	hurt_arm(ROLE_OTHER);
	hurt_reached(AT_SERVICE_END, "during: a service ends");
	_exit(0);
}

static int service_role(int argc, char **argv)
{
	service_env = argv[3];
	open_cell(service_env, 4); /* CELL/state/sessions/NAME/env */
	hurt_arm(ROLE_OTHER);
	signal(SIGTERM, told_to_end);
	hurt_reached(AT_SERVICE, "during: a service starts");
	return again_main(argc, argv);
}

/* -- the compose tool -- */

static const char *tools_dir;

/* The tool that this one stands for: the next of that name in PATH. */
static char *real_tool(const char *name)
{
	cleanup_free char *dirs = mem_strdup(getenv("PATH"));
	char *rest = NULL;
	for (char *dir = strtok_r(dirs, ":", &rest); dir; dir = strtok_r(NULL, ":", &rest)) {
		cleanup_free char *file = mem_printf("%s/%s", dir, name);
		if (strcmp(dir, getenv("CRASH_TOOLS")) != 0 && access(file, X_OK) == 0)
			return TAKE(file);
	}
	return mem_strdup("/nonexistent");
}

static const char *verb_of(char **argv)
{
	static const char *const verbs[] = {"config", "up", "stop"};
	for (; *argv; argv++)
		for (size_t i = 0; i < ARRAY_LEN(verbs); i++)
			if (!strcmp(*argv, verbs[i]))
				return verbs[i];
	return NULL;
}

static int tool_main(const char *name, char **argv)
{
	cleanup_free char *real = real_tool(name);
	const char *verb = verb_of(argv);
	bool compose = !strcmp(name, "docker-compose") || (argv[1] && !strcmp(argv[1], "compose"));
	if (!verb || !compose || !getenv("STATE_DIR")) {
		execv(real, argv);
		return 127;
	}
	cleanup_free char *before = mem_printf("tool's %s: instead of its work", verb),
	                  *after = mem_printf("tool's %s: after its work", verb);
	int status = 0;
	open_outer();
	hurt_arm(ROLE_OTHER);
	hurt_reached(AT_TOOL, before);
	pid_t pid = fork();
	if (pid == 0) {
		execv(real, argv);
		_exit(127);
	}
	waitpid(pid, &status, 0);
	hurt_reached(AT_TOOL, after);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

void tools_open(const char *dir)
{
	static const char *const names[] = {"docker-compose", "docker"};
	cleanup_free char *path = mem_printf("%s:%s", dir, getenv("PATH"));
	tools_dir = dir;
	setenv("CRASH_TOOLS", tools_dir, 1);
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		cleanup_free char *link = mem_printf("%s/%s", dir, names[i]);
		assert_int_equal(symlink(proc_self(), link), 0);
	}
	setenv("PATH", path, 1);
}

/* -- which of them -- */

static int named_role(int argc, char **argv)
{
	const char *role = argv[2];
	if (!strcmp(role, "worker"))
		return worker_role();
	if (!strcmp(role, "locker"))
		return locker_main();
	if (!strcmp(role, "job") && argc > 3)
		return job_main(atoll(argv[3]));
	if (!strcmp(role, "terminal") && argc > 4)
		return terminal_main(argv[3], argv[4]);
	if (!strcmp(role, "stranger"))
		for (;;)
			pause();
	return 2;
}

int role_main(int argc, char **argv)
{
	const char *slash = strrchr(argv[0], '/'), *name = slash ? slash + 1 : argv[0];
	if (!strcmp(name, "docker-compose") || !strcmp(name, "docker"))
		return tool_main(name, argv);
	if (argc > 2 && !strcmp(argv[1], "--as"))
		return named_role(argc, argv);
	if (argc > 3 && !strcmp(argv[1], "job"))
		return job_main(atoll(argv[3]));
	if (argc > 3 && !strcmp(argv[1], "session"))
		return supervisor_main(argc, argv);
	if (argc > 3 && !strcmp(argv[2], "--env"))
		return service_role(argc, argv);
	return -1;
}
