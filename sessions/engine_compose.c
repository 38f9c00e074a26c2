/* Sessions as containers: a compose project each, made from a frozen file and a generated override. `up`, `stop` and what a
 * person does in a terminal go through the compose tool and the docker program; everything else asks the Engine API. */
#include "compose/image.h"
#include "compose/override.h"
#include "core/clock.h"
#include "core/file.h"
#include "core/log.h"
#include "core/mem.h"
#include "core/proc.h"
#include "sessions/compose_private.h"
#include "sessions/marker.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DOWN_MS 120000
#define SERVICE_MS 60000
#define TOOL_GRACE_MS 2000
#define SETTLE_MS 500 /* five times what the engine takes to make a container */

static int compose_wait(struct job *job, const struct session_row *row, struct err *err)
{
	return compose_await(job_state(job), row, json_at(row->spec, "services"), job, err);
}

/* -- the end -- */

static bool has_files(const struct session_row *row)
{
	cleanup_free char *base = row->dir ? mem_printf("%s/" COMPOSE_BASE, row->dir) : NULL,
	                  *override = row->dir ? mem_printf("%s/" COMPOSE_OVERRIDE, row->dir) : NULL;
	return base && path_exists(base) && path_exists(override) && json_text(row->spec, "project");
}

/* The tool stops the services in their order. It takes whatever carries the project's name for its own, so where others use that
 * name too, where its files are gone, and where it goes by the containers' names alone (podman-compose), each is stopped by its id.
 * So is what it left running, whatever it says. */
static int stop_containers(struct state *st, const struct session_row *row, const cJSON *list,
                           struct err *err)
{
	static const char *const stop[] = {"stop", NULL};
	struct err ignored = {0};
	const cJSON *c;
	if (!list->child)
		return 0;
	if (has_files(row) && !compose_by_podman(row) && compose_alone(st, row, &ignored) == 0 &&
	    compose_tool(st, row, stop, DOWN_MS, NULL, err))
		return -1;
	cJSON_ArrayForEach(c, list)
	{
		cleanup_free char *path = mem_printf("/containers/%s/stop", json_text_or(c, "id", ""));
		if (docker_call("POST", path, NULL, SERVICE_MS, NULL, err) && err->code != ERR_NOT_FOUND)
			return -1;
	}
	err_clear(err);
	return 0;
}

/* Whether `up` was begun and not seen to its end. */
static bool launch_cut_off(struct state *st, const struct session_row *row)
{
	struct err ignored = {0};
	int64_t n = 0;
	return db_get_int(st->db, &n, &ignored,
	                  "SELECT count(*) FROM session_steps WHERE session = ? AND step = 'launch' AND "
	                  "done_at IS NULL",
	                  "t", row->uuid) == 0 &&
	       n > 0;
}

static bool not_created(void *arg, const cJSON *event)
{
	(void)arg;
	return strcmp(json_text_or(event, "Action", ""), "create") != 0;
}

static bool settling(void *arg)
{
	return clock_mono_ms() < *(int64_t *)arg;
}

/* The engine finishes what a tool that was killed had asked for: what appears within a moment is removed too. */
static int sweep_again(struct state *st, const struct session_row *row, int64_t from_ms, struct err *err)
{
	cleanup_free char *label = mem_printf(LABEL_SESSION "=%s", row->uuid);
	int64_t until = clock_mono_ms() + SETTLE_MS;
	if (docker_events(from_ms, label, not_created, settling, &until, err))
		return -1;
	return compose_sweep(st, row, err);
}

/* Removal is by id and label: the tool's `down` goes by names, which may be others' too. */
static int compose_stop(struct state *st, const struct session_row *row, bool keep, struct err *err)
{
	struct err tool = {0};
	provider_open(st->cfg, st->dir);
	/* a tool whose job was killed would go on making containers */
	if (marker_kill(st->install, row->uuid, TOOL_GRACE_MS, err))
		return -1;
	cleanup_json cJSON *list = compose_objects(st, row->uuid, DOCKER_CONTAINER, err);
	if (!list)
		return -1;
	if (keep)
		return stop_containers(st, row, list, err);
	if (has_files(row) && stop_containers(st, row, list, &tool))
		log_warn("session %s: %s", row->name, tool.msg);
	int64_t from_ms = clock_now_ms();
	if (compose_sweep(st, row, err))
		return -1;
	return launch_cut_off(st, row) ? sweep_again(st, row, from_ms, err) : 0;
}

/* -- what is there -- */

static int compose_left(struct state *st, const struct session_row *row, cJSON *left, struct err *err)
{
	int sum = 0;
	provider_open(st->cfg, st->dir);
	for (enum docker_kind kind = DOCKER_CONTAINER; kind < DOCKER_KINDS; kind++) {
		cleanup_json cJSON *list = compose_objects(st, row->uuid, kind, err);
		if (!list)
			return -1;
		cleanup_free char *key = mem_printf("%ss", docker_kind_name(kind));
		json_add_int(left, key, cJSON_GetArraySize(list));
		sum += cJSON_GetArraySize(list);
	}
	return sum;
}

/* Its containers are its life, running or not: what ended is kept for its logs. */
static bool compose_alive(struct state *st, const struct session_row *row)
{
	struct err ignored = {0};
	provider_open(st->cfg, st->dir);
	cleanup_json cJSON *list = compose_objects(st, row->uuid, DOCKER_CONTAINER, &ignored);
	return !list || list->child;
}

/* -- services -- */

/* The word of a container's state that people see; the engine's `starting` only means that its first interval is not over. */
static const char *state_of(const cJSON *container, const struct session_row *row, bool oneshot)
{
	const char *status = json_text_or(container, "State.Status", "gone"),
	           *health = json_text_or(container, "State.Health.Status", "none");
	if (!strcmp(status, "exited") && oneshot && json_int(container, "State.ExitCode", -1) == 0)
		return "done";
	if (strcmp(status, "running") != 0)
		return status;
	if (!strcmp(health, "unhealthy"))
		return health;
	return !strcmp(health, "starting") && row->state != SESSION_RUNNING ? health : "ready";
}

/* What Docker does not answer about is "unknown", not gone: ${listing} says how that of the containers went. */
static bool is_oneshot(const struct session_row *row, const char *service)
{
	const cJSON *check = cJSON_GetObjectItemCaseSensitive(json_at(row->spec, "checks"), service);
	return json_bool(check, "oneshot", false);
}

/* Of what it listens on, what the host has. */
static cJSON *published(const cJSON *ports)
{
	cJSON *list = json_array();
	const cJSON *port;
	cJSON_ArrayForEach(port, ports)
	{
		if (json_int(port, "host", 0))
			cJSON_AddItemToArray(list, cJSON_Duplicate(port, true));
	}
	return list;
}

/* ${listed}: the container as docker_list() gives it, NULL: there is none. */
static cJSON *describe(const struct session_row *row, const char *service, const cJSON *listed,
                       enum err_code listing)
{
	const char *id = json_text(listed, "id");
	struct err why = {.code = listing};
	cleanup_json cJSON *container = id ? docker_inspect(id, &why) : NULL;
	const char *none = why.code == ERR_NONE || why.code == ERR_NOT_FOUND ? "gone" : "unknown";
	cJSON *one = json_object();
	json_add_text(one, "name", service);
	json_add_text(one, "state", container ? state_of(container, row, is_oneshot(row, service)) : none);
	json_add_int(one, "pid", json_int(container, "State.Pid", 0));
	json_add_int(one, "restarts", json_int(container, "RestartCount", 0));
	if (container) {
		const char *name = json_text_or(container, "Name", "");
		json_add_text(one, "container", name + (*name == '/'));
		json_add_text(one, "image", json_text(container, "Config.Image"));
		json_add(one, "ports", published(json_at(listed, "ports")));
		if (json_text(container, "State.Health.Status"))
			json_add_text(one, "health", json_text(container, "State.Health.Status"));
	}
	return one;
}

static cJSON *compose_services(struct state *st, const struct session_row *row)
{
	struct err why = {0};
	cJSON *services = json_array();
	provider_open(st->cfg, st->dir);
	cleanup_json cJSON *list = compose_objects(st, row->uuid, DOCKER_CONTAINER, &why);
	const cJSON *name, *c;
	cJSON_ArrayForEach(name, json_at(row->spec, "services"))
	{
		int n = 0;
		cJSON_ArrayForEach(c, list)
		{
			const cJSON *label =
			        cJSON_GetObjectItemCaseSensitive(json_at(c, "labels"), LABEL_SERVICE);
			if (!cJSON_IsString(label) || strcmp(label->valuestring, name->valuestring) != 0)
				continue;
			cJSON_AddItemToArray(services, describe(row, name->valuestring, c, why.code));
			n++;
		}
		if (!n)
			cJSON_AddItemToArray(services, describe(row, name->valuestring, NULL, why.code));
	}
	return services;
}

static int compose_await_change(struct state *st, const struct session_row *row, int64_t since_ms, int fd,
                                int64_t timeout_ms, struct err *err)
{
	cleanup_free char *label = mem_printf(LABEL_SESSION "=%s", row->uuid);
	provider_open(st->cfg, st->dir);
	return docker_await(since_ms, label, fd, timeout_ms, err);
}

static int container_op(const char *id, const char *op, struct err *err)
{
	cleanup_free char *path = mem_printf("/containers/%s/%s", id, op);
	return docker_call("POST", path, NULL, SERVICE_MS, NULL, err);
}

/* Docker takes a kill for a wish to stop; here it stands for a crash, after which the service is started again. */
static int compose_service(struct state *st, const struct session_row *row, const char *service,
                           const char *op, struct err *err)
{
	provider_open(st->cfg, st->dir);
	cleanup_json cJSON *container = compose_container(st, row, service, err), *one = json_array();
	if (!container)
		return -1;
	const char *id = json_text_or(container, "id", "");
	bool kill = !strcmp(op, "kill");
	if (container_op(id, op, err) || (kill && container_op(id, "start", err)))
		return -1;
	cJSON_AddItemToArray(one, cJSON_CreateString(service));
	return strcmp(op, "stop") ? compose_await(st, row, one, NULL, err) : 0;
}

const struct engine engine_compose = {
        .name = "compose",
        .plan = compose_plan,
        .prepare = compose_prepare,
        .resumable = compose_resumable,
        .launch = compose_launch,
        .wait = compose_wait,
        .stop = compose_stop,
        .left = compose_left,
        .lent = compose_lent,
        .alive = compose_alive,
        .stats = compose_stats,
        .memory = compose_memory,
        .disk = compose_disk,
        .services = compose_services,
        .await = compose_await_change,
        .service = compose_service,
        .logs = compose_logs,
        .follow = compose_follow,
        .exec = compose_exec,
        .read = compose_read,
        .is_dir = compose_is_dir,
        .copy_out = compose_copy_out,
        .copy_in = compose_copy_in,
        .owner = compose_owner,
        .found = compose_found,
        .adopt = compose_adopt,
        .used_at = compose_used_at,
};
