#include "compose/project_cache.h"
#include "core/file.h"
#include "core/log.h"
#include "core/mem.h"
#include "core/str.h"
#include "jobs/sha256.h"
#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define ENTRY_MAX (4u << 20)
#define SUFFIX ".project"

static char *entry_path(const char *dir, const char *key)
{
	return mem_printf("%s/%s" SUFFIX, dir, key);
}

cJSON *project_cache_get(const char *dir, const char *key)
{
	cleanup_free char *path = entry_path(dir, key), *text = NULL;
	struct err ignored = {0};
	char sum[SHA256_HEX + 1];
	size_t len = 0;
	if (file_read(path, ENTRY_MAX, &text, &len, &ignored) || len <= SHA256_HEX ||
	    text[SHA256_HEX] != '\n')
		return NULL;
	const char *json = text + SHA256_HEX + 1;
	sha256_hex(json, len - SHA256_HEX - 1, sum);
	if (memcmp(sum, text, SHA256_HEX) != 0)
		return NULL;
	utimensat(AT_FDCWD, path, NULL, 0); /* used now */
	return json_parse(json, len - SHA256_HEX - 1, &ignored);
}

struct entry {
	char *name;
	struct timespec used;
};

static int oldest_first(const void *a, const void *b)
{
	const struct timespec *x = &((const struct entry *)a)->used, *y = &((const struct entry *)b)->used;
	if (x->tv_sec != y->tv_sec)
		return x->tv_sec < y->tv_sec ? -1 : 1;
	return (x->tv_nsec > y->tv_nsec) - (x->tv_nsec < y->tv_nsec);
}

static void prune(const char *dir)
{
	struct entry *all = NULL;
	size_t n = 0;
	DIR *d = opendir(dir);
	for (struct dirent *e; d && (e = readdir(d));) {
		size_t len = strlen(e->d_name), suffix = strlen(SUFFIX);
		struct stat st;
		if (len <= suffix || strcmp(e->d_name + len - suffix, SUFFIX) != 0 ||
		    fstatat(dirfd(d), e->d_name, &st, AT_SYMLINK_NOFOLLOW))
			continue;
		all = mem_resize(all, n + 1, sizeof(*all));
		all[n++] = (struct entry){.name = mem_strdup(e->d_name), .used = st.st_mtim};
	}
	if (n > PROJECT_CACHE_MAX)
		qsort(all, n, sizeof(*all), oldest_first);
	for (size_t i = 0; i < n; i++) {
		if (i + PROJECT_CACHE_MAX < n)
			unlinkat(dirfd(d), all[i].name, 0);
		free(all[i].name);
	}
	free(all);
	if (d)
		closedir(d);
}

void project_cache_put(const char *dir, const char *key, const cJSON *project)
{
	cleanup_free char *json = json_print(project), *path = entry_path(dir, key);
	cleanup_str struct str text = STR_INIT_MAX(ENTRY_MAX);
	char sum[SHA256_HEX + 1];
	struct err err = {0};
	sha256_hex(json, strlen(json), sum);
	str_addf(&text, "%s\n", sum);
	str_add(&text, json);
	if (text.overflow)
		return;
	if (file_write(path, str_text(&text), text.len, 0600, &err))
		log_warn("compose project is not kept: %s", err.msg);
	prune(dir);
}
