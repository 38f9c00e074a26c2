#include "sessions/host.h"
#include "core/file.h"
#include "core/mem.h"
#include "core/text.h"
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STAT_MAX 8192

const char *host_root = "";

/* The files of both versions. A limit of v1 that is none is a huge number, of v2 "max". */
static const struct version {
	const char *base, *limit, *used, *droppable;
} versions[] = {
        {"/sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file "},
        {"/sys/fs/cgroup", "memory.max", "memory.current", "inactive_file "},
};

static bool read_text(const char *dir, const char *file, char *buf, size_t size)
{
	cleanup_free char *path = mem_printf("%s%s%s%s", host_root, dir, *file ? "/" : "", file);
	return file_peek(path, buf, size) > 0;
}

/* The number in ${dir}/${file}; -1: there is none ("max", or no such file). */
static int64_t read_number(const char *dir, const char *file)
{
	char text[64];
	int64_t n;
	if (!read_text(dir, file, text, sizeof(text)))
		return -1;
	text[strcspn(text, "\n")] = '\0';
	return text_int(text, &n) ? -1 : n;
}

/* The number behind ${key} at the start of a line of ${text}; -1: there is none. */
static int64_t number_of(const char *text, const char *key)
{
	for (const char *p = text; p; p = strchr(p, '\n')) {
		p += *p == '\n';
		if (!strncmp(p, key, strlen(key)))
			return strtoll(p + strlen(key), NULL, 10);
	}
	return -1;
}

int64_t host_memory_free(void)
{
	char text[STAT_MAX];
	if (!read_text("/proc/meminfo", "", text, sizeof(text)))
		return -1;
	int64_t kib = number_of(text, "MemAvailable:");
	return kib < 0 ? -1 : kib << 10;
}

/* The memory group of process ${pid} (a number or "self"): its version and its path below the base. NULL: none. */
static const struct version *group_of(const char *pid, char path[PATH_MAX])
{
	char text[STAT_MAX], names[64];
	cleanup_free char *file = mem_printf("/proc/%s/cgroup", pid);
	const struct version *found = NULL;
	if (!read_text(file, "", text, sizeof(text)))
		return NULL;
	for (char *line = text, *next; line && *line; line = next) {
		if ((next = strchr(line, '\n')))
			*next++ = '\0';
		const char *at = strchr(line, '/');
		if (!at)
			continue;
		if (!strncmp(line, "0::", 3) && !found)
			found = &versions[1];
		else if (sscanf(line, "%*d:%63[^:]", names) == 1 && !strcmp(names, "memory"))
			found = &versions[0];
		else
			continue;
		snprintf(path, PATH_MAX, "%s%s", found->base, strcmp(at, "/") ? at : "");
	}
	return found;
}

/* What stands in group ${dir}, without what can be dropped; -1: it is not there. */
static int64_t used_in(const struct version *v, const char *dir)
{
	char text[STAT_MAX];
	int64_t used = read_number(dir, v->used),
	        droppable =
	                read_text(dir, "memory.stat", text, sizeof(text)) ? number_of(text, v->droppable) : 0;
	return used < 0 || droppable < 0 ? used : used > droppable ? used - droppable : 0;
}

static int64_t free_in(const struct version *v, const char *dir)
{
	int64_t limit = read_number(dir, v->limit), used = used_in(v, dir);
	if (limit < 0 || used < 0)
		return INT64_MAX;
	return limit > used ? limit - used : 0;
}

int64_t host_group_free(void)
{
	char dir[PATH_MAX];
	const struct version *v = group_of("self", dir);
	int64_t least = INT64_MAX;
	/* up to the base: in a container that is its own group, and what lies above it is not to be seen */
	while (v && strlen(dir) >= strlen(v->base)) {
		int64_t here = free_in(v, dir);
		least = here < least ? here : least;
		*strrchr(dir, '/') = '\0';
	}
	return least;
}

int64_t host_group_used(pid_t pid)
{
	char dir[PATH_MAX], own[PATH_MAX], number[16];
	snprintf(number, sizeof(number), "%d", (int)pid);
	const struct version *v = group_of(number, dir), *mine = group_of("self", own);
	if (!v || (mine && !strcmp(dir, own)))
		return -1;
	return used_in(v, dir);
}
