/* `codefoundry status` and `health`: what runs where, as a person or a script wants it. */
#include "cli/args.h"
#include "cli/cli.h"
#include "cli/engine_line.h"
#include "cli/plane.h"
#include "cli/term.h"
#include "compose/stack.h"
#include "core/clock.h"
#include "core/file.h"
#include "core/http_client.h"
#include "core/mem.h"
#include "sessions/session.h"
#include "testsuite/history.h"
#include <stdio.h>
#include <string.h>
#include <sys/statvfs.h>

#define HEALTH_TIMEOUT_MS 3000

static void add_addresses(cJSON *parts, const struct config *cfg)
{
	static const struct {
		const char *part, *format, *key;
	} addresses[] = {{"gateway", "ws://127.0.0.1:%lld", "GATEWAY_PORT"},
	                 {"telegram", "http://127.0.0.1:%lld", "TELEGRAM_PORT"},
	                 {"bot", "http://127.0.0.1:%lld/health", "BOT_PORT"}};
	cJSON *part;
	cJSON_ArrayForEach(part, parts)
	{
		for (size_t i = 0; i < ARRAY_LEN(addresses); i++) {
			if (strcmp(json_text(part, "name"), addresses[i].part) != 0)
				continue;
			char url[64];
			snprintf(url, sizeof(url), addresses[i].format,
			         (long long)config_int(cfg, addresses[i].key));
			json_add_text(part, "url", url);
		}
		json_add_int(part, "since_at", json_int(part, "since", 0));
	}
}

/* {running, parts, engine, sessions, last_test, disk_free_bytes} */
static cJSON *collect(const struct config *cfg, struct state *st, struct err *err)
{
	cleanup_free char *dir = plane_dir(st->dir);
	cleanup_json cJSON *status = json_object(), *reply = NULL;
	bool running = supervisor_ask(dir, "status", NULL, 5000, &reply, err) == 0;
	if (!running && err->code != ERR_NOT_FOUND)
		return NULL;
	err_clear(err);
	json_add_bool(status, "running", running);
	cJSON *parts = running ? cJSON_DetachItemFromObject(reply, "services") : json_array();
	add_addresses(parts, cfg);
	json_add(status, "parts", parts);
	json_add(status, "engine", engine_line(st));
	cJSON *sessions = sessions_list(st, false, err);
	if (!sessions)
		return NULL;
	json_add(status, "sessions", sessions);
	struct statvfs fs;
	json_add_int(status, "disk_free_bytes",
	             statvfs(st->dir, &fs) ? -1 : (int64_t)(fs.f_bavail * fs.f_frsize));
	cJSON *last;
	if (history_last(st, &last, err))
		return NULL;
	if (last)
		json_add(status, "last_test", last);
	return TAKE(status);
}

static void print_how_to_talk(const struct config *cfg, struct state *st)
{
	struct err err = {0};
	bool builtin;
	cleanup_json cJSON *credentials = NULL;
	if (plane_builtin_telegram(cfg, &builtin, &err))
		return;
	if (!builtin) {
		const char *users = config_text(cfg, "AUTHORIZED_USER_IDS");
		printf("\nReal Telegram: write to your bot. It answers %s\n",
		       users ? "the users in AUTHORIZED_USER_IDS."
		             : "nobody: AUTHORIZED_USER_IDS is not set.");
		return;
	}
	if (stack_credentials(st->dir, false, &credentials, &err))
		return;
	printf("\nNo TELEGRAM_BOT_TOKEN is set, so the built-in Telegram server is used. You are user %lld "
	       "(%s).\n"
	       "  in the terminal:  make chat   (codefoundry chat)\n"
	       "  in a browser:     http://127.0.0.1:%lld/#key=%s\n"
	       "  try:              /start  /status  /session start demo  /test all demo  /session stop "
	       "demo\n",
	       (long long)json_int(credentials, "users.0.id", 0), json_text(credentials, "users.0.role"),
	       (long long)config_int(cfg, "TELEGRAM_PORT"), json_text(credentials, "key"));
}

static void print_status(const cJSON *status, const struct config *cfg, struct state *st)
{
	static const struct term_column columns[] = {{"PART", "name"},   {"STATE", "state"},
	                                             {"PID", "pid"},     {"RESTARTS", "restarts"},
	                                             {"UP", "since_at"}, {"ADDRESS", "url"}};
	bool running = json_bool(status, "running", false);
	if (running)
		term_table(columns, ARRAY_LEN(columns), json_at(status, "parts"));
	else
		printf("Nothing runs: `make up` (codefoundry up) starts it.\n");
	cleanup_str struct str engine = STR_INIT;
	engine_line_text(json_at(status, "engine"), &engine);
	printf("\nengine: %s\nsessions: %d", str_text(&engine),
	       cJSON_GetArraySize(json_at(status, "sessions")));
	if (json_at(status, "last_test"))
		printf("   last test run: %lld of %lld passed",
		       (long long)json_int(status, "last_test.passed", 0),
		       (long long)json_int(status, "last_test.total", 0));
	printf("   disk free: %.1f GiB   state: %s\n",
	       (double)json_int(status, "disk_free_bytes", 0) / (1 << 30), st->dir);
	if (running)
		print_how_to_talk(cfg, st);
}

int cli_status(const struct config *cfg, int argc, char **argv, struct err *err)
{
	bool json = false;
	const struct arg table[] = {{"json", ARG_FLAG, &json}, {0}};
	struct args a = {"codefoundry status [--json]", table};
	cleanup_state struct state *st = NULL;
	if (args_parse(&a, argc, argv, err) || state_open(&st, cfg, err))
		return -1;
	cleanup_json cJSON *status = collect(cfg, st, err);
	if (!status)
		return -1;
	if (json)
		term_json(status);
	else
		print_status(status, cfg, st);
	return 0;
}

/* The same ports are the defaults of every installation: whoever has them answers. A part of an earlier version does not say whose it is. */
static bool is_ours(const cJSON *health, const struct state *st)
{
	const char *theirs = json_text(health, "state");
	cleanup_free char *ours = st ? state_mark(st->dir) : NULL;
	return !theirs || !ours || !strcmp(theirs, ours);
}

/* Ask one part; fills its {status, detail}. Returns whether it is healthy. */
static bool ask(cJSON *part, struct state *st)
{
	struct err err = {0};
	struct http_reply reply;
	const char *url = json_text(part, "url");
	bool healthy = false;
	if (!url) {
		healthy = worker_alive(st);
		json_add_text(part, "detail", healthy ? "runs" : "does not run");
	} else if (http_fetch(&(struct http_request){.url = url, .total_ms = HEALTH_TIMEOUT_MS}, &reply,
	                      &err)) {
		json_add_text(part, "detail", err.msg);
	} else {
		cleanup_json cJSON *body = json_parse(reply.body, reply.len, &err);
		bool ours = is_ours(body, st);
		healthy = ours && reply.status == 200;
		json_add_text(part, "detail",
		              ours ? json_text_or(body, "reason", "")
		                   : "another installation on this machine answers at its port; `codefoundry "
		                     "up` says what to change");
		http_reply_free(&reply);
	}
	json_add_text(part, "status", healthy ? "healthy" : "unhealthy");
	return healthy;
}

/* The part that process 1 of this container is: the first of its arguments that names one. NULL on a machine of its own. */
static cJSON *part_of_container(const struct config *cfg)
{
	char line[1024];
	cJSON *all = plane_health_urls(cfg, true), *part = NULL;
	ssize_t n = file_peek("/proc/1/cmdline", line, sizeof(line));
	for (const char *arg = line; !part && n > 0 && arg < line + n; arg += strlen(arg) + 1)
		cJSON_ArrayForEach(part, all) if (!strcmp(json_text(part, "part"), arg)) break;
	if (part)
		cJSON_DetachItemViaPointer(all, part);
	cJSON_Delete(all);
	return part;
}

/* For the container engine, which asks every few seconds: one part, no table. */
static int health_self(const struct config *cfg, struct err *err)
{
	cleanup_json cJSON *part = part_of_container(cfg);
	cleanup_state struct state *st = NULL;
	if (!part)
		return err_set(err, ERR_STATE,
		               "process 1 is none of ours: --self is for the health check of a container");
	if (!json_text(part, "url") && state_open(&st, cfg, err))
		return -1;
	if (!ask(part, st))
		return err_set(err, ERR_FAILED, "%s is unhealthy: %s", json_text(part, "part"),
		               json_text(part, "detail"));
	printf("%s is healthy\n", json_text(part, "part"));
	return 0;
}

int cli_health(const struct config *cfg, int argc, char **argv, struct err *err)
{
	static const struct term_column columns[] = {
	        {"PART", "part"}, {"HEALTH", "status"}, {"DETAIL", "detail"}};
	bool json = false, self = false, builtin;
	const struct arg table[] = {{"json", ARG_FLAG, &json}, {"self", ARG_FLAG, &self}, {0}};
	struct args a = {"codefoundry health [PART] [--json]   e.g. codefoundry health gateway; --self: in a "
	                 "container",
	                 table, .most = 1};
	cleanup_state struct state *st = NULL;
	if (args_parse(&a, argc, argv, err))
		return -1;
	if (self)
		return health_self(cfg, err);
	if (plane_builtin_telegram(cfg, &builtin, err) || state_open(&st, cfg, err))
		return -1;
	cleanup_json cJSON *all = plane_health_urls(cfg, builtin), *asked = json_array();
	int ill = 0;
	for (cJSON *part; (part = cJSON_DetachItemFromArray(all, 0));) {
		if (a.n && strcmp(a.words[0], json_text(part, "part")) != 0) {
			cJSON_Delete(part);
			continue;
		}
		ill += !ask(part, st);
		cJSON_AddItemToArray(asked, part);
	}
	if (!cJSON_GetArraySize(asked))
		return err_set(err, ERR_USAGE, "there is no part '%s': gateway, bot, worker, telegram",
		               a.words[0]);
	if (json)
		term_json(asked);
	else
		term_table(columns, ARRAY_LEN(columns), asked);
	return ill ? err_set(err, ERR_FAILED, "%d of %d parts unhealthy; `codefoundry status` tells more",
	                     ill, cJSON_GetArraySize(asked))
	           : 0;
}
