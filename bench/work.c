/* What a person waits for: the control plane, a session, the nine scenarios. All of it on the process engine, in a state
 * directory of its own, so that the machine's own installation is left alone. */
#include "bench/bench.h"
#include "core/clock.h"
#include "core/json.h"
#include "core/mem.h"
#include "core/net.h"
#include "core/proc.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define STEP_MS 60000
#define MAX_OUTPUT (1u << 20)

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

static int port_of(int fd, int bound)
{
	if (fd < 0)
		give_up("no free port");
	close(fd);
	return bound;
}

/* Run a command of ours to its end; returns how long it took. ${out} may be NULL, else gets what it said. */
static double run(const struct bench *b, const char *const *args, const char *const *env, char **out)
{
	const char *argv[12] = {b->program, "--env", "/dev/null"};
	struct proc_spec spec = PROC_SPEC_INIT;
	struct proc_result result = {0};
	struct err err = {0};
	size_t n = 3;
	while (*args && n < ARRAY_LEN(argv) - 1)
		argv[n++] = *args++;
	spec.argv = argv;
	spec.env = env;
	int64_t began = clock_mono_ms();
	if (proc_run(&spec, NULL, STEP_MS, MAX_OUTPUT, &result, &err))
		give_up("%s", err.msg);
	double took = (double)(clock_mono_ms() - began);
	if (result.status)
		give_up("%s %s ended with %d: %.500s", b->program, argv[3], result.status, result.errs);
	if (out)
		*out = TAKE(result.out);
	proc_result_free(&result);
	return took;
}

/* All parts and their supervisor. */
static double control_plane_mb(const struct bench *b, const char *const *env)
{
	static const char *const status[] = {"status", "--json", NULL};
	cleanup_free char *text = NULL;
	struct err err = {0};
	int64_t kb = 0;
	run(b, status, env, &text);
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
	static const char *const keys[] = {"GATEWAY_PORT", "GATEWAY_HEALTH_PORT", "BOT_PORT",
	                                   "TELEGRAM_PORT"};
	cleanup_free char *dir = new_dir(b, "work"), *state = mem_printf("STATE_DIR=%s", dir);
	const char *env[ARRAY_LEN(keys) + 5] = {state, "ENGINE=process", "SESSION_PORT_RANGE=29000-29999",
	                                        "TELEGRAM_BOT_TOKEN"};
	char ports[ARRAY_LEN(keys)][48];
	struct err err = {0};
	for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
		int bound = 0, fd = net_listen("127.0.0.1", 0, &bound, &err);
		snprintf(ports[i], sizeof(ports[i]), "%s=%d", keys[i], port_of(fd, bound));
		env[4 + i] = ports[i];
	}
	took[UP_MS] = run(b, up, env, NULL);
	took[PSS_MB] = control_plane_mb(b, env);
	took[SESSION_MS] = run(b, start, env, NULL);
	run(b, stop, env, NULL);
	took[NINE_MS] = run(b, nine, env, NULL);
	run(b, down, env, NULL);
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
