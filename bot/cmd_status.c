#include "bot/commands.h"
#include "bot/results.h"
#include "core/clock.h"
#include "core/mem.h"
#include "core/mutant.h"
#include "jobs/worker.h"
#include "sessions/session.h"
#include "testsuite/history.h"
#include <inttypes.h>
#include <stdio.h>
#include <sys/statvfs.h>

static char *gateway(const struct call *c)
{
	const struct link *link = c->bot->link;
	char since[64], detail[96];
	texts_ago(c->lang, clock_mono_ms() - link_since(link), since);
	if (!link_connected(link))
		return texts_make(c->lang, T_STATUS_DOWN, TEXT_ARGS({"detail", since}));
	if (link_rtt_ms(link) < 0)
		snprintf(detail, sizeof(detail), "%s", since);
	else if (link_rtt_ms(link) == 0)
		snprintf(detail, sizeof(detail), "ping < 1 ms, %s", since);
	else
		snprintf(detail, sizeof(detail), "ping %" PRId64 " ms, %s", link_rtt_ms(link), since);
	return texts_make(c->lang, T_STATUS_UP, TEXT_ARGS({"detail", detail}));
}

static char *telegram(const struct call *c)
{
	const struct poller *p = c->bot->poller;
	cleanup_free char *detail = mem_printf("@%s, %s", c->bot->username, c->bot->api_url);
	if (p && poller_state(p) != POLLER_RUNNING && poller_state(p) != POLLER_STARTING)
		return texts_make(c->lang, T_STATUS_DOWN, TEXT_ARGS({"detail", poller_reason(p)}));
	return texts_make(c->lang, T_STATUS_UP, TEXT_ARGS({"detail", detail}));
}

static int last_test(const struct call *c, char **text, struct err *err)
{
	cJSON *run;
	if (history_last(c->bot->st, &run, err))
		return -1;
	if (!run) {
		*text = mem_strdup(texts_raw(c->lang, T_STATUS_NO_TEST));
		return 0;
	}
	char total[24], passed[24], rate[16], ago[64];
	int64_t n = json_int(run, "total", 0) - json_int(run, "skipped", 0),
	        good = json_int(run, "passed", 0);
	snprintf(total, sizeof(total), "%" PRId64, n);
	snprintf(passed, sizeof(passed), "%" PRId64, good);
	texts_ago(c->lang, clock_now_ms() - json_int(run, "finished_at", 0), ago);
	*text = texts_make(c->lang, T_STATUS_TEST,
	                   TEXT_ARGS({"total", total}, {"passed", passed}, {"ago", ago},
	                             {"rate", results_rate(good, n, rate, sizeof(rate))}));
	cJSON_Delete(run);
	return 0;
}

static const char *disk_free(const struct call *c, char *buf, size_t size)
{
	struct statvfs fs;
	if (statvfs(c->bot->st->dir, &fs))
		return "?";
	snprintf(buf, size, "%.1f GiB", (double)fs.f_bavail * (double)fs.f_frsize / (1 << 30));
	return buf;
}

static int run(struct call *c, const char *args, struct err *err)
{
	int64_t running = 0, all = 0;
	char sessions[24], up_now[24], disk[32];
	cleanup_free char *test = NULL;
	(void)args;
	if (db_get_int(c->bot->st->db, &running, err, "SELECT count(*) FROM sessions WHERE state = 'running'"
	               " AND pool IS NULL",
	               "") ||
	    db_get_int(c->bot->st->db, &all, err, "SELECT count(*) FROM sessions WHERE state <> 'failed'"
	               " AND pool IS NULL",
	               "") ||
	    last_test(c, &test, err))
		return -1;
	all += MUTANT("status_counts_one_session_too_many");
	snprintf(sessions, sizeof(sessions), "%" PRId64, all);
	snprintf(up_now, sizeof(up_now), "%" PRId64, running);
	cleanup_free char *up = gateway(c), *tg = telegram(c);
	const char *worker = texts_raw(
	        c->lang, worker_alive(c->bot->st) || MUTANT("status_worker_always_runs") ? T_STATUS_RUNNING
	                                                                                 : T_STATUS_STOPPED);
	return call_text(c, T_STATUS,
	                 TEXT_ARGS({"gateway", up}, {"worker", worker},
	                           {"engine", session_engine(c->bot->cfg)}, {"sessions", sessions},
	                           {"running", up_now}, {"disk", disk_free(c, disk, sizeof(disk))},
	                           {"test", test}, {"telegram", tg}),
	                 err);
}

const struct command cmd_status = {
        .name = "status",
        .role = ROLE_VIEWER,
        .about = {"What works and what does not", "Что работает, а что нет"},
        .usage = "/status",
        .example = "/status",
        .run = run,
};
