/* `codefoundry info`: what this installation is, for people and for reports of faults. */
#include "cli/args.h"
#include "cli/cli.h"
#include "cli/engine_line.h"
#include "cli/term.h"
#include "compose/image.h"
#include "core/mem.h"
#include "core/proc.h"
#include "core/version.h"
#include "sessions/session.h"
#include <stdio.h>
#include <sys/statvfs.h>
#include <sys/sysinfo.h>
#include <sys/utsname.h>

static void add_machine(cJSON *info, const char *dir)
{
	struct utsname host;
	struct statvfs fs;
	struct sysinfo memory;
	if (uname(&host) == 0) {
		cleanup_free char *kernel = mem_printf("%s %s %s", host.sysname, host.release, host.machine);
		json_add_text(info, "kernel", kernel);
	}
	if (sysinfo(&memory) == 0)
		json_add_int(info, "memory_bytes", (int64_t)memory.totalram * memory.mem_unit);
	if (statvfs(dir, &fs) == 0)
		json_add_int(info, "disk_free_bytes", (int64_t)(fs.f_bavail * fs.f_frsize));
}

static cJSON *collect(const struct config *cfg, struct state *st, struct err *err)
{
	cleanup_json cJSON *sessions = sessions_list(st, false, err);
	if (!sessions)
		return NULL;
	cJSON *info = json_object();
	json_add_text(info, "version", version_text);
	json_add_text(info, "program", proc_self());
	json_add_text(info, "settings", config_file(cfg));
	json_add_text(info, "state_dir", st->dir);
	json_add_text(info, "install", st->install);
	json_add(info, "engine", engine_line(st));
	cleanup_free char *cache = state_path(st, "cache"), *image = image_reference(cache, err);
	json_add_text(info, "image", image);
	err_clear(err); /* `doctor` says why there can be none */
	json_add_int(info, "sessions", cJSON_GetArraySize(sessions));
	json_add_int(info, "sessions_max", config_int(cfg, "SESSION_MAX_COUNT"));
	json_add_text(info, "ports", config_text(cfg, "SESSION_PORT_RANGE"));
	add_machine(info, st->dir);
	return info;
}

static void print_info(const cJSON *info)
{
	const double gib = 1 << 30;
	cleanup_str struct str engine = STR_INIT;
	engine_line_text(json_at(info, "engine"), &engine);
	printf("codefoundry %s\n", json_text(info, "version"));
	printf("  program       %s\n", json_text(info, "program"));
	printf("  settings      %s\n", json_text_or(info, "settings", "environment only"));
	printf("  state         %s\n", json_text(info, "state_dir"));
	printf("  installation  %s\n", json_text(info, "install"));
	printf("  engine        %s\n", str_text(&engine));
	printf("  image         %s\n", json_text_or(info, "image", "none; `codefoundry doctor` says why"));
	printf("  sessions      %lld of at most %lld, host ports %s\n",
	       (long long)json_int(info, "sessions", 0), (long long)json_int(info, "sessions_max", 0),
	       json_text(info, "ports"));
	printf("  machine       %s, %.1f GiB memory, %.1f GiB disk free\n", json_text_or(info, "kernel", "?"),
	       (double)json_int(info, "memory_bytes", 0) / gib,
	       (double)json_int(info, "disk_free_bytes", 0) / gib);
}

int cli_info(const struct config *cfg, int argc, char **argv, struct err *err)
{
	bool json = false;
	const struct arg table[] = {{"json", ARG_FLAG, &json}, {0}};
	struct args a = {"codefoundry info [--json]   e.g. codefoundry info --json", table};
	cleanup_state struct state *st = NULL;
	if (args_parse(&a, argc, argv, err) || state_open(&st, cfg, err))
		return -1;
	cleanup_json cJSON *info = collect(cfg, st, err);
	if (!info)
		return -1;
	if (json)
		term_json(info);
	else
		print_info(info);
	return 0;
}
