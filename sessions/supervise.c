#include "sessions/supervise.h"
#include "core/file.h"
#include "core/mem.h"
#include "jobs/supervisor.h"
#include "sessions/cgroup.h"
#include "sessions/marker.h"
#include "sessions/plan.h"
#include "sessions/pool.h"
#include "sessions/session.h"
#include <stdlib.h>
#include <string.h>

#define SERVICES_MAX 64

bool supervise_running(const char *dir)
{
	cleanup_free char *path = mem_printf("%s/supervisor.lock", dir);
	cleanup_close int fd = -1;
	struct err ignored = {0};
	return path_exists(path) && lock_take(path, &fd, &ignored) == 1;
}

/* argv of one service, borrowed texts in an owned array. */
static const char **argv_of(const cJSON *service)
{
	const cJSON *argv = json_at(service, "argv"), *one;
	const char **list = mem_alloc(((size_t)cJSON_GetArraySize(argv) + 1) * sizeof(*list));
	size_t n = 0;
	cJSON_ArrayForEach(one, argv) if (cJSON_IsString(one)) list[n++] = one->valuestring;
	return list;
}

/* Killed between fork and exec of its starter, a supervisor may come late, when the session was undone or made anew. */
static int check_own(const cJSON *plan, const char *name, struct err *err)
{
	const char *uuid = getenv("CODEFOUNDRY_SESSION");
	if (uuid && strcmp(uuid, json_text(plan, "uuid")))
		return err_set(err, ERR_STATE, "session %s was made anew meanwhile", name);
	return 0;
}

static int run(const char *dir, const cJSON *plan, const char *install, struct err *err)
{
	cleanup_free char *path = mem_printf(MARKER_KEY "=%s", json_text(plan, "marker"));
	cleanup_free char *ours = mem_printf("CODEFOUNDRY_INSTALL=%s", install);
	cleanup_free char *uuid = mem_printf("CODEFOUNDRY_SESSION=%s", json_text(plan, "uuid"));
	cleanup_free char *name = mem_printf("CODEFOUNDRY_SESSION_NAME=%s", json_text(plan, "name"));
	const char *chosen = json_text(plan, "mutant");
	cleanup_free char *mutant = chosen ? mem_printf("CF_MUTANT=%s", chosen) : NULL;
	cleanup_free char *ports = plan_ports(plan);
	const char *env[] = {path, ours, uuid, name, ports, mutant, NULL};
	struct supervisor_service services[SERVICES_MAX];
	size_t n = 0;
	const cJSON *s;
	cJSON_ArrayForEach(s, json_at(plan, "services"))
	{
		if (n == SERVICES_MAX || !json_text(s, "name"))
			break;
		services[n++] = (struct supervisor_service){.name = json_text(s, "name"), .argv = argv_of(s)};
	}
	if (json_text(plan, "cgroup"))
		cgroup_enter(json_text(plan, "cgroup"), json_int(plan, "memory_mib", 0),
		             json_int(plan, "cpu_percent", 0));
	struct supervisor_options options = {.dir = dir, .clear_env = true, .env = env};
	int rc = supervisor_run(services, n, &options, err);
	for (size_t i = 0; i < n; i++)
		free((void *)services[i].argv);
	return rc;
}

int session_supervise(struct state *st, const char *name, struct err *err)
{
	if (!pool_is_name(name) && session_name_check(name, err))
		return -1;
	cleanup_free char *dir = state_path(st, "sessions/%s", name);
	cleanup_free char *lock_path = mem_printf("%s/supervisor.lock", dir);
	cleanup_close int lock = -1;
	int rc = lock_take(lock_path, &lock, err);
	if (rc)
		return rc < 0 ? err_wrap(err, "supervise session %s", name)
		              : err_set(err, ERR_BUSY, "session %s has a supervisor already", name);
	cleanup_json cJSON *plan = plan_read_marked(dir, err);
	if (!plan || check_own(plan, name, err))
		return err_wrap(err, "supervise session %s", name);
	return run(dir, plan, st->install, err);
}
