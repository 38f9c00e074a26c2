#include "compose/provider_memory.h"
#include "core/file.h"
#include "core/mem.h"
#include "core/str.h"
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define MEMORY_MAX (64u << 10)
#define MEMORY_ENTRIES 16

static char *memory_dir, *memory_path;

void provider_remember(const char *dir)
{
	free(memory_dir);
	free(memory_path);
	memory_dir = mem_strdup(dir);
	memory_path = mem_printf("%s/providers.json", dir);
}

/* -- fingerprints -- */

static bool add_file(struct str *out, const char *path)
{
	struct stat s;
	if (stat(path, &s) || !S_ISREG(s.st_mode))
		return false;
	str_addf(out, "%s %lld %lld.%ld\n", path, (long long)s.st_size, (long long)s.st_mtim.tv_sec,
	         s.st_mtim.tv_nsec);
	return true;
}

static void add_program(struct str *out, const char *name)
{
	const char *path = getenv("PATH");
	cleanup_free char *dirs = mem_strdup(path ? path : "");
	char *rest = NULL;
	for (char *dir = strtok_r(dirs, ":", &rest); dir; dir = strtok_r(NULL, ":", &rest)) {
		cleanup_free char *file = mem_printf("%s/%s", dir, name);
		if (add_file(out, file))
			return;
	}
}

/* Where the docker program looks: https://docs.docker.com/compose/install/linux/ and its cli-plugins manager. */
static void add_plugin(struct str *out, const char *name)
{
	static const char *const dirs[] = {"/usr/local/lib/docker", "/usr/local/libexec/docker",
	                                   "/usr/lib/docker", "/usr/libexec/docker"};
	const char *config = getenv("DOCKER_CONFIG"), *home = getenv("HOME");
	cleanup_free char *own = config ? mem_strdup(config) : mem_printf("%s/.docker", home ? home : ""),
	                  *first = mem_printf("%s/cli-plugins/docker-%s", own, name);
	add_file(out, first);
	for (size_t i = 0; i < ARRAY_LEN(dirs); i++) {
		cleanup_free char *file = mem_printf("%s/cli-plugins/docker-%s", dirs[i], name);
		add_file(out, file);
	}
}

char *provider_fingerprint(const char *const *command)
{
	struct str out = STR_INIT_MAX(16384);
	str_addf(&out, "%s\n", command[0]);
	add_program(&out, command[0]);
	if (command[1])
		add_plugin(&out, command[1]);
	return str_take(&out);
}

/* -- the file: {fingerprint: answer} -- */

static cJSON *load(void)
{
	cleanup_free char *text = NULL;
	size_t len = 0;
	struct err ignored = {0};
	cJSON *all = NULL;
	if (memory_path && file_read(memory_path, MEMORY_MAX, &text, &len, &ignored) == 0)
		all = json_parse(text, len, &ignored);
	if (cJSON_IsObject(all))
		return all;
	cJSON_Delete(all);
	return json_object();
}

cJSON *provider_recall(const char *fingerprint)
{
	cleanup_json cJSON *all = load();
	return cJSON_DetachItemFromObjectCaseSensitive(all, fingerprint);
}

void provider_memorize(const char *fingerprint, const cJSON *answer)
{
	struct err ignored = {0};
	if (!memory_path)
		return;
	cleanup_json cJSON *all = load();
	cJSON_DeleteItemFromObjectCaseSensitive(all, fingerprint);
	while (cJSON_GetArraySize(all) >= MEMORY_ENTRIES)
		cJSON_DeleteItemFromArray(all, 0);
	json_add(all, fingerprint, cJSON_Duplicate(answer, true));
	cleanup_free char *text = json_print(all);
	if (dir_make(memory_dir, 0700, &ignored) == 0)
		file_write(memory_path, text, strlen(text), 0600, &ignored);
}
