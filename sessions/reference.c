#include "sessions/reference.h"
#include "core/clock.h"
#include "core/file.h"
#include "core/mem.h"
#include "sessions/session.h"
#include "sessions/store.h"
#include <string.h>

#define HOUR_MS 3600000

/* To the second, as date(1) writes it there. */
static void add_started(cJSON *entry, int64_t ms)
{
	char text[32];
	clock_iso(ms, text, sizeof(text));
	char *dot = strchr(text, '.');
	if (dot)
		memcpy(dot, "Z", 2);
	json_add_text(entry, "started", text);
}

cJSON *reference_list(struct state *st, struct err *err)
{
	struct session_row *rows = NULL;
	size_t n = 0;
	if (store_rows(st, STORE_ALIVE, 0, &rows, &n, err))
		return NULL;
	cJSON *file = json_object(), *sessions = json_object();
	json_add(file, "sessions", sessions);
	for (size_t i = 0; i < n; i++) {
		if (rows[i].pool)
			continue;
		cJSON *entry = json_object();
		cleanup_free char *override = mem_printf("%s/override.yml", rows[i].dir ? rows[i].dir : "");
		json_add_text(entry, "name", rows[i].name);
		add_started(entry, rows[i].created_at);
		json_add_text(entry, "compose_file", path_exists(override) ? override : "");
		json_add_text(entry, "status", lifecycle_state_name(rows[i].state));
		json_add(sessions, rows[i].name, entry);
	}
	store_rows_free(rows, n);
	return file;
}

static bool is_listed(const cJSON *names, const char *name)
{
	const cJSON *one;
	cJSON_ArrayForEach(one, names)
	{
		if (!strcmp(json_text_or(one, "name", ""), name))
			return true;
	}
	return false;
}

static void decide(struct state *st, cJSON *planned, const char *name, const cJSON *entry, const cJSON *names)
{
	struct err why = {0};
	cJSON *one = json_object();
	int64_t started = clock_parse_iso(json_text_or(entry, "started", "")),
	        oldest = clock_now_ms() - HOUR_MS * config_int(st->cfg, "SESSION_MAX_AGE_HOURS");
	const char *status = json_text_or(entry, "status", "running"), *action = "start", *reason = NULL;
	if (session_name_check(name, &why))
		action = "refused", reason = why.msg;
	else if (is_listed(names, name) || is_listed(planned, name))
		action = "listed";
	else if (strcmp(status, "running") != 0)
		action = "ended", reason = status;
	else if (started && started < oldest)
		action = "expired";
	json_add_text(one, "name", name);
	json_add_int(one, "started_at", started);
	json_add_text(one, "action", action);
	if (reason)
		json_add_text(one, "reason", reason);
	cJSON_AddItemToArray(planned, one);
}

cJSON *reference_plan(struct state *st, const cJSON *file, struct err *err)
{
	const cJSON *sessions = json_at(file, "sessions"), *entry;
	if (!cJSON_IsObject(file) || (sessions && !cJSON_IsObject(sessions))) {
		err_set(err, ERR_INVALID,
		        "this is no list of sessions: {\"sessions\": {\"NAME\": {…}}} is wanted");
		return NULL;
	}
	cleanup_json cJSON *names = session_names(st, err);
	if (!names)
		return NULL;
	cJSON *planned = json_array();
	cJSON_ArrayForEach(entry, sessions)
	        decide(st, planned, entry->string ? entry->string : "", entry, names);
	return planned;
}
