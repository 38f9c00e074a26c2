/* The worker's look, at its start and then twice a minute: whether there is something to reap. */
#include "compose/docker.h"
#include "sessions/reap.h"
#include "sessions/session.h"
#include <string.h>

#define LOOK_EVERY_MS 30000
#define PATIENCE_MS 5000 /* with an engine that hangs: the worker has other things to do meanwhile */
#define OWNER "system:reaper"

static bool reap_open(struct state *st)
{
	struct err ignored = {0};
	cleanup_json cJSON *last = jobs_list(st, OWNER, -1, 1, &ignored);
	const char *state = json_text(cJSON_GetArrayItem(last, 0), "state");
	return state &&
	       (!strcmp(state, job_state_name(JOB_QUEUED)) || !strcmp(state, job_state_name(JOB_RUNNING)));
}

static int look(struct state *st, bool expired, bool *due, struct err *err)
{
	struct reap_plan plan;
	docker_patience(PATIENCE_MS);
	int rc = reap_look(st, expired, &plan, err);
	docker_patience(0);
	*due = rc == 0 && reap_due(&plan);
	reap_free(&plan);
	return rc;
}

static int reap_task_look(struct state *st, struct err *err)
{
	bool expired = config_bool(st->cfg, "SESSION_AUTO_CLEANUP"), due;
	if (reap_open(st))
		return 0;
	if (look(st, expired, &due, err))
		return -1;
	if (!due)
		return 0;
	cleanup_json cJSON *args = json_object();
	json_add_bool(args, "expired", expired);
	struct job_request request = {.kind = session_reap_kind.name, .args = args, .owner = OWNER};
	int64_t id;
	return jobs_enqueue(st, &request, &id, NULL, err);
}

const struct worker_task session_reap_task = {
        .name = "session.reap", .every_ms = LOOK_EVERY_MS, .look = reap_task_look};
