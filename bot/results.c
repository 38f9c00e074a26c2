#include "bot/results.h"
#include "bot/words.h"
#include "core/clock.h"
#include "core/mem.h"
#include "core/text.h"
#include "testsuite/history.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define REASON_UNITS 400
#define OUTPUT_UNITS 3000 /* of what a command said: one message */

static char *number(int64_t n, char buf[24])
{
	snprintf(buf, 24, "%" PRId64, n);
	return buf;
}

const char *results_rate(int64_t passed, int64_t total, char *buf, size_t size)
{
	if (total <= 0)
		return "–";
	snprintf(buf, size, "%d %%", history_pass_rate(total, 0, passed));
	return buf;
}

void results_add_endpoints(const cJSON *endpoints, struct str *html)
{
	const cJSON *e;
	cJSON_ArrayForEach(e, endpoints)
	{
		str_add(html, "• ");
		str_add_html(html, json_text_or(e, "service", "?"));
		str_addc(html, ' ');
		str_add_html(html, json_text_or(e, "name", ""));
		str_add(html, ": <code>");
		str_add_html(html, json_text_or(e, "url", "?"));
		str_add(html, "</code>\n");
	}
}

static void session_started(enum lang lang, const struct job_row *row, const char *title, struct str *out)
{
	(void)title;
	const cJSON *r = row->result;
	cleanup_str struct str endpoints = STR_INIT;
	char ready[64], expires[64];
	results_add_endpoints(json_at(r, "endpoints"), &endpoints);
	texts_took(lang, json_int(r, "ready_ms", 0), ready);
	texts_left(lang, json_int(r, "expires_at", 0) - clock_now_ms(), expires);
	texts_add(out, lang, T_SESSION_STARTED,
	          TEXT_ARGS({"session", json_text(r, "name")}, {"time", ready},
	                    {"endpoints", str_text(&endpoints)}, {"expires", expires}));
}

/* Whatever a receipt counts, in its order. */
void results_add_left(enum lang lang, const cJSON *receipt, struct str *out)
{
	static const char *const russian[][2] = {
	        {"processes", "процессов"}, {"containers", "контейнеров"}, {"networks", "сетей"},
	        {"volumes", "томов"},       {"images", "образов"},         {"ports", "портов"},
	        {"files", "файлов"},        {"leases", "резервов"},        {"rows", "строк"}};
	const cJSON *one;
	cJSON_ArrayForEach(one, receipt)
	{
		const char *kind = one->string;
		if (!cJSON_IsNumber(one))
			continue;
		for (size_t i = 0; lang == LANG_RU && i < ARRAY_LEN(russian); i++)
			if (!strcmp(russian[i][0], one->string))
				kind = russian[i][1];
		str_add(out, out->len ? ", " : "");
		if (lang == LANG_RU)
			str_addf(out, "%s %" PRId64, kind, json_int(receipt, one->string, 0));
		else
			str_addf(out, "%" PRId64 " %s", json_int(receipt, one->string, 0), kind);
	}
}

static void session_stopped(enum lang lang, const struct job_row *row, const char *title, struct str *out)
{
	(void)title;
	const cJSON *r = row->result, *receipt = json_at(r, "receipt");
	cleanup_str struct str left = STR_INIT;
	if (!receipt) {
		texts_add(out, lang, T_SESSION_KEPT, TEXT_ARGS({"session", json_text(r, "name")}));
		return;
	}
	results_add_left(lang, receipt, &left);
	texts_add(out, lang, json_bool(receipt, "ok", false) ? T_SESSION_STOPPED : T_SESSION_RESIDUE,
	          TEXT_ARGS({"session", json_text(r, "name")}, {"left", str_text(&left)}));
}

static void session_extended(enum lang lang, const struct job_row *row, const char *title, struct str *out)
{
	(void)title;
	char expires[64];
	texts_left(lang, json_int(row->result, "expires_at", 0) - clock_now_ms(), expires);
	texts_add(out, lang, T_SESSION_EXTENDED,
	          TEXT_ARGS({"session", json_text(row->result, "name")}, {"expires", expires}));
}

static void session_pinned(enum lang lang, const struct job_row *row, const char *title, struct str *out)
{
	(void)title;
	texts_add(out, lang, T_SESSION_PINNED, TEXT_ARGS({"session", json_text(row->result, "name")}));
}

static void session_executed(enum lang lang, const struct job_row *row, const char *title, struct str *out)
{
	const cJSON *r = row->result;
	const char *said = json_text_or(r, "output", "");
	size_t len = strlen(said), shown = text_utf16_prefix(said, len, OUTPUT_UNITS);
	bool cut = shown < len || json_bool(r, "cut", false);
	char code[24], time[64];
	cleanup_str struct str output = STR_INIT;
	cleanup_free char *text = mem_strndup(said, shown);
	if (*text) {
		str_add(&output, "<pre>");
		str_add_html(&output, text);
		str_add(&output, cut ? texts_raw(lang, T_SESSION_EXEC_CUT) : "");
		str_add(&output, "</pre>");
	}
	texts_took(lang, json_int(r, "took_ms", 0), time);
	texts_add(out, lang, T_SESSION_EXECUTED,
	          TEXT_ARGS({"mark", json_int(r, "exit_code", 0) ? "⚠️" : "✅"}, {"title", title},
	                    {"service", json_text(r, "service")},
	                    {"code", number(json_int(r, "exit_code", 0), code)}, {"time", time},
	                    {"output", str_text(&output)}));
}

static void add_failures(enum lang lang, const cJSON *scenarios, struct str *out)
{
	const cJSON *s;
	cJSON_ArrayForEach(s, scenarios)
	{
		const char *status = json_text(s, "status"), *message = json_text(s, "message");
		if (!status || strcmp(status, "failed"))
			continue;
		cleanup_free char *reason =
		        message ? mem_strndup(message,
		                              text_utf16_prefix(message, strlen(message), REASON_UNITS))
		                : NULL;
		texts_add(out, lang, T_TEST_FAILED_LINE,
		          TEXT_ARGS({"scenario", json_text(s, "name")}, {"reason", reason}));
	}
}

static void add_count(struct str *out, const char *name, int64_t n)
{
	if (n > 0)
		str_addf(out, "%s: %" PRId64 "\n", name, n);
}

static void test_done(enum lang lang, const struct job_row *row, const char *title, struct str *out)
{
	(void)title;
	const cJSON *r = row->result;
	cleanup_str struct str failures = STR_INIT, more = STR_INIT;
	int64_t n_total = json_int(r, "total", 0), n_passed = json_int(r, "passed", 0),
	        n_failed = json_int(r, "failed", 0);
	int64_t n_skipped = json_int(r, "skipped", 0);
	char total[24], passed[24], failed[24], rate[24], time[64];
	const char *session = json_text(r, "session");
	add_failures(lang, json_at(r, "scenarios"), &failures);
	add_count(&more, "Skipped", n_skipped);
	add_count(&more, "Flaky", json_int(r, "flaky", 0));
	texts_took(lang, json_int(r, "duration_ms", 0), time);
	texts_add(out, lang, T_TEST_DONE,
	          TEXT_ARGS({"mark", n_failed ? "❌" : "✅"}, {"what", session},
	                    {"total", number(n_total, total)}, {"passed", number(n_passed, passed)},
	                    {"failed", number(n_failed, failed)}, {"more", str_text(&more)},
	                    {"rate", results_rate(n_passed, n_total - n_skipped, rate, sizeof(rate))},
	                    {"time", time}, {"failures", str_text(&failures)}));
}

static const struct {
	const char *kind;
	void (*fn)(enum lang lang, const struct job_row *row, const char *title, struct str *out);
} renderers[] = {
        {"session.start", session_started}, {"session.restart", session_started},
        {"session.stop", session_stopped},  {"session.extend", session_extended},
        {"session.pin", session_pinned},    {"session.unpin", session_extended},
        {"session.exec", session_executed}, {"test.run", test_done},
};

static void done(enum lang lang, const struct job_row *row, const char *title, struct str *out)
{
	for (size_t i = 0; i < ARRAY_LEN(renderers); i++) {
		if (strcmp(renderers[i].kind, row->kind) == 0 && row->result) {
			renderers[i].fn(lang, row, title, out);
			return;
		}
	}
	texts_add(out, lang, T_DONE, TEXT_ARGS({"what", title}));
}

void results_html(enum lang lang, const struct job_row *row, const char *title, struct str *out)
{
	if (!row) {
		texts_add(out, lang, T_JOB_GONE, TEXT_ARGS({"title", title}));
	} else if (row->state == JOB_DONE) {
		done(lang, row, title, out);
	} else if (row->state == JOB_CANCELLED) {
		texts_add(out, lang, T_JOB_CANCELLED, TEXT_ARGS({"title", title}));
	} else if (row->result && strcmp(row->kind, "test.run") == 0) {
		test_done(lang, row, title,
		          out); /* red scenarios may be told as a failed job with a report */
	} else {
		cleanup_free char *error = words_error(lang, row->error_code, row->error ? row->error : "–");
		texts_add(out, lang, T_JOB_FAILED, TEXT_ARGS({"title", title}, {"error", error}));
	}
}
