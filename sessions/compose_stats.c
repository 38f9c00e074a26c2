/* What the containers of a session use, one reading each, and what they take of the disk. */
#include "compose/docker_stats.h"
#include "compose/override.h"
#include "compose/provider.h"
#include "core/mem.h"
#include "sessions/compose_private.h"
#include <string.h>

#define DISK_MS 5000 /* Docker adds up the files */

cJSON *compose_stats(struct state *st, const struct session_row *row)
{
	struct err ignored = {0};
	cJSON *stats = json_array();
	size_t n = 0;
	provider_export(st->cfg);
	cleanup_json cJSON *list = compose_objects(st, row->uuid, DOCKER_CONTAINER, &ignored);
	size_t count = (size_t)cJSON_GetArraySize(list);
	cleanup_free const char **ids = mem_alloc((count + 1) * sizeof(*ids));
	cleanup_free cJSON **into = mem_alloc((count + 1) * sizeof(*into));
	const cJSON *c;
	cJSON_ArrayForEach(c, list)
	{
		const cJSON *service = cJSON_GetObjectItemCaseSensitive(json_at(c, "labels"), LABEL_SERVICE);
		ids[n] = json_text_or(c, "id", "");
		into[n] = json_object();
		json_add_text(into[n++], "name", cJSON_IsString(service) ? service->valuestring : "?");
	}
	docker_stats(ids, into, n);
	for (size_t i = 0; i < n; i++) {
		if (json_at(into[i], "cpu_us"))
			cJSON_AddItemToArray(stats, into[i]);
		else
			cJSON_Delete(into[i]);
	}
	return stats;
}

/* What a container wrote over its image. */
static int add_layer(const char *id, int64_t *bytes, struct err *err)
{
	cleanup_free char *path = mem_printf("/containers/%s/json?size=1", id);
	cleanup_json cJSON *container = NULL;
	if (docker_call("GET", path, NULL, DISK_MS, &container, err))
		return -1;
	*bytes += json_int(container, "SizeRw", 0);
	return 0;
}

/* Docker tells the size of all volumes or of none. */
static int add_volumes(const cJSON *ours, int64_t *bytes, struct err *err)
{
	cleanup_json cJSON *use = NULL;
	const cJSON *v, *one;
	if (!ours->child)
		return 0;
	if (docker_call("GET", "/system/df?type=volume", NULL, DISK_MS, &use, err))
		return -1;
	cJSON_ArrayForEach(one, ours)
	{
		cJSON_ArrayForEach(v, json_at(use, "Volumes"))
		{
			if (!strcmp(json_text_or(v, "Name", ""), json_text_or(one, "name", "?")))
				*bytes += json_int(v, "UsageData.Size", 0);
		}
	}
	return 0;
}

int compose_disk(struct state *st, const struct session_row *row, int64_t *bytes, struct err *err)
{
	int64_t sum = 0;
	provider_export(st->cfg);
	cleanup_json cJSON *containers = compose_objects(st, row->uuid, DOCKER_CONTAINER, err);
	cleanup_json cJSON *volumes = containers ? compose_objects(st, row->uuid, DOCKER_VOLUME, err) : NULL;
	const cJSON *c;
	if (!volumes)
		return -1;
	cJSON_ArrayForEach(c, containers)
	{
		if (add_layer(json_text_or(c, "id", ""), &sum, err))
			return -1;
	}
	if (add_volumes(volumes, &sum, err))
		return -1;
	*bytes = sum;
	return 0;
}
