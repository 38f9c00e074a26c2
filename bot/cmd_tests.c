#include "bot/commands.h"
#include "bot/results.h"
#include "core/clock.h"
#include "core/mem.h"
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define RUNS 10

static const char *const blocks[] = {"▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};

/* Rows come newest first; the trend reads from left to right. */
static void add_block(char trend[RUNS][8], int i, int64_t passed, int64_t total)
{
	size_t level = total > 0 ? (size_t)(passed * (int64_t)(ARRAY_LEN(blocks) - 1) / total) : 0;
	snprintf(trend[RUNS - 1 - i], sizeof(trend[0]), "%s", blocks[level < ARRAY_LEN(blocks) ? level : 0]);
}

static void add_run(struct str *out, struct query *q, int64_t now)
{
	char rate[16], ago[64], time[64];
	int64_t total = query_int(q, 1), passed = query_int(q, 2);
	clock_duration(now - query_int(q, 4), ago, sizeof(ago));
	clock_duration(query_int(q, 5), time, sizeof(time));
	str_addf(out, "%s #%" PRId64 " %" PRId64 "/%" PRId64 " %s, %s", query_int(q, 3) ? "❌" : "✅",
	         query_int(q, 0), passed, total, results_rate(passed, total, rate, sizeof(rate)), time);
	if (query_int(q, 6))
		str_addf(out, ", %" PRId64 " flaky", query_int(q, 6));
	if (query_text(q, 7)) {
		str_add(out, ", ");
		str_add_html(out, query_text(q, 7));
	}
	str_addf(out, " (−%s)\n", ago);
}

static int run(struct call *c, const char *args, struct err *err)
{
	char trend[RUNS][8] = {0};
	cleanup_str struct str lines = STR_INIT, line = STR_INIT, html = STR_INIT;
	cleanup_query struct query q = QUERY_INIT;
	int row, n = 0;
	(void)args;
	if (db_query(c->bot->st->db, &q, err,
	             "SELECT id, total - skipped, passed, failed, finished_at, duration_ms, flaky, session "
	             "FROM test_runs"
	             " WHERE finished_at IS NOT NULL ORDER BY id DESC LIMIT 10",
	             ""))
		return -1;
	while ((row = query_next(&q, err)) > 0 && n < RUNS) {
		add_block(trend, n++, query_int(&q, 2), query_int(&q, 1));
		add_run(&lines, &q, clock_now_ms());
	}
	if (row < 0)
		return -1;
	if (n == 0)
		return call_text(c, T_TESTS_NONE, TEXT_NONE, err);
	for (int i = 0; i < RUNS; i++)
		str_add(&line, trend[i]);
	texts_add(&html, c->lang, T_TESTS_HEAD, TEXT_ARGS({"trend", str_text(&line)}));
	str_add(&html, str_text(&lines));
	return call_say(c, str_text(&html), NULL, err);
}

const struct command cmd_tests = {
        .name = "tests",
        .role = ROLE_VIEWER,
        .about = {"Last test runs and their trend", "Последние прогоны тестов и тенденция"},
        .usage = "/tests",
        .example = "/tests",
        .run = run,
};
