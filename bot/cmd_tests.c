#include "bot/commands.h"
#include "bot/results.h"
#include "core/clock.h"
#include "testsuite/history.h"
#include <inttypes.h>

#define RUNS 10

static void add_run(struct str *out, enum lang lang, const cJSON *run)
{
	char rate[16], ago[64], time[64];
	int64_t total = json_int(run, "total", 0) - json_int(run, "skipped", 0),
	        passed = json_int(run, "passed", 0), flaky = json_int(run, "flaky", 0);
	texts_ago(lang, clock_now_ms() - json_int(run, "finished_at", 0), ago);
	texts_took(lang, json_int(run, "duration_ms", 0), time);
	str_addf(out, "%s #%" PRId64 " %" PRId64 "/%" PRId64 " %s, %s",
	         json_int(run, "failed", 0) ? "❌" : "✅", json_int(run, "run_id", 0), passed, total,
	         results_rate(passed, total, rate, sizeof(rate)), time);
	if (flaky)
		str_addf(out, ", %" PRId64 " flaky", flaky);
	if (json_text(run, "session")) {
		str_add(out, ", ");
		str_add_html(out, json_text(run, "session"));
	}
	str_add(out, ", ");
	texts_add(out, lang, T_AGO, TEXT_ARGS({"time", ago}));
	str_addc(out, '\n');
}

static int run(struct call *c, const char *args, struct err *err)
{
	cleanup_str struct str trend = STR_INIT, html = STR_INIT;
	cleanup_json cJSON *runs = history_list(c->bot->st, RUNS, err);
	const cJSON *one;
	(void)args;
	if (!runs)
		return -1;
	if (!runs->child)
		return call_text(c, T_TESTS_NONE, TEXT_NONE, err);
	history_trend(runs, RUNS, &trend);
	texts_add(&html, c->lang, T_TESTS_HEAD, TEXT_ARGS({"trend", str_text(&trend)}));
	cJSON_ArrayForEach(one, runs) add_run(&html, c->lang, one);
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
