/* What the services of running sessions use: one reading each from their engine, and the share of a CPU between two. */
#include "compose/docker.h"
#include "core/clock.h"
#include "core/mem.h"
#include "sessions/operation.h"
#include "sessions/session.h"
#include <poll.h>
#include <string.h>

static const cJSON *same(const cJSON *before, const char *session, const char *name)
{
	const cJSON *one;
	cJSON_ArrayForEach(one, before)
	{
		if (!strcmp(json_text_or(one, "session", ""), session) &&
		    !strcmp(json_text_or(one, "name", ""), name))
			return one;
	}
	return NULL;
}

/* In percent of one CPU, to a tenth. A service that was started anew meanwhile began to count again. */
static void add_percent(cJSON *one, const cJSON *earlier)
{
	int64_t used = json_int(one, "cpu_us", 0) - json_int(earlier, "cpu_us", 0);
	int64_t passed = json_int(one, "read_us", 0) - json_int(earlier, "read_us", 0);
	if (used >= 0 && passed > 0)
		cJSON_AddNumberToObject(one, "cpu_percent", (double)(used * 1000 / passed) / 10);
}

#define WINDOW_MS 500    /* a share of a CPU is what was used between two readings */
#define PATIENCE_MS 5000 /* readings of many containers at once, on a loaded machine */

/* Nothing was read of ${row}: because nothing of it runs, which is fine, or because the engine does not tell. */
static int check_silence(struct state *st, const struct engine *engine, const struct session_row *row,
                         struct err *err)
{
	cleanup_json cJSON *services = engine->services(st, row);
	if (strcmp(json_text_or(services->child, "state", ""), "unknown") != 0)
		return 0;
	return err_set(err, ERR_ENGINE,
	               "what session %s uses is not known: Docker does not answer; `codefoundry doctor` says "
	               "why",
	               row->name);
}

static int add_session(cJSON *list, struct state *st, const struct session_row *row, const cJSON *before,
                       struct err *err)
{
	const struct engine *engine = engine_by_name(row->engine, err);
	if (!engine)
		return -1;
	if (!engine->stats)
		return err_set(err, ERR_ENGINE, "engine %s does not tell what its services use", row->engine);
	int64_t now = clock_mono_ms();
	cleanup_json cJSON *services = engine->stats(st, row);
	if (!services->child)
		return check_silence(st, engine, row, err);
	for (cJSON *one; (one = cJSON_DetachItemFromArray(services, 0));) {
		json_add_text(one, "session", row->name);
		json_add_int(one, "read_us", now * 1000);
		const cJSON *earlier = same(before, row->name, json_text_or(one, "name", ""));
		if (earlier && !json_at(one, "cpu_percent"))
			add_percent(one, earlier);
		cJSON_AddItemToArray(list, one);
	}
	return 0;
}

cJSON *session_stats(struct state *st, const char *name, const cJSON *before, struct err *err)
{
	struct session_row *rows = NULL;
	size_t n = 0;
	cleanup_json cJSON *list = json_array();
	if (name) {
		cleanup_row struct session_row row = {0};
		if (operation_find(st, name, &row, err))
			return NULL;
		if (row.state != SESSION_RUNNING)
			return err_set(err, ERR_STATE, "session %s is %s, not running", name,
			               lifecycle_state_name(row.state)),
			       NULL;
		docker_patience(PATIENCE_MS);
		int failed = add_session(list, st, &row, before, err);
		docker_patience(0);
		return failed ? NULL : TAKE(list);
	}
	int rc = store_rows(st, STORE_ALIVE, 0, &rows, &n, err);
	docker_patience(PATIENCE_MS);
	for (size_t i = 0; rc == 0 && i < n; i++)
		if (rows[i].state == SESSION_RUNNING)
			rc = add_session(list, st, &rows[i], before, err);
	docker_patience(0);
	store_rows_free(rows, n);
	return rc ? NULL : TAKE(list);
}

static bool lacks_percent(const cJSON *stats)
{
	const cJSON *one;
	cJSON_ArrayForEach(one, stats)
	{
		if (!json_at(one, "cpu_percent"))
			return true;
	}
	return false;
}

cJSON *session_usage(struct state *st, const char *name, struct err *err)
{
	cleanup_json cJSON *stats = session_stats(st, name, NULL, err);
	if (!stats || !lacks_percent(stats))
		return TAKE(stats);
	poll(NULL, 0, WINDOW_MS);
	return session_stats(st, name, stats, err);
}
