/* A plain `session start` that takes a warm session (SESSION_POOL), beside one that makes its own, on both engines. */
#include "bench/ours.h"
#include "compose/docker.h"
#include "core/bell.h"
#include "core/clock.h"
#include "core/err.h"
#include "core/json.h"
#include "core/mem.h"
#include <stdio.h>
#include <string.h>

#define WARM_ROUNDS 5
#define FILL_MS 120000
#define GOAL_MS 100

static bool is_warm(const cJSON *session)
{
	return json_bool(session, "warm", false) && !strcmp(json_text_or(session, "state", ""), "running");
}

/* Wait until the pool has one. What becomes healthy rings the bell. */
static void await_warm(const struct ours *o)
{
	static const char *const list[] = {"session", "list", "--all", "--json", NULL};
	int64_t deadline = clock_mono_ms() + FILL_MS;
	struct err err = {0};
	struct bell *bell;
	if (bell_open(&bell, o->dir, &err))
		give_up("%s", err.msg);
	for (bool warm = false; !warm;) {
		cleanup_free char *text = NULL;
		ours_run(o, list, &text);
		cleanup_json cJSON *sessions = json_parse(text, strlen(text), &err);
		const cJSON *one;
		cJSON_ArrayForEach(one, sessions) warm |= is_warm(one);
		if (!warm && clock_mono_ms() > deadline)
			give_up("no session became warm");
		if (!warm)
			bell_wait(bell, 5000);
	}
	bell_close(bell);
}

/* What the program itself says it took: without the start of the program, as in the other tables. */
static double start(const struct ours *o)
{
	static const char *const start[] = {"session", "start", "bench", "--json", NULL}, *const stop[] = {
	                                                                                          "session",
	                                                                                          "stop",
	                                                                                          "bench",
	                                                                                          NULL};
	cleanup_free char *text = NULL;
	struct err err = {0};
	ours_run(o, start, &text);
	cleanup_json cJSON *result = json_parse(text, strlen(text), &err);
	ours_run(o, stop, NULL);
	return (double)json_int(result, "ready_ms", 0);
}

static void measure(const struct bench *b, const char *engine)
{
	static const char *const up[] = {"up", NULL}, *const clean[] = {"clean", "--yes", NULL};
	double cold[WARM_ROUNDS], warm[WARM_ROUNDS];
	cleanup_free char *setting = mem_printf("ENGINE=%s", engine);
	struct ours ours;
	ours_open(&ours, b, engine, setting, NULL);
	for (int i = 0; i < WARM_ROUNDS; i++)
		cold[i] = start(&ours);
	ours.env[OURS_PARTS + 4] = "SESSION_POOL=1";
	ours_run(&ours, up, NULL);
	for (int i = 0; i < WARM_ROUNDS; i++) {
		await_warm(&ours);
		warm[i] = start(&ours);
	}
	ours_run(&ours, clean, NULL);
	ours_close(&ours);
	double middle = median(warm, WARM_ROUNDS), own = median(cold, WARM_ROUNDS);
	printf("  %-10s %8.0f ms %8.0f ms (%.0f–%.0f) %8d ms %8.2f\n", engine, own, middle, warm[0],
	       warm[WARM_ROUNDS - 1], GOAL_MS, middle / own);
}

void bench_warm(const struct bench *b)
{
	struct err err = {0};
	cleanup_json cJSON *info = docker_info(&err);
	printf("session start until healthy, median of %d\n", WARM_ROUNDS);
	printf("  %-10s %11s %18s %13s %10s\n", "engine", "made", "taken warm", "goal", "warm/made");
	measure(b, "process");
	if (info)
		measure(b, "compose");
	else
		printf("  compose    %s\n", err.msg);
}
