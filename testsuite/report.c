#include "testsuite/report.h"
#include "core/clock.h"
#include "core/mem.h"
#include <stdlib.h>
#include <string.h>

static bool is(const cJSON *r, const char *status)
{
	return strcmp(json_text_or(r, "status", ""), status) == 0;
}

/* Each line of ${text} behind ${prefix}. */
static void add_lines(struct str *out, const char *text, const char *prefix)
{
	while (*text) {
		size_t n = strcspn(text, "\n");
		str_addf(out, "%s%.*s\n", prefix, (int)n, text);
		text += n + (text[n] == '\n');
	}
}

static void add_name(struct str *out, const cJSON *r)
{
	str_add(out, json_text_or(r, "name", ""));
	if (json_int(r, "round", 1) > 1)
		str_addf(out, " (round %lld)", (long long)json_int(r, "round", 1));
}

static void report_text(const cJSON *result, struct str *out)
{
	static const struct {
		const char *status, *mark;
	} marks[] = {{"passed", "PASS"}, {"failed", "FAIL"}, {"flaky", "FLAKY"}, {"skipped", "SKIP"}};
	char took[32];
	const cJSON *r;
	cJSON_ArrayForEach(r, json_at(result, "scenarios"))
	{
		const char *mark = "?";
		for (size_t i = 0; i < ARRAY_LEN(marks); i++)
			mark = is(r, marks[i].status) ? marks[i].mark : mark;
		str_addf(out, "  %-5s ", mark);
		add_name(out, r);
		str_addf(out, ": %s (%s)\n", json_text_or(r, "title", ""),
		         clock_duration(json_int(r, "duration_ms", 0), took, sizeof(took)));
		if (!is(r, "passed"))
			add_lines(out, json_text_or(r, "message", ""), "          ");
	}
	str_addf(out, "\nTotal: %lld\nPassed: %lld\nFailed: %lld\n", (long long)json_int(result, "total", 0),
	         (long long)json_int(result, "passed", 0), (long long)json_int(result, "failed", 0));
	if (json_int(result, "skipped", 0))
		str_addf(out, "Skipped: %lld\n", (long long)json_int(result, "skipped", 0));
	if (json_int(result, "flaky", 0))
		str_addf(out, "Flaky: %lld\n", (long long)json_int(result, "flaky", 0));
	str_addf(out, "Pass Rate: %lld%%\nDuration: %s\n", (long long)json_int(result, "pass_rate", 0),
	         clock_duration(json_int(result, "duration_ms", 0), took, sizeof(took)));
}

static void report_tap(const cJSON *result, struct str *out)
{
	int i = 0;
	const cJSON *r;
	str_addf(out, "TAP version 13\n1..%d\n", cJSON_GetArraySize(json_at(result, "scenarios")));
	cJSON_ArrayForEach(r, json_at(result, "scenarios"))
	{
		str_addf(out, "%s %d - ", is(r, "failed") ? "not ok" : "ok", ++i);
		add_name(out, r);
		if (is(r, "skipped"))
			str_addf(out, " # SKIP %.*s", (int)strcspn(json_text_or(r, "message", ""), "\n"),
			         json_text_or(r, "message", ""));
		if (is(r, "flaky"))
			str_addf(out, " (flaky: passed in attempt %lld)",
			         (long long)json_int(r, "attempts", 1));
		str_addf(out, "\n  ---\n  duration_ms: %lld\n", (long long)json_int(r, "duration_ms", 0));
		if (is(r, "failed")) {
			str_add(out, "  message: |\n");
			add_lines(out, json_text_or(r, "message", ""), "    ");
		}
		str_add(out, "  ...\n");
	}
}

/* XML 1.0 has no place for control characters. */
static void add_xml(struct str *out, const char *text)
{
	cleanup_free char *clean = mem_strdup(text);
	for (char *p = clean; *p; p++)
		if ((unsigned char)*p < ' ' && *p != '\n' && *p != '\t')
			*p = '?';
	str_add_html(out, clean);
}

static void add_attribute(struct str *out, const char *name, const char *value)
{
	str_addf(out, " %s=\"", name);
	add_xml(out, value);
	str_addc(out, '"');
}

static void report_junit(const cJSON *result, struct str *out)
{
	char at[32];
	clock_iso(json_int(result, "at", 0), at, sizeof(at));
	at[strcspn(at, ".")] = '\0';
	str_add(out, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n  <testsuite "
	             "name=\"codefoundry\"");
	str_addf(out,
	         " tests=\"%lld\" failures=\"%lld\" errors=\"0\" skipped=\"%lld\" time=\"%.3f\" "
	         "timestamp=\"%s\">\n",
	         (long long)json_int(result, "total", 0), (long long)json_int(result, "failed", 0),
	         (long long)json_int(result, "skipped", 0), (double)json_int(result, "duration_ms", 0) / 1000,
	         at);
	const cJSON *r;
	cJSON_ArrayForEach(r, json_at(result, "scenarios"))
	{
		cleanup_str struct str name = STR_INIT;
		add_name(&name, r);
		str_add(out, "    <testcase classname=\"codefoundry\"");
		add_attribute(out, "name", str_text(&name));
		add_attribute(out, "file", json_text_or(r, "file", ""));
		str_addf(out, " time=\"%.3f\">", (double)json_int(r, "duration_ms", 0) / 1000);
		if (is(r, "failed")) {
			cleanup_free char *head = mem_strndup(json_text_or(r, "message", ""),
			                                      strcspn(json_text_or(r, "message", ""), "\n"));
			str_add(out, "<failure");
			add_attribute(out, "message", head);
			str_addc(out, '>');
			add_xml(out, json_text_or(r, "message", ""));
			str_add(out, "</failure>");
		} else if (is(r, "skipped")) {
			str_add(out, "<skipped");
			add_attribute(out, "message", json_text_or(r, "message", ""));
			str_add(out, "/>");
		} else if (is(r, "flaky")) {
			str_addf(out, "<system-out>passed in attempt %lld</system-out>",
			         (long long)json_int(r, "attempts", 1));
		}
		str_add(out, "</testcase>\n");
	}
	str_add(out, "  </testsuite>\n</testsuites>\n");
}

static void report_json(const cJSON *result, struct str *out)
{
	cleanup_free char *text = json_print_pretty(result);
	str_addf(out, "%s\n", text);
}

static const struct {
	const char *name;
	report_fn *fn;
} formats[] = {
        {"text", report_text}, {"tap", report_tap},   {"junit", report_junit},
        {"json", report_json}, {"html", report_html},
};

report_fn *report_find(const char *format, struct err *err)
{
	for (size_t i = 0; i < ARRAY_LEN(formats); i++)
		if (strcmp(format, formats[i].name) == 0)
			return formats[i].fn;
	err_set(err, ERR_USAGE, "no report format '%.40s': text, tap, junit, json or html", format);
	return NULL;
}
