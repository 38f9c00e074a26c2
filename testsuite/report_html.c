#include "core/clock.h"
#include "core/mem.h"
#include "testsuite/report.h"
#include <string.h>

#define ROW_PX 26
#define LABEL_PX 150
#define BAR_PX 560
#define WIDTH_PX 860

static const char style[] =
        ":root{--fg:#1c2128;--bg:#fff;--soft:#d0d7de;--pass:#2da44e;--fail:#cf222e;--flaky:#bf8700;--skip:#"
        "8c959f}"
        "@media(prefers-color-scheme:dark){:root{--fg:#e6edf3;--bg:#0d1117;--soft:#30363d}}"
        "body{font:15px/1.5 "
        "system-ui,sans-serif;color:var(--fg);background:var(--bg);max-width:900px;margin:2em auto;"
        "padding:0 "
        "1em}h1{font-size:1.4em}dl{display:flex;flex-wrap:wrap;gap:2em}dt{font-size:.85em;opacity:.7}"
        "dd{margin:0;font-size:1.6em;font-weight:600}svg{width:100%;height:auto}text{fill:var(--fg);font-"
        "size:13px}"
        ".passed{fill:var(--pass)}.failed{fill:var(--fail)}.flaky{fill:var(--flaky)}.skipped{fill:var(--skip)"
        "}"
        "pre{white-space:pre-wrap;border-left:4px solid var(--fail);padding:.5em 1em;margin:.5em 0}"
        "table{border-collapse:collapse;width:100%}td,th{text-align:left;padding:.3em .6em;border-bottom:1px "
        "solid "
        "var(--soft);vertical-align:top}";

static void number(struct str *out, const char *title, const cJSON *result, const char *key, const char *unit)
{
	str_addf(out, "<div><dt>%s</dt><dd>%lld%s</dd></div>", title, (long long)json_int(result, key, 0),
	         unit);
}

/* One bar over the whole width: how the scenarios ended. */
static void share_bar(const cJSON *result, struct str *out)
{
	static const char *const kinds[] = {"passed", "flaky", "failed", "skipped"};
	double total = (double)json_int(result, "total", 0), x = 0;
	if (total <= 0)
		return;
	str_addf(out, "<svg viewBox=\"0 0 %d 24\" role=\"img\" aria-label=\"passed and failed\">", WIDTH_PX);
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		double n = (double)json_int(result, kinds[i], 0);
		if (i == 0)
			n -= (double)json_int(result, "flaky", 0);
		double w = n / total * WIDTH_PX;
		if (w > 0)
			str_addf(out,
			         "<rect class=\"%s\" x=\"%.1f\" y=\"0\" width=\"%.1f\" "
			         "height=\"20\"><title>%g %s</title></rect>",
			         kinds[i], x, w, n, kinds[i]);
		x += w;
	}
	str_add(out, "</svg>\n");
}

/* A bar per scenario: how long it took. */
static void duration_bars(const cJSON *result, struct str *out)
{
	const cJSON *r, *list = json_at(result, "scenarios");
	int64_t longest = 1;
	int i = 0;
	char took[32];
	cJSON_ArrayForEach(r, list) longest =
	        json_int(r, "duration_ms", 0) > longest ? json_int(r, "duration_ms", 0) : longest;
	str_addf(out, "<svg viewBox=\"0 0 %d %d\" role=\"img\" aria-label=\"durations\">", WIDTH_PX,
	         cJSON_GetArraySize(list) * ROW_PX);
	cJSON_ArrayForEach(r, list)
	{
		int64_t ms = json_int(r, "duration_ms", 0);
		double w = 2 + (double)ms / (double)longest * BAR_PX;
		int y = i++ * ROW_PX;
		str_addf(out, "<text x=\"0\" y=\"%d\">", y + 16);
		str_add_html(out, json_text_or(r, "name", ""));
		str_addf(out, "</text><rect class=\"");
		str_add_html(out, json_text_or(r, "status", ""));
		str_addf(out, "\" x=\"%d\" y=\"%d\" width=\"%.1f\" height=\"16\"/>", LABEL_PX, y + 4, w);
		str_addf(out, "<text x=\"%.1f\" y=\"%d\">%s</text>", LABEL_PX + w + 6, y + 16,
		         clock_duration(ms, took, sizeof(took)));
	}
	str_add(out, "</svg>\n");
}

static void rows(const cJSON *result, struct str *out)
{
	const cJSON *r;
	str_add(out, "<table><tr><th>Scenario</th><th>Result</th><th>What it shows</th></tr>\n");
	cJSON_ArrayForEach(r, json_at(result, "scenarios"))
	{
		str_add(out, "<tr><td>");
		str_add_html(out, json_text_or(r, "name", ""));
		str_add(out, "</td><td>");
		str_add_html(out, json_text_or(r, "status", ""));
		if (json_int(r, "attempts", 1) > 1)
			str_addf(out, ", %lld attempts", (long long)json_int(r, "attempts", 1));
		str_add(out, "</td><td>");
		str_add_html(out, json_text_or(r, "title", ""));
		if (*json_text_or(r, "message", "")) {
			str_add(out, "<pre>");
			str_add_html(out, json_text_or(r, "message", ""));
			str_add(out, "</pre>");
		}
		str_add(out, "</td></tr>\n");
	}
	str_add(out, "</table>\n");
}

void report_html(const cJSON *result, struct str *out)
{
	char at[32], took[32];
	clock_iso(json_int(result, "at", 0), at, sizeof(at));
	clock_duration(json_int(result, "duration_ms", 0), took, sizeof(took));
	str_addf(out,
	         "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>Test run "
	         "%lld</title>"
	         "<meta name=\"viewport\" content=\"width=device-width\"><style>%s</style></head><body>\n",
	         (long long)json_int(result, "run_id", 0), style);
	str_addf(out, "<h1>Test run %lld</h1><p>", (long long)json_int(result, "run_id", 0));
	if (*json_text_or(result, "session", "")) {
		str_add(out, "Session ");
		str_add_html(out, json_text_or(result, "session", ""));
		str_add(out, ", ");
	}
	str_addf(out, "%s, %s</p>\n<dl>", at, took);
	number(out, "Total", result, "total", "");
	number(out, "Passed", result, "passed", "");
	number(out, "Failed", result, "failed", "");
	number(out, "Skipped", result, "skipped", "");
	number(out, "Flaky", result, "flaky", "");
	number(out, "Pass Rate", result, "pass_rate", "%");
	str_add(out, "</dl>\n");
	share_bar(result, out);
	duration_bars(result, out);
	rows(result, out);
	str_add(out, "</body></html>\n");
}
