#include "sessions/cgroup.h"
#include "core/clock.h"
#include "core/file.h"
#include "core/mem.h"
#include "sessions/marker.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define EMPTY_WAIT_MS 5000
#define PERIOD_US 100000
#define PREFIX "codefoundry-"

/* Where cgroup2 is mounted (proc(5), mountinfo: field 5 is the mount point, after " - " the type). On hybrid hosts that is
 * /sys/fs/cgroup/unified. NULL when there is none. */
static char *find_mount(void)
{
	FILE *f = fopen("/proc/self/mountinfo", "re");
	char *line = NULL, *found = NULL, point[512];
	size_t cap = 0;
	while (f && !found && getline(&line, &cap, f) > 0)
		if (strstr(line, " - cgroup2 ") && sscanf(line, "%*s %*s %*s %*s %511s", point) == 1)
			found = mem_strdup(point);
	if (f)
		fclose(f);
	free(line);
	return found;
}

/* Where groups of sessions are made: the root, or the session that this process runs in. NULL: nowhere. */
static char *find_parent(void)
{
	cleanup_free char *mount = find_mount();
	if (!mount || geteuid() != 0)
		return NULL;
	char buf[4096];
	const char *own = "";
	if (marker_inside() && file_peek("/proc/self/cgroup", buf, sizeof(buf)) > 0) {
		char *line = !strncmp(buf, "0::", 3) ? buf : strstr(buf, "\n0::");
		if (line) {
			line = strstr(line, "0::") + 3;
			line[strcspn(line, "\n")] = '\0';
			own = strcmp(line, "/") ? line : "";
		}
	}
	return mem_printf("%s%s", mount, own);
}

char *cgroup_path(const char *install, const char *uuid)
{
	cleanup_free char *parent = find_parent();
	return parent ? mem_printf("%s/" PREFIX "%s.%s", parent, install, uuid) : NULL;
}

void cgroup_find(const char *install, cJSON *list)
{
	cleanup_free char *parent = find_parent();
	DIR *d = parent ? opendir(parent) : NULL;
	char session[ID_UUID_LEN + 1];
	struct dirent *e;
	while (d && (e = readdir(d)))
		if (!strncmp(e->d_name, PREFIX, strlen(PREFIX)) &&
		    marker_parse(e->d_name + strlen(PREFIX), install, session))
			cJSON_AddItemToArray(list, cJSON_CreateString(session));
	if (d)
		closedir(d);
}

static bool put(const char *dir, const char *file, const char *text)
{
	cleanup_free char *path = mem_printf("%s/%s", dir, file);
	cleanup_close int fd = open(path, O_WRONLY | O_CLOEXEC);
	return fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);
}

static void limit(const char *dir, int64_t memory_mib, int64_t cpu_percent)
{
	char memory[32], cpu[64];
	snprintf(memory, sizeof(memory), "%lld", (long long)memory_mib << 20);
	snprintf(cpu, sizeof(cpu), "%lld %d", (long long)cpu_percent * PERIOD_US / 100, PERIOD_US);
	if (memory_mib)
		put(dir, "memory.max", memory);
	if (cpu_percent)
		put(dir, "cpu.max", cpu);
}

bool cgroup_enter(const char *dir, int64_t memory_mib, int64_t cpu_percent)
{
	if (mkdir(dir, 0700) && errno != EEXIST)
		return false;
	limit(dir, memory_mib, cpu_percent);
	if (put(dir, "cgroup.procs", "0"))
		return true;
	rmdir(dir);
	return false;
}

static int count_below(const char *dir)
{
	cleanup_free char *procs = mem_printf("%s/cgroup.procs", dir);
	FILE *f = fopen(procs, "re");
	int n = 0, c;
	while (f && (c = getc(f)) != EOF)
		n += c == '\n';
	if (f)
		fclose(f);
	DIR *d = opendir(dir);
	struct dirent *e;
	while (d && (e = readdir(d))) {
		if (e->d_type != DT_DIR || e->d_name[0] == '.')
			continue;
		cleanup_free char *sub = mem_printf("%s/%s", dir, e->d_name);
		n += count_below(sub);
	}
	if (d)
		closedir(d);
	return n;
}

int cgroup_count(const char *dir)
{
	return dir ? count_below(dir) : 0;
}

/* Groups are directories whose files cannot be unlinked: rmdir from the leaves up. */
static int remove_below(const char *dir)
{
	DIR *d = opendir(dir);
	struct dirent *e;
	while (d && (e = readdir(d))) {
		if (e->d_type != DT_DIR || e->d_name[0] == '.')
			continue;
		cleanup_free char *sub = mem_printf("%s/%s", dir, e->d_name);
		remove_below(sub);
	}
	if (d)
		closedir(d);
	return rmdir(dir);
}

/* The kernel notifies a change of "populated" as POLLPRI on cgroup.events. */
static void wait_empty(const char *dir)
{
	cleanup_free char *path = mem_printf("%s/cgroup.events", dir);
	cleanup_close int fd = open(path, O_RDONLY | O_CLOEXEC);
	int64_t deadline = clock_mono_ms() + EMPTY_WAIT_MS, left;
	char buf[256];
	ssize_t n;
	while (fd >= 0 && (n = pread(fd, buf, sizeof(buf) - 1, 0)) > 0 &&
	       (left = deadline - clock_mono_ms()) > 0) {
		buf[n] = '\0';
		if (strstr(buf, "populated 0"))
			return;
		struct pollfd p = {.fd = fd, .events = POLLPRI};
		poll(&p, 1, (int)left);
	}
}

int cgroup_remove(const char *dir, struct err *err)
{
	if (!dir || !path_exists(dir))
		return 0;
	put(dir, "cgroup.kill", "1");
	wait_empty(dir);
	if (remove_below(dir) && errno != ENOENT)
		return err_sys(err, errno, "remove control group %s", dir);
	return 0;
}
