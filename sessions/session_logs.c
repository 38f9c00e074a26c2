/* Log lines of a session: what was written, and what comes. */
#include "compose/docker.h"
#include "core/mem.h"
#include "sessions/operation.h"
#include "sessions/session.h"
#include <string.h>

#define PATIENCE_MS 10000
#define PATIENCE_BOT_MS 1000 /* a bot and a gateway ask in their loops */

/* ${wanted} (NULL-terminated), each once and in the session's order; none: all of them. NULL with ${err}. */
static cJSON *choose(const struct session_row *row, const char *const *wanted, struct err *err)
{
	cleanup_json cJSON *names = json_array(), *chosen = json_array();
	const cJSON *one;
	for (const char *const *w = wanted; w && *w; w++) {
		if (operation_has_service(row, *w, err))
			return NULL;
		cJSON_AddItemToArray(names, cJSON_CreateString(*w));
	}
	cJSON_ArrayForEach(one, json_at(row->spec, "services"))
	{
		if (!names->child || json_has_text(names, one->valuestring))
			cJSON_AddItemToArray(chosen, cJSON_CreateString(one->valuestring));
	}
	return TAKE(chosen);
}

static struct logs_window bounded(const struct logs_window *w)
{
	struct logs_window b = *w;
	b.n = b.n < 0 ? 0 : b.n > LOGS_MAX ? LOGS_MAX : b.n;
	return b;
}

static cJSON *collect(struct state *st, const struct engine *engine, const struct session_row *row,
                      const cJSON *services, const struct logs_window *w, struct err *err)
{
	const cJSON *one;
	int count = 0, size = cJSON_GetArraySize(services);
	cleanup_free cJSON **logs = mem_alloc(((size_t)size + 1) * sizeof(*logs));
	cleanup_free const char **names = mem_alloc(((size_t)size + 1) * sizeof(*names));
	cJSON_ArrayForEach(one, services)
	{
		names[count] = one->valuestring;
		logs[count] = engine->logs(st, row, one->valuestring, w, err);
		if (!logs[count])
			break;
		count++;
	}
	cJSON *merged = count == size ? logs_merge(logs, names, count, w->n) : NULL;
	for (int i = 0; i < count; i++)
		cJSON_Delete(logs[i]);
	return merged;
}

/* Nothing is of the age that was asked for: because nothing was written then, or because nobody knows when. */
static int check_times(struct state *st, const struct engine *engine, const struct session_row *row,
                       const cJSON *services, const struct logs_window *w, struct err *err)
{
	const struct logs_window any = {.n = w->n};
	cleanup_json cJSON *entries = collect(st, engine, row, services, &any, err);
	if (!entries || !entries->child || logs_timed(entries))
		return entries ? 0 : -1;
	return err_set(
	        err, ERR_INVALID,
	        "what session %s wrote carries no time, so its age is not known: leave --since and --until "
	        "out",
	        row->name);
}

static cJSON *entries_of(struct state *st, const char *name, const char *const *services,
                         const struct logs_window *w, struct err *err)
{
	cleanup_row struct session_row row = {0};
	if (operation_find(st, name, &row, err))
		return NULL;
	const struct engine *engine = engine_by_name(row.engine, err);
	cleanup_json cJSON *chosen = engine ? choose(&row, services, err) : NULL;
	cleanup_json cJSON *entries = chosen ? collect(st, engine, &row, chosen, w, err) : NULL;
	if (entries && !entries->child && (w->since_ms || w->until_ms) &&
	    check_times(st, engine, &row, chosen, w, err))
		return NULL;
	return TAKE(entries);
}

cJSON *session_log_entries(struct state *st, const char *name, const char *const *services,
                           const struct logs_window *w, struct err *err)
{
	const struct logs_window window = bounded(w);
	docker_patience(PATIENCE_MS);
	cJSON *entries = entries_of(st, name, services, &window, err);
	docker_patience(0);
	return entries;
}

cJSON *session_logs(struct state *st, const char *name, const char *service, int n, struct err *err)
{
	const char *const services[] = {service, NULL};
	const struct logs_window window = bounded(&(struct logs_window){.n = n < 1 ? 1 : n});
	docker_patience(PATIENCE_BOT_MS);
	cleanup_json cJSON *entries = entries_of(st, name, services, &window, err);
	docker_patience(0);
	if (!entries)
		return NULL;
	cJSON *lines = json_array();
	const cJSON *entry;
	cJSON_ArrayForEach(entry, entries)
	{
		const char *msg = json_text_or(entry, "msg", "");
		cleanup_free char *line =
		        service ? mem_strdup(msg) : mem_printf("%s | %s", json_text(entry, "service"), msg);
		cJSON_AddItemToArray(lines, cJSON_CreateString(line));
	}
	return lines;
}

int session_follow(struct state *st, const char *name, const char *const *services,
                   const struct logs_window *w, logs_fn *fn, void *arg, struct err *err)
{
	cleanup_row struct session_row row = {0};
	const struct logs_window window = bounded(w);
	if (operation_find(st, name, &row, err) || operation_running(&row, err))
		return -1;
	const struct engine *engine = engine_by_name(row.engine, err);
	cleanup_json cJSON *chosen = engine ? choose(&row, services, err) : NULL;
	return chosen ? engine->follow(st, &row, chosen, &window, fn, arg, err) : -1;
}
