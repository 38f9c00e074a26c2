/* What runs the services of a session. One file per engine, each a const table of these functions. Odd rule: stop works
 * on whatever is there, also on the leavings of a start that was killed, and on a row that has a uuid and nothing else. */
#ifndef SESSIONS_ENGINE_H
#define SESSIONS_ENGINE_H

#include "core/json.h"
#include "jobs/job.h"
#include "sessions/store.h"

struct engine {
	const char *name;

	/** Write what the session needs below row->dir, which exists. */
	int (*prepare)(struct state *st, const struct session_row *row, struct err *err);

	/** Start its services in the background. Failure may leave some of them running. */
	int (*launch)(struct state *st, const struct session_row *row, struct err *err);

	/** Wait until all are healthy, reporting 40–90 % on ${job}. -1: ${err} names the service that failed with its last
	 * log lines, or ERR_CANCELLED, ERR_TIMEOUT. */
	int (*wait)(struct job *job, const struct session_row *row, struct err *err);

	/** End every service, politely first, then by force. 0 when nothing of it runs any more. Blocks. */
	int (*stop)(struct state *st, const struct session_row *row, struct err *err);

	/** Objects of the session (processes, containers) that exist now, or -1. */
	int (*count)(struct state *st, const struct session_row *row, struct err *err);

	/** Whether what keeps it running still does: false means it crashed. */
	bool (*alive)(struct state *st, const struct session_row *row);

	/** [{name, state, pid, restarts}], now. Never NULL; blocks at most half a second. */
	cJSON *(*services)(struct state *st, const struct session_row *row);

	/** Do ${op} ("restart", "stop", "start", "kill") to one of its services; returns once it is done. */
	int (*service)(struct state *st, const struct session_row *row, const char *service, const char *op,
	               struct err *err);

	/** The last ${n} log lines of ${service}, an array of texts. Never NULL. */
	cJSON *(*logs)(struct state *st, const struct session_row *row, const char *service, int n);

	/** UUIDs of this installation's sessions that have objects now, each once: an array of texts. NULL with ${err}. */
	cJSON *(*found)(struct state *st, struct err *err);
};

extern const struct engine engine_process;

/** The engine called ${name}; NULL with ERR_ENGINE naming those there are. */
const struct engine *engine_by_name(const char *name, struct err *err);

#endif
