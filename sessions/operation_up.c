#include "core/clock.h"
#include "core/mem.h"
#include "sessions/lease.h"
#include "sessions/lease_file.h"
#include "sessions/operation.h"
#include "sessions/plan.h"
#include "sessions/step.h"
#include <stdio.h>
#include <string.h>

static int make_dir(struct job *job, const struct engine *engine, struct session_row *row, struct err *err)
{
	(void)engine;
	/* before anything is made by which it would have to be found again */
	return plan_make_dir(row, err) || lease_file_write(job_state(job), row->uuid, err) ? -1 : 0;
}

static int prepare(struct job *job, const struct engine *engine, struct session_row *row, struct err *err)
{
	return engine->prepare(job, row, err);
}

static int launch(struct job *job, const struct engine *engine, struct session_row *row, struct err *err)
{
	/* where they are not of this start, nobody has kept other installations from its ports meanwhile */
	return lease_hold(job_state(job), row->uuid, err) || engine->launch(job, row, err) ? -1 : 0;
}

static int wait_healthy(struct job *job, const struct engine *engine, struct session_row *row,
                        struct err *err)
{
	return engine->wait(job, row, err);
}

/* In this order; those of a fresh session only, then those of a resumed one too. */
static const struct up_step {
	const char *name, *stage, *text;
	int percent;
	bool fresh_only;
	int (*run)(struct job *job, const struct engine *engine, struct session_row *row, struct err *err);
} steps[] = {
        {"directory", "prepare", "making its directory", 5, true, make_dir},
        {"prepare", "prepare", "writing its settings", 10, true, prepare},
        {"launch", "start", "starting its services", 20, false, launch},
        {"healthy", "wait", "waiting until they are healthy", 40, false, wait_healthy},
};

static int run_step(struct job *job, const struct engine *engine, struct session_row *row,
                    const struct up_step *s, struct err *err)
{
	struct state *st = job_state(job);
	int64_t step;
	if (job_check(job, err))
		return -1;
	job_progress(job, s->stage, s->percent, "session %s: %s", row->name, s->text);
	return step_begin(st, row, job_id(job), "up", s->name, row->dir, &step, err) ||
	                       s->run(job, engine, row, err) || step_done(st, step, s->name, err)
	               ? -1
	               : 0;
}

static int bring_up(struct job *job, const struct engine *engine, struct session_row *row, struct err *err)
{
	struct state *st = job_state(job);
	bool fresh = row->state == SESSION_CREATING;
	for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
		if (!steps[i].fresh_only && row->state != SESSION_STARTING &&
		    store_apply(st, row, fresh ? EVENT_LAUNCH : EVENT_RESUME, NULL, NULL, job_id(job), err))
			return -1;
		if ((fresh || !steps[i].fresh_only) && run_step(job, engine, row, &steps[i], err))
			return -1;
	}
	return store_apply(st, row, EVENT_HEALTHY, NULL, NULL, job_id(job), err);
}

/* The start went wrong: nothing of it stays but, when it was not cancelled, the reason. */
static int take_back(struct job *job, struct session_row *row, struct err *err)
{
	struct state *st = job_state(job);
	struct err down = {0}, why = {0};
	/* told to end while a step failed in its own way, such as a supervisor that got the same signal: cancelled */
	bool cancelled = err->code == ERR_CANCELLED || (job_check(job, &why) && why.code == ERR_CANCELLED);
	bool resumed = operation_resumed(row);
	job_shield(job);
	job_progress(job, "undo", 90, "session %s: removing what was started", row->name);
	err_wrap(err, "start session %s", row->name);
	if (row->state == SESSION_STOPPED)
		return -1;
	int rc = operation_down(st, row,
	                        resumed     ? EVENT_KEEP
	                        : cancelled ? EVENT_STOP
	                                    : EVENT_FAIL,
	                        resumed     ? REASON_KEPT
	                        : cancelled ? REASON_CANCELLED
	                                    : REASON_FAILED,
	                        err->msg, job_id(job), NULL, &down);
	if (rc) {
		size_t len = strlen(err->msg);
		snprintf(err->msg + len, sizeof(err->msg) - len, "\n%.600s", down.msg);
	}
	return -1;
}

int operation_result(struct job *job, const struct session_row *row, int64_t ready_ms, struct err *err)
{
	cleanup_json cJSON *leases = lease_list(job_state(job), row->uuid, err);
	if (!leases)
		return -1;
	cJSON *result = json_object();
	json_add_text(result, "name", row->name);
	json_add_text(result, "uuid", row->uuid);
	json_add_text(result, "engine", row->engine);
	json_add_int(result, "ready_ms", ready_ms);
	json_add_int(result, "expires_at", row->expires_at);
	json_add(result, "endpoints", lease_endpoints(leases, json_at(row->spec, "services")));
	job_result(job, result);
	return 0;
}

int operation_up(struct job *job, struct session_row *row, struct err *err)
{
	int64_t began = clock_mono_ms();
	char took[32];
	const struct engine *engine = engine_by_name(row->engine, err);
	if (!engine)
		return -1;
	if (bring_up(job, engine, row, err))
		return take_back(job, row, err);
	int64_t ready_ms = clock_mono_ms() - began;
	job_progress(job, "done", 100, "session %s is healthy after %s", row->name,
	             clock_duration(ready_ms, took, sizeof(took)));
	return operation_result(job, row, ready_ms, err);
}
