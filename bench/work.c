/* What a person waits for: the control plane, a session, the nine scenarios. All of it on the process engine, in a state
 * directory of its own, so that the machine's own installation is left alone. */
#include "bench/ours.h"
#include "core/err.h"
#include "core/json.h"
#include "core/mem.h"
#include <stdio.h>
#include <string.h>

enum { UP_MS, PSS_MB, SESSION_MS, NINE_MS, FIGURES };

static const struct {
	const char *name, *unit;
	double goal;
} figures[FIGURES] = {
        [UP_MS] = {"up, until every part is ready", "ms", 300},
        [PSS_MB] = {"memory of the control plane (PSS)", "MB", 30},
        [SESSION_MS] = {"session start, until healthy", "ms", 150},
        [NINE_MS] = {"nine scenarios in a session of their own", "ms", 2000},
};

/* All parts and their supervisor. */
static double control_plane_mb(const struct ours *ours)
{
	static const char *const status[] = {"status", "--json", NULL};
	cleanup_free char *text = NULL;
	struct err err = {0};
	int64_t kb = 0;
	ours_run(ours, status, &text);
	cleanup_json cJSON *j = json_parse(text, strlen(text), &err);
	const cJSON *part;
	cJSON_ArrayForEach(part, json_at(j, "parts"))
	{
		pid_t pid = (pid_t)json_int(part, "pid", 0);
		if (!kb)
			kb = process_kb((pid_t)process_kb(pid, "status", "PPid"), "smaps_rollup", "Pss");
		kb += process_kb(pid, "smaps_rollup", "Pss");
	}
	return (double)kb / 1024;
}

static void run_round(const struct bench *b, double took[FIGURES])
{
	static const char *const up[] = {"up", NULL}, *const down[] = {"down", NULL};
	static const char *const start[] = {"session", "start", "bench", NULL};
	static const char *const stop[] = {"session", "stop", "bench", NULL};
	static const char *const nine[] = {"test", "run", NULL};
	struct ours ours;
	ours_open(&ours, b, "work", "ENGINE=process", NULL);
	took[UP_MS] = ours_run(&ours, up, NULL);
	took[PSS_MB] = control_plane_mb(&ours);
	took[SESSION_MS] = ours_run(&ours, start, NULL);
	ours_run(&ours, stop, NULL);
	took[NINE_MS] = ours_run(&ours, nine, NULL);
	ours_run(&ours, down, NULL);
	ours_close(&ours);
}

void bench_work(const struct bench *b)
{
	double rounds[FIGURES][ROUNDS];
	for (size_t r = 0; r < ROUNDS; r++) {
		double took[FIGURES];
		run_round(b, took);
		for (int f = 0; f < FIGURES; f++)
			rounds[f][r] = took[f];
	}
	printf("work on the process engine; median of %d\n", ROUNDS);
	printf("  %-44s %10s %10s %10s\n", "", "took", "goal", "of goal");
	for (int f = 0; f < FIGURES; f++) {
		double middle = median(rounds[f], ROUNDS);
		printf("  %-44s %7.0f %s %7.0f %s %10.2f\n", figures[f].name, middle, figures[f].unit,
		       figures[f].goal, figures[f].unit, middle / figures[f].goal);
	}
}
