#include "bot/commands.h"
#include "core/clock.h"
#include "jobs/job.h"
#include <inttypes.h>
#include <string.h>

#define JOBS 10

static const char *mark(const char *state)
{
	static const struct {
		const char *state, *mark;
	} marks[] = {{"queued", "🕒"}, {"running", "⏳"}, {"done", "✅"}, {"failed", "❌"}, {"cancelled", "🚫"}};
	for (size_t i = 0; state && i < sizeof(marks) / sizeof(marks[0]); i++)
		if (strcmp(marks[i].state, state) == 0)
			return marks[i].mark;
	return "•";
}

static void add_job(struct str *out, enum lang lang, const cJSON *job)
{
	char ago[64];
	const char *state = json_text(job, "state"), *session = json_text(job, "session");
	texts_ago(lang, clock_now_ms() - json_int(job, "created_at", 0), ago);
	str_addf(out, "%s %" PRId64 " ", mark(state), json_int(job, "id", 0));
	str_add_html(out, json_text_or(job, "kind", "?"));
	if (session) {
		str_addc(out, ' ');
		str_add_html(out, session);
	}
	if (state && strcmp(state, "running") == 0)
		str_addf(out, " %" PRId64 " %%", json_int(job, "percent", 0));
	str_add(out, ", ");
	texts_add(out, lang, T_AGO, TEXT_ARGS({"time", ago}));
	str_addc(out, '\n');
}

static int run(struct call *c, const char *args, struct err *err)
{
	char owner[32];
	(void)args;
	const char *whose = c->role == ROLE_ADMIN ? NULL : call_owner(c, owner);
	cleanup_json cJSON *list = jobs_list(c->bot->st, whose, -1, JOBS, err);
	if (!list)
		return -1;
	if (cJSON_GetArraySize(list) == 0)
		return call_text(c, T_JOBS_NONE, TEXT_NONE, err);
	cleanup_str struct str html = STR_INIT;
	const cJSON *job;
	texts_add(&html, c->lang, T_JOBS_HEAD, TEXT_NONE);
	cJSON_ArrayForEach(job, list) add_job(&html, c->lang, job);
	return call_say(c, str_text(&html), NULL, err);
}

const struct command cmd_jobs = {
        .name = "jobs",
        .role = ROLE_VIEWER,
        .about = {"What is under way and what was done last", "Что выполняется и что сделано недавно"},
        .usage = "/jobs",
        .example = "/jobs",
        .run = run,
};
