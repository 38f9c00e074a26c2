#include "compose/built.h"
#include "compose/override.h"
#include "core/mem.h"
#include "jobs/sha256.h"
#include <ctype.h>
#include <string.h>

#define LATEST ":latest"

/* Lower case letters and digits, with one of ._- between them (https://pkg.go.dev/github.com/distribution/reference). */
static bool is_plain(const char *service)
{
	bool apart = true;
	for (const char *p = service; *p; p++) {
		if (islower((unsigned char)*p) || isdigit((unsigned char)*p))
			apart = false;
		else if (apart || !strchr("._-", *p))
			return false;
		else
			apart = true;
	}
	return !apart;
}

char *built_name(const char *project, const char *service)
{
	char digest[SHA256_HEX + 1];
	if (is_plain(service))
		return mem_printf("%s-%s", project, service);
	sha256_hex(service, strlen(service), digest);
	return mem_printf("%s-%.12s", project, digest);
}

/* Podman puts its own registry's name before what has none. */
static bool tag_is(const char *tag, const char *name)
{
	const char *slash = strrchr(tag, '/');
	size_t n = strlen(name);
	tag = slash ? slash + 1 : tag;
	return !strncmp(tag, name, n) && !strcmp(tag + n, LATEST);
}

bool built_is_called(const cJSON *image, const char *name)
{
	const cJSON *tag;
	cJSON_ArrayForEach(tag, json_at(image, "tags"))
	{
		if (cJSON_IsString(tag) && tag_is(tag->valuestring, name))
			return true;
	}
	return false;
}

bool built_is(const cJSON *image)
{
	const cJSON *name = cJSON_GetObjectItemCaseSensitive(json_at(image, "labels"), BUILT_NAME);
	if (!cJSON_IsString(name))
		return false;
	return !cJSON_GetArraySize(json_at(image, "tags")) || built_is_called(image, name->valuestring);
}

void built_relabel(cJSON *image)
{
	static const struct {
		const char *from, *to;
	} same[] = {{BUILT_INSTALL, LABEL_INSTALL}, {BUILT_SESSION, LABEL_SESSION}};
	cJSON *labels = cJSON_GetObjectItemCaseSensitive(image, "labels");
	for (size_t i = 0; i < ARRAY_LEN(same); i++) {
		const cJSON *value = cJSON_GetObjectItemCaseSensitive(labels, same[i].from);
		cJSON_DeleteItemFromObjectCaseSensitive(labels, same[i].to);
		if (cJSON_IsString(value))
			json_add_text(labels, same[i].to, value->valuestring);
	}
}
