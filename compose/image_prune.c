#include "compose/image_prune.h"
#include "compose/docker.h"
#include "compose/podman.h"
#include "core/clock.h"
#include "core/mem.h"
#include <stdlib.h>
#include <string.h>

struct candidate {
	const cJSON *image; /* of the listing */
	int64_t named_ms;
};

/* When it was last given a name; 0 when the engine does not say (`load` names an image without noting when). */
static int64_t named_at(const char *id)
{
	struct err ignored = {0};
	cleanup_free char *path = mem_printf("/images/%s/json", id);
	cleanup_json cJSON *image = docker_get(path, &ignored);
	int64_t at = clock_parse_iso(json_text_or(image, "Metadata.LastTagTime", ""));
	return at > 0 ? at : 0;
}

/* Somebody who gave it a name of his own wants to keep it. */
static bool only_named(const cJSON *image, const char *repository)
{
	const cJSON *tag;
	size_t len = strlen(repository);
	cJSON_ArrayForEach(tag, json_at(image, "RepoTags"))
	{
		const char *text = cJSON_IsString(tag) ? podman_image(tag->valuestring) : NULL;
		if (text && strcmp(text, "<none>:<none>") &&
		    (strncmp(text, repository, len) || text[len] != ':'))
			return false;
	}
	return true;
}

static int newest_first(const void *a, const void *b)
{
	const struct candidate *x = a, *y = b;
	return x->named_ms < y->named_ms ? 1 : x->named_ms > y->named_ms ? -1 : 0;
}

/* By its names, one after the other, which takes none from a container that uses it; without any by its id. */
static bool remove_image(const cJSON *image)
{
	const cJSON *tag;
	struct err ignored = {0};
	bool named = false, gone = true;
	cJSON_ArrayForEach(tag, json_at(image, "RepoTags"))
	{
		if (!cJSON_IsString(tag) || !strcmp(tag->valuestring, "<none>:<none>"))
			continue;
		cleanup_free char *name = docker_escape(tag->valuestring),
		                  *path = mem_printf("/images/%s", name);
		named = true;
		gone &= docker_call("DELETE", path, NULL, 0, NULL, &ignored) == 0;
	}
	cleanup_free char *path = mem_printf("/images/%s", json_text_or(image, "Id", ""));
	return named ? gone : docker_call("DELETE", path, NULL, 0, NULL, &ignored) == 0;
}

int image_prune(const char *title, const char *repository, size_t keep, int64_t age_ms)
{
	struct err ignored = {0};
	cleanup_free char *filter = mem_printf("{\"label\":[\"" IMAGE_TITLE "=%s\"]}", title),
	                  *query = docker_escape(filter),
	                  *path = mem_printf("/images/json?filters=%s", query);
	cleanup_json cJSON *images = docker_get(path, &ignored);
	cleanup_free struct candidate *list =
	        mem_alloc(((size_t)cJSON_GetArraySize(images) + 1) * sizeof(*list));
	size_t n = 0;
	int removed = 0;
	const cJSON *image;
	cJSON_ArrayForEach(image, images)
	{
		int64_t named_ms =
		        only_named(image, repository) ? named_at(json_text_or(image, "Id", "")) : 0;
		if (named_ms)
			list[n++] = (struct candidate){image, named_ms};
	}
	qsort(list, n, sizeof(*list), newest_first);
	for (size_t i = keep; i < n; i++)
		if (clock_now_ms() - list[i].named_ms >= age_ms)
			removed += remove_image(list[i].image);
	return removed;
}
