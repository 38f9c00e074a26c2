#include "testsuite/history.h"
#include "core/clock.h"
#include "core/mem.h"
#include "core/version.h"
#include <stdlib.h>
#include <string.h>

#define KEEP_RUNS 10000 /* a timer may make one every few minutes, for ever */

int history_begin(struct state *st, int64_t job, const char *owner, const char *session, const char *label,
                  int64_t *run, struct err *err)
{
	if (db_run(st->db, err,
	           "INSERT INTO test_runs (job, owner, session, commit_id, label, started_at) VALUES "
	           "(?,?,?,?,?,?)",
	           "itttti", job, owner, session, version_text, label, clock_now_ms()))
		return -1;
	*run = db_last_id(st->db);
	return 0;
}

int history_add(struct state *st, int64_t run, const cJSON *r, struct err *err)
{
	return db_run(st->db, err,
	              "INSERT INTO test_results (run, scenario, status, attempts, duration_ms, message)"
	              " VALUES (?,?,?,?,?,?)",
	              "ittiit", run, json_text(r, "name"), json_text(r, "status"), json_int(r, "attempts", 1),
	              json_int(r, "duration_ms", 0), json_text(r, "message"));
}

int history_end(struct state *st, int64_t run, const cJSON *s, struct err *err)
{
	if (!s)
		return db_run(st->db, err, "DELETE FROM test_runs WHERE id = ? AND finished_at IS NULL", "i",
		              run);
	if (db_run(st->db, err, "DELETE FROM test_runs WHERE id <= ?", "i", run - KEEP_RUNS))
		return -1;
	return db_run(
	        st->db, err,
	        "UPDATE test_runs SET finished_at = ?, duration_ms = ?, total = ?, passed = ?, failed = ?,"
	        " skipped = ?, flaky = ? WHERE id = ?",
	        "iiiiiiii", clock_now_ms(), json_int(s, "duration_ms", 0), json_int(s, "total", 0),
	        json_int(s, "passed", 0), json_int(s, "failed", 0), json_int(s, "skipped", 0),
	        json_int(s, "flaky", 0), run);
}

int history_open_run(struct state *st, int64_t job, int64_t *run, char **session, struct err *err)
{
	*run = 0;
	*session = NULL;
	cleanup_query struct query q = QUERY_INIT;
	if (db_query(st->db, &q, err,
	             "SELECT id, session FROM test_runs WHERE job = ? AND finished_at IS NULL ORDER BY id",
	             "i", job))
		return -1;
	int row = query_next(&q, err);
	if (row <= 0)
		return row;
	*run = query_int(&q, 0);
	*session = query_copy(&q, 1);
	return 0;
}

int history_pass_rate(int64_t total, int64_t skipped, int64_t passed)
{
	int64_t run = total - skipped;
	return run > 0 ? (int)(passed * 100 / run) : 0;
}

static int add_failures(struct state *st, int64_t run, cJSON *row, struct err *err)
{
	cJSON *names = json_array();
	json_add(row, "failures", names);
	cleanup_query struct query q = QUERY_INIT;
	if (db_query(st->db, &q, err,
	             "SELECT scenario FROM test_results WHERE run = ? AND status = 'failed' ORDER BY id", "i",
	             run))
		return -1;
	int more;
	while ((more = query_next(&q, err)) > 0)
		cJSON_AddItemToArray(names, cJSON_CreateString(query_text(&q, 0)));
	return more;
}

static cJSON *row_of(struct query *q)
{
	static const char *const texts[] = {"owner", "session", "label", "commit"};
	static const char *const counts[] = {"total", "passed", "failed", "skipped", "flaky", "duration_ms"};
	cJSON *row = json_object();
	json_add_int(row, "run_id", query_int(q, 0));
	json_add_int(row, "started_at", query_int(q, 1));
	json_add_int(row, "finished_at", query_int(q, 12));
	for (size_t i = 0; i < ARRAY_LEN(texts); i++)
		if (query_text(q, 2 + (int)i))
			json_add_text(row, texts[i], query_text(q, 2 + (int)i));
	for (size_t i = 0; i < ARRAY_LEN(counts); i++)
		json_add_int(row, counts[i], query_int(q, 6 + (int)i));
	json_add_int(row, "pass_rate", history_pass_rate(query_int(q, 6), query_int(q, 9), query_int(q, 7)));
	return row;
}

cJSON *history_list(struct state *st, int limit, struct err *err)
{
	cleanup_json cJSON *list = json_array();
	cleanup_query struct query q = QUERY_INIT;
	if (db_query(st->db, &q, err,
	             "SELECT id, started_at, owner, session, label, commit_id, total, passed, failed, "
	             "skipped, flaky,"
	             " duration_ms, finished_at FROM test_runs WHERE finished_at IS NOT NULL ORDER BY id "
	             "DESC LIMIT ?",
	             "i", (int64_t)limit))
		return NULL;
	int more;
	while ((more = query_next(&q, err)) > 0) {
		cJSON *row = row_of(&q);
		cJSON_AddItemToArray(list, row);
		if (add_failures(st, json_int(row, "run_id", 0), row, err))
			return NULL;
	}
	return more < 0 ? NULL : TAKE(list);
}

int history_last(struct state *st, cJSON **run, struct err *err)
{
	cleanup_json cJSON *rows = history_list(st, 1, err);
	*run = cJSON_DetachItemFromArray(rows, 0);
	return rows ? 0 : -1;
}

void history_trend(const cJSON *rows, int max, struct str *out)
{
	static const char *const bars[] = {"▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
	int n = cJSON_GetArraySize(rows);
	for (int i = (n < max ? n : max) - 1; i >= 0; i--) {
		int64_t rate = json_int(cJSON_GetArrayItem(rows, i), "pass_rate", 0);
		rate = rate < 0 ? 0 : rate > 100 ? 100 : rate;
		str_add(out, bars[rate * ((int64_t)ARRAY_LEN(bars) - 1) / 100]);
	}
}
