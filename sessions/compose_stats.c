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
	provider_export(st->cfg);
	cleanup_json cJSON *list = compose_objects(st, row->uuid, DOCKER_CONTAINER, &ignored);
	const cJSON *c;
	cJSON_ArrayForEach(c, list)
	{
		const cJSON *service = cJSON_GetObjectItemCaseSensitive(json_at(c, "labels"), LABEL_SERVICE);
		cleanup_json cJSON *one = json_object();
		json_add_text(one, "name", cJSON_IsString(service) ? service->valuestring : "?");
		if (docker_stats(json_text_or(c, "id", ""), one, &ignored) == 0)
			cJSON_AddItemToArray(stats, TAKE(one));
	}
	return stats;
}
