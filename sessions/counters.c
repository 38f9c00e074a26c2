#include "sessions/counters.h"
#include "core/metrics.h"
#include <stdio.h>

static const char *const names[COUNTERS] = {
        [COUNTER_RECEIPTS_OK] = "receipts_ok",
        [COUNTER_RECEIPTS_OPEN] = "receipts_open",
        [COUNTER_ADOPTED] = "adopted",
        [COUNTER_ORPHANS] = "orphans",
        [COUNTER_REAPS] = "reaps",
        [COUNTER_REAP_MS] = "reap_ms",
        [COUNTER_LAST_REAP_MS] = "last_reap_ms",
        [COUNTER_LAST_FOREIGN] = "last_foreign",
};

enum series {
	SESSIONS,
	LEASES,
	RECEIPTS,
	RECEIPTS_OPEN,
	ADOPTED,
	ORPHANS,
	REAPS,
	REAP_SECONDS,
	LAST_REAP_SECONDS,
	FOREIGN
};

static const struct metric table[] = {
        [SESSIONS] = {"codefoundry_sessions", METRIC_GAUGE, "Sessions, by state"},
        [LEASES] = {"codefoundry_sessions_leases", METRIC_GAUGE, "Leased ports and subnets, by kind"},
        [RECEIPTS] = {"codefoundry_sessions_receipts_total", METRIC_COUNTER,
                      "Receipts of removals, by whether nothing was left"},
        [RECEIPTS_OPEN] = {"codefoundry_sessions_receipts_open", METRIC_GAUGE,
                           "Removals that left something and are tried again"},
        [ADOPTED] = {"codefoundry_sessions_adopted_total", METRIC_COUNTER,
                     "Sessions whose row was lost or old and was restored"},
        [ORPHANS] = {"codefoundry_sessions_orphans_total", METRIC_COUNTER,
                     "Objects, directories and leases without a session that were removed"},
        [REAPS] = {"codefoundry_sessions_reaps_total", METRIC_COUNTER, "Reaps that were run"},
        [REAP_SECONDS] = {"codefoundry_sessions_reap_seconds_total", METRIC_COUNTER, "Time they took"},
        [LAST_REAP_SECONDS] = {"codefoundry_sessions_reap_last_seconds", METRIC_GAUGE,
                               "Time the last one took"},
        [FOREIGN] = {"codefoundry_sessions_foreign", METRIC_GAUGE,
                     "Objects that look like ours and are not, at the last reap"},
        {.name = NULL},
};

/* What each counter is shown as. */
static const struct {
	enum series series;
	const char *labels;
	double unit;
} shown[COUNTERS] = {
        [COUNTER_RECEIPTS_OK] = {RECEIPTS, "ok=\"true\"", 1},
        [COUNTER_RECEIPTS_OPEN] = {RECEIPTS, "ok=\"false\"", 1},
        [COUNTER_ADOPTED] = {ADOPTED, NULL, 1},
        [COUNTER_ORPHANS] = {ORPHANS, NULL, 1},
        [COUNTER_REAPS] = {REAPS, NULL, 1},
        [COUNTER_REAP_MS] = {REAP_SECONDS, NULL, 1000},
        [COUNTER_LAST_REAP_MS] = {LAST_REAP_SECONDS, NULL, 1000},
        [COUNTER_LAST_FOREIGN] = {FOREIGN, NULL, 1},
};

int counter_add(struct state *st, enum counter counter, int64_t n, struct err *err)
{
	return db_run(st->db, err,
	              "INSERT INTO session_counters (name, value) VALUES (?, ?)"
	              " ON CONFLICT (name) DO UPDATE SET value = value + excluded.value",
	              "ti", names[counter], n);
}

int counter_set(struct state *st, enum counter counter, int64_t n, struct err *err)
{
	return db_run(st->db, err,
	              "INSERT INTO session_counters (name, value) VALUES (?, ?)"
	              " ON CONFLICT (name) DO UPDATE SET value = excluded.value",
	              "ti", names[counter], n);
}

/* Rows of (label value, number), as ${key}="…" of a series. */
static int add_groups(struct state *st, struct metrics *m, enum series series, const char *key,
                      const char *sql, struct err *err)
{
	cleanup_query struct query q = QUERY_INIT;
	char labels[64];
	int rc;
	if (db_query(st->db, &q, err, sql, ""))
		return -1;
	while ((rc = query_next(&q, err)) > 0) {
		snprintf(labels, sizeof(labels), "%s=\"%.40s\"", key, query_text(&q, 0));
		metrics_set(m, series, labels, (double)query_int(&q, 1));
	}
	return rc;
}

static int read_all(struct state *st, struct metrics *m, struct err *err)
{
	int64_t open = 0, value = 0;
	if (add_groups(st, m, SESSIONS, "state", "SELECT state, count(*) FROM sessions GROUP BY state",
	               err) ||
	    add_groups(st, m, LEASES, "kind", "SELECT kind, count(*) FROM leases GROUP BY kind", err) ||
	    db_get_int(st->db, &open, err, "SELECT count(*) FROM receipts WHERE ok = 0", ""))
		return -1;
	metrics_set(m, RECEIPTS_OPEN, NULL, (double)open);
	for (enum counter c = 0; c < COUNTERS; c++, value = 0) {
		if (db_get_int(st->db, &value, err, "SELECT value FROM session_counters WHERE name = ?", "t",
		               names[c]))
			return -1;
		metrics_set(m, shown[c].series, shown[c].labels, (double)value / shown[c].unit);
	}
	return 0;
}

void counters_render(struct state *st, struct str *out)
{
	struct metrics *m = metrics_new(table);
	struct err ignored = {0};
	if (read_all(st, m, &ignored) == 0)
		metrics_render_series(m, out);
	metrics_free(m);
}
