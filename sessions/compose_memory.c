/* What the containers of a session use now, by their control groups: the engine's own statistics take a second or two, because Docker
 * answers with its next reading. */
#include "compose/provider.h"
#include "core/mem.h"
#include "sessions/compose_private.h"
#include "sessions/host.h"
#include <string.h>

static int64_t memory_of(const char *id)
{
	struct err ignored = {0};
	cleanup_free char *path = mem_printf("/containers/%s/json", id);
	cleanup_json cJSON *container = docker_get(path, &ignored);
	int64_t pid = json_int(container, "State.Pid", 0);
	return pid > 0 ? host_group_used((pid_t)pid) : -1;
}

int64_t compose_memory(struct state *st, const struct session_row *row)
{
	struct err ignored = {0};
	int64_t sum = 0;
	provider_export(st->cfg);
	cleanup_json cJSON *list = compose_objects(st, row->uuid, DOCKER_CONTAINER, &ignored);
	const cJSON *c;
	if (!list)
		return -1;
	cJSON_ArrayForEach(c, list)
	{
		if (strcmp(json_text_or(c, "state", ""), "running") != 0)
			continue;
		int64_t bytes = memory_of(json_text_or(c, "id", ""));
		if (bytes < 0) /* half of them would be taken for all */
			return -1;
		sum += bytes;
	}
	return sum;
}
