/* The reference's list of sessions, /tmp/codefoundry-sessions/sessions.json of its container-manager.sh, written and read:
 * {"sessions": {"demo": {"name": "demo", "started": "2026-01-31T12:00:00Z", "compose_file": "/path", "status": "running"}}}. Odd rule: its own containers carry
 * no label of ours, so they are never taken over; what is listed can only be started anew. */
#ifndef SESSIONS_REFERENCE_H
#define SESSIONS_REFERENCE_H

#include "core/json.h"
#include "jobs/state.h"

#define REFERENCE_MAX (1u << 20) /* bytes of such a file */

/** The alive sessions in that shape; compose_file is the override of a session of containers, "" of processes. NULL with ${err}. */
cJSON *reference_list(struct state *st, struct err *err);

/** What to do about each session of ${file} (such an object; {} has none): an array of {name, started_at (0: not said), action, reason?}, action one of "start",
 * "listed" (one of that name is alive here), "expired" (it is older than SESSION_MAX_AGE_HOURS), "ended" (its status is another than running),
 * "refused" (its name cannot be one here). NULL with ${err}, ERR_INVALID. */
cJSON *reference_plan(struct state *st, const cJSON *file, struct err *err);

#endif
