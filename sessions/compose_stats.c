/* What the containers of a session use, one reading each. */
#include "compose/docker_stats.h"
#include "compose/override.h"
#include "compose/provider.h"
#include "core/mem.h"
#include "sessions/compose_private.h"

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
