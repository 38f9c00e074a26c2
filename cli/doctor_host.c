/* What the doctor looks at on the machine itself. */
#include "cli/doctor_private.h"
#include "compose/docker.h"
#include "core/clock.h"
#include "core/file.h"
#include "core/mem.h"
#include "sessions/host.h"
#include "sessions/lease.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/timex.h>
#include <unistd.h>

#define DISK_FREE_LEAST 10           /* percent */
#define CLOCK_LEAST_MS 1735689600000 /* 2025-01-01: before this program was written */
#define CLOCK_SLACK_MS 60000
#define GIB ((double)(1 << 30))

/* A file made and removed again: rights alone do not tell of read-only and full file systems. */
static int try_write(const struct state *st, struct err *err)
{
	cleanup_free char *path = state_path(st, "doctor.%d", (int)getpid());
	int rc = file_write(path, "x", 1, 0600, err);
	unlink(path);
	return rc;
}

void doctor_check_state(struct doctor *d)
{
	static const char check[] = "state";
	struct err err = {0};
	struct stat at;
	if (state_open(&d->st, d->cfg, &err)) {
		d->st = NULL;
		doctor_found(d, check, STATE_BAD, "%s", err.msg);
		return;
	}
	if (try_write(d->st, &err)) {
		doctor_found(d, check, STATE_BAD, "%s", err.msg);
		doctor_advise(d, "make %s writable, or set STATE_DIR to a directory that is", d->st->dir);
	} else if (stat(d->st->dir, &at) == 0 && (at.st_mode & 077)) {
		doctor_found(d, check, STATE_WARN,
		             "%s may be entered by others (mode %04o); tokens are in it", d->st->dir,
		             at.st_mode & 07777u);
		doctor_advise(d, "chmod 0700 %s", d->st->dir);
	} else {
		doctor_found(d, check, STATE_OK, "%s, mode 0700, writable", d->st->dir);
	}
}

static void check_space(struct doctor *d, const char *check, const char *dir)
{
	struct statvfs fs;
	if (statvfs(dir, &fs) || !fs.f_blocks) {
		doctor_found(d, check, STATE_WARN, "%s: %s", dir, strerror(errno));
		return;
	}
	double free_bytes = (double)fs.f_bavail * (double)fs.f_frsize;
	int percent = (int)(100.0 * (double)fs.f_bavail / (double)fs.f_blocks);
	bool low = percent < DISK_FREE_LEAST;
	doctor_found(d, check, low ? STATE_WARN : STATE_OK, "%.1f GiB, %d %% free for %s", free_bytes / GIB,
	             percent, dir);
	if (low)
		doctor_advise(d,
		              "%d %% should be free: stop sessions, remove unused images, or move STATE_DIR",
		              DISK_FREE_LEAST);
}

void doctor_check_disk(struct doctor *d)
{
	const char *root = json_text(d->docker, "root");
	if (d->st)
		check_space(d, "disk", d->st->dir);
	if (root && d->compose && path_exists(root)) /* hidden from who may not enter it */
		check_space(d, "docker's disk", root);
}

/* What sessions can take: processes stand in our control group, containers in those of their engine. -1: not known. */
static int64_t available_mib(const struct doctor *d, const char **where)
{
	int64_t host = host_memory_free(), group = d->compose ? INT64_MAX : host_group_free();
	bool limited = host >= 0 && group < host;
	*where = limited ? " in this control group" : "";
	return host < 0 ? -1 : (limited ? group : host) >> 20;
}

void doctor_check_memory(struct doctor *d)
{
	const char *where;
	int64_t each = config_int(d->cfg, "SESSION_MEMORY_MB"), mib = available_mib(d, &where);
	char size[32];
	if (mib < 0) {
		doctor_found(d, "memory", STATE_WARN, "/proc/meminfo does not tell what is available");
		return;
	}
	if (mib < 1024)
		snprintf(size, sizeof(size), "%lld MiB", (long long)mib);
	else
		snprintf(size, sizeof(size), "%.1f GiB", (double)mib / 1024);
	if (!each)
		doctor_found(d, "memory", STATE_OK, "%s available%s; sessions have no limit", size, where);
	else
		doctor_found(d, "memory", mib < each ? STATE_WARN : STATE_OK,
		             "%s available%s: %lld sessions that use all of their %lld MiB", size, where,
		             (long long)(mib / each), (long long)each);
	if (each && mib < each)
		doctor_advise(d, "stop something, or lower SESSION_MEMORY_MB");
}

/* Whether ${word} is among the controllers in ${path}. */
static bool has_controller(const char *path, const char *word)
{
	char text[512];
	if (file_peek(path, text, sizeof(text)) <= 0)
		return false;
	char *rest = text, *each;
	while ((each = strsep(&rest, " \n")))
		if (!strcmp(each, word))
			return true;
	return false;
}

/* Processes have limits where we may make groups in the one tree of cgroup v2 that has the controllers. */
static void check_process_limits(struct doctor *d)
{
	static const char tree[] = "/sys/fs/cgroup/cgroup.controllers";
	if (!path_exists(tree)) {
		doctor_found(d, "limits", STATE_WARN,
		             "cgroup v1: memory and CPU of sessions are not limited");
		doctor_advise(
		        d,
		        "boot with systemd.unified_cgroup_hierarchy=1, or use containers (ENGINE=compose)");
	} else if (geteuid() != 0) {
		doctor_found(d, "limits", STATE_WARN,
		             "cgroup v2, but only root may set limits here: sessions have none");
		doctor_advise(d, "run as root, or use containers (ENGINE=compose)");
	} else if (!has_controller(tree, "memory") || !has_controller(tree, "cpu")) {
		doctor_found(d, "limits", STATE_WARN,
		             "cgroup v2 without its memory or cpu controller: sessions have "
		             "no limits");
		doctor_advise(d, "use containers (ENGINE=compose), or enable the controllers");
	} else {
		doctor_found(d, "limits", STATE_OK, "cgroup v2: memory and CPU of sessions are limited");
	}
}

/* The kernel may have been built, or booted, without what the engine limits with; it says so itself. */
static void check_container_limits(struct doctor *d)
{
	struct err err = {0};
	const char *version = json_text_or(d->docker, "cgroup", "1");
	cleanup_json cJSON *info = docker_get("/info", &err);
	bool memory = json_bool(info, "MemoryLimit", false), cpu = json_bool(info, "CpuCfsQuota", false);
	if (!info) {
		doctor_found(d, "limits", STATE_WARN, "%s", err.msg);
	} else if (memory && cpu) {
		doctor_found(d, "limits", STATE_OK, "cgroup v%s: %s limits memory and CPU of sessions",
		             version, docker_name());
	} else {
		doctor_found(d, "limits", STATE_WARN, "cgroup v%s: this kernel lets %s limit %s", version,
		             docker_name(),
		             memory ? "memory, but no CPU"
		             : cpu  ? "CPU, but no memory"
		                    : "neither memory nor CPU");
		doctor_advise(d, "boot with cgroup_enable=memory, or a kernel with these controllers");
	}
}

void doctor_check_cgroup(struct doctor *d)
{
	if (!d->compose)
		check_process_limits(d);
	else if (d->docker)
		check_container_limits(d);
}

void doctor_check_leases(struct doctor *d)
{
	struct err err = {0};
	cleanup_json cJSON *survey = d->st ? lease_survey(d->st, &err) : NULL;
	if (!survey) {
		if (d->st)
			doctor_found(d, "leases", STATE_BAD, "%s", err.msg);
		return;
	}
	const cJSON *ports = json_at(survey, "ports"), *nets = json_at(survey, "subnets");
	bool none = json_int(ports, "free", 0) == 0, full = json_int(nets, "free", 0) == 0;
	doctor_found(d, "session ports", none ? STATE_BAD : STATE_OK,
	             "%lld-%lld: %lld free, %lld leased, %lld taken by others",
	             (long long)json_int(ports, "low", 0), (long long)json_int(ports, "high", 0),
	             (long long)json_int(ports, "free", 0), (long long)json_int(ports, "leased", 0),
	             (long long)json_int(ports, "taken", 0));
	if (none)
		doctor_advise(d, "stop sessions, or widen SESSION_PORT_RANGE");
	bool crossed = json_int(nets, "conflicts", 0) > 0;
	doctor_found(d, "subnets",
	             full      ? doctor_needed(d)
	             : crossed ? STATE_WARN
	                       : STATE_OK,
	             "%s: %lld free, %lld leased (%lld of them routed elsewhere), %lld taken by others",
	             json_text(nets, "pool"), (long long)json_int(nets, "free", 0),
	             (long long)json_int(nets, "leased", 0), (long long)json_int(nets, "conflicts", 0),
	             (long long)json_int(nets, "taken", 0));
	if (full)
		doctor_advise(
		        d, "stop sessions, or move SESSION_SUBNET_POOL to a network this host does not use");
	else if (crossed)
		doctor_advise(
		        d, "a route came after the lease (a VPN?): restart those sessions elsewhere, or move "
		           "SESSION_SUBNET_POOL");
}

void doctor_check_clock(struct doctor *d)
{
	struct err err = {0};
	struct timex t = {0};
	char now[32];
	int64_t newest = 0, at = clock_now_ms();
	if (d->st && db_get_int(d->st->db, &newest, &err, "SELECT max(created_at) FROM jobs", ""))
		newest = 0;
	clock_iso(at, now, sizeof(now));
	if (at < CLOCK_LEAST_MS || newest > at + CLOCK_SLACK_MS) {
		doctor_found(d, "clock", STATE_BAD, "%s is in the past%s", now,
		             newest > at ? ": jobs were made later than that" : "");
		doctor_advise(d, "set the clock; sessions expire by it");
	} else {
		int how = adjtimex(&t);
		bool synchronised = how >= 0 && how != TIME_ERROR;
		doctor_found(d, "clock", STATE_OK, "%s%s", now, synchronised ? ", synchronised" : "");
	}
}
