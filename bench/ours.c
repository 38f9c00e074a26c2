#include "bench/ours.h"
#include "core/clock.h"
#include "core/err.h"
#include "core/mem.h"
#include "core/net.h"
#include "core/proc.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define STEP_MS 60000
#define MAX_OUTPUT (1u << 20)

static int free_port(void)
{
	struct err err = {0};
	int bound = 0, fd = net_listen("127.0.0.1", 0, &bound, &err);
	if (fd < 0)
		give_up("no free port");
	close(fd);
	return bound;
}

void ours_open(struct ours *o, const struct bench *b, const char *name, const char *engine, const char *more)
{
	static const char *const keys[OURS_PARTS] = {"GATEWAY_PORT", "GATEWAY_HEALTH_PORT", "BOT_PORT",
	                                             "TELEGRAM_PORT"};
	*o = (struct ours){.b = b, .dir = new_dir(b, name)};
	o->state = mem_printf("STATE_DIR=%s", o->dir);
	size_t n = 0;
	for (size_t i = 0; i < OURS_PARTS; i++) {
		snprintf(o->ports[i], sizeof(o->ports[i]), "%s=%d", keys[i], free_port());
		o->env[n++] = o->ports[i];
	}
	o->env[n++] = o->state;
	o->env[n++] = engine;
	o->env[n++] = "SESSION_PORT_RANGE=29000-29999";
	o->env[n++] = "TELEGRAM_BOT_TOKEN";
	o->env[n++] = more;
}

void ours_close(struct ours *o)
{
	free(o->dir);
	free(o->state);
}

double ours_run(const struct ours *o, const char *const *args, char **out)
{
	const char *argv[12] = {o->b->program, "--env", "/dev/null"};
	struct proc_spec spec = PROC_SPEC_INIT;
	struct proc_result result = {0};
	struct err err = {0};
	size_t n = 3;
	while (*args && n < ARRAY_LEN(argv) - 1)
		argv[n++] = *args++;
	spec.argv = argv;
	spec.env = o->env;
	int64_t began = clock_mono_ms();
	if (proc_run(&spec, NULL, STEP_MS, MAX_OUTPUT, &result, &err))
		give_up("%s", err.msg);
	double took = (double)(clock_mono_ms() - began);
	if (result.status)
		give_up("%s %s ended with %d: %.500s", o->b->program, argv[3], result.status, result.errs);
	if (out)
		*out = TAKE(result.out);
	proc_result_free(&result);
	return took;
}
