/* Steps that get at services, and `stack`, which starts a control plane of its own with `codefoundry up`: in a temporary state
 * directory, on free ports, as a user would. */
#include "compose/stack.h"
#include "core/clock.h"
#include "core/file.h"
#include "core/id.h"
#include "core/mem.h"
#include "core/proc.h"
#include "testsuite/play.h"
#include "testsuite/steps.h"
#include <dirent.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define DOWN_MS 60000 /* a session of containers takes its time on a busy machine */
#define MAX_OUTPUT (1u << 20)

static const struct schema service_keys[] = {
        {.key = "service", .shape = SHAPE_TEXT, .required = true},
        {.key = NULL},
};

static const struct schema kill_keys[] = {
        {.key = "service", .shape = SHAPE_TEXT},
        {.key = "run", .shape = SHAPE_NAME},
        {.key = "signal", .shape = SHAPE_COUNT},
        {.key = NULL},
};

static int operate(struct play *p, const cJSON *args, const char *op, struct err *err)
{
	cleanup_free char *service = NULL;
	if (step_text(p, args, "service", &service, err))
		return -1;
	return target_service(p->target, service, op, err) ? err_wrap(err, "%s %s", op, service) : 0;
}

static int restart_run(struct play *p, const char *who, const cJSON *args, struct err *err)
{
	(void)who;
	return operate(p, args, "restart", err);
}

static int stop_run(struct play *p, const char *who, const cJSON *args, struct err *err)
{
	(void)who;
	return operate(p, args, "stop", err);
}

static int start_run(struct play *p, const char *who, const cJSON *args, struct err *err)
{
	(void)who;
	return operate(p, args, "start", err);
}

static int kill_run(struct play *p, const char *who, const cJSON *args, struct err *err)
{
	(void)who;
	int64_t signal;
	const char *run = json_text(args, "run");
	if (step_int(p, args, "signal", SIGKILL, &signal, err))
		return -1;
	if (run)
		return step_run_kill(p, run, (int)signal, err);
	if (!cJSON_HasObjectItem(args, "service"))
		return err_set(err, ERR_INVALID, "kill wants 'service' or 'run'");
	return operate(p, args, "kill", err);
}

/* -- free ports -- */

/* All are held until all are chosen, so that they differ. */
static int free_ports(int *ports, size_t n, struct err *err)
{
	int fds[16];
	size_t i = 0;
	for (; i < n && i < ARRAY_LEN(fds); i++) {
		struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
		socklen_t len = sizeof(a);
		fds[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
		if (fds[i] < 0 || bind(fds[i], (struct sockaddr *)&a, len) ||
		    getsockname(fds[i], (struct sockaddr *)&a, &len))
			break;
		ports[i] = ntohs(a.sin_port);
	}
	for (size_t k = 0; k < i; k++)
		close(fds[k]);
	return i == n ? 0 : err_set(err, ERR_LIMIT, "no free port");
}

static const struct schema ports_keys[] = {
        {.key = "names", .shape = SHAPE_NAME_LIST, .required = true},
        {.key = NULL},
};

static int ports_run(struct play *p, const char *who, const cJSON *args, struct err *err)
{
	(void)who;
	const cJSON *names = cJSON_GetObjectItemCaseSensitive(args, "names");
	int ports[16] = {0}, n = cJSON_IsArray(names) ? cJSON_GetArraySize(names) : 1;
	if (n > (int)ARRAY_LEN(ports) || free_ports(ports, (size_t)n, err))
		return err_set(err, ERR_LIMIT, "at most %zu free ports", ARRAY_LEN(ports));
	for (int i = 0; i < n; i++) {
		const cJSON *name = cJSON_IsArray(names) ? cJSON_GetArrayItem(names, i) : names;
		vars_set_int(p->vars, name->valuestring, ports[i]);
	}
	return 0;
}

/* -- a stack of its own -- */

static const struct schema stack_keys[] = {
        {.key = "name", .shape = SHAPE_NAME},
        {.key = "env", .shape = SHAPE_MAP},
        {.key = "within", .shape = SHAPE_DURATION},
        {.key = NULL},
};

/* Ports for every service, and a part of the session ports that other stacks on this machine hardly choose as well. */
static int settings_of(cJSON *env, const char *state_dir, struct err *err)
{
	const char *keys[16];
	int ports[16] = {0};
	size_t n = 0;
	for (const struct stack_service *s = stack_services; s->name; s++)
		for (const struct stack_port *port = s->ports; port->key && n < ARRAY_LEN(keys); port++)
			keys[n++] = port->key;
	if (free_ports(ports, n, err))
		return -1;
	for (size_t i = 0; i < n; i++) {
		char text[16];
		snprintf(text, sizeof(text), "%d", ports[i]);
		json_add_text(env, keys[i], text);
	}
	char hex[9], range[32];
	id_random_hex(hex, 4);
	unsigned low = 20000 + (unsigned)(strtoul(hex, NULL, 16) % 48) * 200;
	snprintf(range, sizeof(range), "%u-%u", low, low + 199);
	json_add_text(env, "SESSION_PORT_RANGE", range);
	json_add_text(env, "STATE_DIR", state_dir);
	json_add_text(env, "ENGINE", "process");
	return 0;
}

static int add_settings(struct play *p, const cJSON *args, cJSON *env, struct err *err)
{
	const cJSON *item;
	cJSON_ArrayForEach(item, cJSON_GetObjectItemCaseSensitive(args, "env"))
	{
		cleanup_free char *value = vars_expand_value(p->vars, item, err);
		if (!value)
			return -1;
		cJSON_DeleteItemFromObjectCaseSensitive(env, item->string);
		json_add_text(env, item->string, value);
	}
	return 0;
}

/* Run `codefoundry COMMAND` with ${env} to its end. */
static int run_self(const char *const *args, const cJSON *env, const char *cwd, int64_t timeout_ms,
                    char **out, struct err *err)
{
	const char *argv[8] = {proc_self()}, *list[64] = {NULL};
	char *owned[64];
	size_t n = 0, a = 1;
	const cJSON *item;
	while (*args && a < ARRAY_LEN(argv) - 1)
		argv[a++] = *args++;
	cJSON_ArrayForEach(item, env) if (n < ARRAY_LEN(list) - 1) list[n] = owned[n] =
	        mem_printf("%s=%s", item->string, cJSON_IsString(item) ? item->valuestring : ""),
	                                                           n++;
	struct proc_spec spec = PROC_SPEC_INIT;
	spec.argv = argv;
	spec.env = list;
	spec.clear_env = true;
	spec.cwd = cwd;
	struct proc_result r = {0};
	int rc = proc_run(&spec, NULL, timeout_ms, MAX_OUTPUT, &r, err);
	if (rc == 0 && r.timed_out)
		rc = err_set(err, ERR_TIMEOUT, "codefoundry %s did not end in time: %.600s", argv[1], r.errs);
	else if (rc == 0 && r.status)
		rc = err_set(err, ERR_FAILED, "codefoundry %s ended with %d: %.600s", argv[1], r.status,
		             r.errs);
	else if (rc == 0 && out)
		*out = TAKE(r.out);
	proc_result_free(&r);
	while (n)
		free(owned[--n]);
	return rc;
}

static int stack_run(struct play *p, const char *who, const cJSON *args, struct err *err)
{
	(void)who;
	static const char *const up[] = {"up", NULL};
	const char *dir = step_dir(p, err), *name = json_text(args, "name");
	if (!dir)
		return -1;
	cleanup_free char *state_dir = mem_printf("%s/%s", dir, name ? name : "stack");
	cleanup_json cJSON *env = json_object();
	if (settings_of(env, state_dir, err) || add_settings(p, args, env, err))
		return -1;
	int64_t left = step_left(step_deadline(p, args));
	if (run_self(up, env, dir, left, NULL, err))
		return -1;
	struct target *t;
	if (target_of_stack(&t, state_dir, TAKE(env), err))
		return -1;
	play_set_target(p, t, true);
	return 0;
}

/* Sessions first: the control plane's end leaves them running on purpose. */
static void end_stack(const char *state_dir, const char *cwd)
{
	static const char *const list[] = {"session", "list", "--json", NULL}, *const down[] = {"down", NULL};
	cleanup_json cJSON *env = json_object(), *sessions = NULL;
	cleanup_free char *out = NULL;
	struct err err = {0};
	json_add_text(env, "STATE_DIR", state_dir);
	json_add_text(env, "ENGINE", "process");
	if (run_self(list, env, cwd, DOWN_MS, &out, &err) == 0 && out)
		sessions = json_parse(out, strlen(out), &err);
	const cJSON *s;
	cJSON_ArrayForEach(s, sessions)
	{
		const char *const stop[] = {"session", "stop", json_text_or(s, "name", ""), NULL};
		run_self(stop, env, cwd, DOWN_MS, NULL, &err);
	}
	run_self(down, env, cwd, DOWN_MS, NULL, &err);
}

void play_sweep(const char *dir)
{
	DIR *d = opendir(dir);
	if (!d)
		return;
	struct dirent *e;
	while ((e = readdir(d))) {
		cleanup_free char *state = mem_printf("%s/%s", dir, e->d_name);
		cleanup_free char *db = mem_printf("%s/codefoundry.db", state);
		if (e->d_name[0] != '.' && path_exists(db))
			end_stack(state, dir);
	}
	closedir(d);
	struct err ignored = {0};
	tree_remove(dir, &ignored);
}

#define SERVICE (STEP_TARGET | STEP_ALONE)

const struct step_kind service_steps[] = {
        {"restart", "service", service_keys, SERVICE, restart_run},
        {"stop", "service", service_keys, SERVICE, stop_run},
        {"start", "service", service_keys, SERVICE, start_run},
        {"kill", "service", kill_keys, STEP_ALONE, kill_run},
        {"free_ports", "names", ports_keys, 0, ports_run},
        {"stack", NULL, stack_keys, STEP_STACK | STEP_TRUSTED, stack_run},
        {.name = NULL},
};
