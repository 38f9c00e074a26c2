#include "sessions/process_usage.h"
#include "core/file.h"
#include "core/mem.h"
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct one {
	pid_t pid, parent;
	int64_t ticks, pages;
};

/* See proc(5), /proc/pid/stat. Returns 0, or -1 when it is gone. */
static int look(const char *pid, struct one *one)
{
	char path[64], buf[1024];
	long long ticks[4] = {0}, pages = 0;
	int parent = 0;
	snprintf(path, sizeof(path), "/proc/%.20s/stat", pid);
	if (file_peek(path, buf, sizeof(buf)) <= 0)
		return -1;
	const char *p = strrchr(buf, ')'); /* the name may hold anything */
	if (!p || sscanf(p + 1,
	                 " %*c %d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lld %lld %lld %lld %*d %*d %*d %*d "
	                 "%*u %*u %lld",
	                 &parent, &ticks[0], &ticks[1], &ticks[2], &ticks[3], &pages) != 6)
		return -1;
	*one = (struct one){.pid = (pid_t)atoi(pid), .parent = parent, .pages = pages};
	for (size_t i = 0; i < ARRAY_LEN(ticks); i++)
		one->ticks += ticks[i];
	return 0;
}

/* All processes; transfers ${*list}. */
static size_t look_at_all(struct one **list)
{
	size_t n = 0, room = 0;
	DIR *dir = opendir("/proc");
	struct dirent *e;
	*list = NULL;
	while (dir && (e = readdir(dir))) {
		if (e->d_name[0] < '1' || e->d_name[0] > '9')
			continue;
		if (n == room)
			*list = mem_resize(*list, room = room ? 2 * room : 256, sizeof(**list));
		n += look(e->d_name, &(*list)[n]) == 0;
	}
	if (dir)
		closedir(dir);
	return n;
}

/* Sum up ${root} and what descends from it: each pass takes one generation, for pids say nothing about age. */
static void add_tree(cJSON *service, struct one *list, size_t n, pid_t root)
{
	int64_t ticks = 0, pages = 0, pids = 0, before = -1;
	bool *ours = mem_alloc((n + 1) * sizeof(*ours));
	while (root && pids != before) {
		before = pids;
		for (size_t i = 0; i < n; i++) {
			bool born = list[i].pid == root;
			for (size_t k = 0; k < n && !born && !ours[i]; k++)
				born = ours[k] && list[k].pid == list[i].parent;
			if (!born || ours[i])
				continue;
			ours[i] = true;
			ticks += list[i].ticks;
			pages += list[i].pages;
			pids++;
		}
	}
	free(ours);
	json_add_int(service, "cpu_us", ticks * 1000000 / sysconf(_SC_CLK_TCK));
	json_add_int(service, "memory_bytes", pages * sysconf(_SC_PAGESIZE));
	json_add_int(service, "pids", pids);
}

void process_usage(cJSON *services)
{
	cleanup_free struct one *list = NULL;
	size_t n = look_at_all(&list);
	cJSON *service;
	cJSON_ArrayForEach(service, services) add_tree(service, list, n, (pid_t)json_int(service, "pid", 0));
}
