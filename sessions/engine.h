/* What runs the services of a session. One file per engine, each a const table of these functions. Odd
 * rule: stop works on whatever is there, also on the leavings of a start that was killed, and on a row that
 * has a uuid and nothing else. */
#ifndef SESSIONS_ENGINE_H
#define SESSIONS_ENGINE_H

#include "core/json.h"
#include "jobs/job.h"
#include "sessions/lease.h"
#include "sessions/logs.h"
#include "sessions/store.h"

#define ENGINE_FOREIGN_MAX 50

struct engine {
	const char *name;
	bool own_user; /* what it starts runs as this user, and nobody listens on its behalf */

	/** Before the row exists: check that the engine answers (ERR_ENGINE) and what is asked for (the
	 * arguments of ${job}), fill ${row->spec} and say in ${wants} (lease_wants_free it) what must be
	 * leased. Makes nothing but caches. */
	int (*plan)(struct job *job, struct session_row *row, struct lease_wants *wants, struct err *err);

	/** Write what the session needs below row->dir, which exists. */
	int (*prepare)(struct job *job, const struct session_row *row, struct err *err);

	/** Whether launch could resume it: its files are there. -1: ${err} says which is not. May be NULL: always. */
	int (*resumable)(const struct session_row *row, struct err *err);

	/** Start its services in the background. Failure may leave some of them running. */
	int (*launch)(struct job *job, const struct session_row *row, struct err *err);

	/** Wait until all are healthy, reporting 40–90 % on ${job}. -1: ${err} names the service that
	 * failed with its last log lines, or ERR_CANCELLED, ERR_TIMEOUT. */
	int (*wait)(struct job *job, const struct session_row *row, struct err *err);

	/** End every service, politely first, then by force. ${keep}: so that launch can resume them; else
	 * whatever the engine made for the session is removed too. 0 when nothing of it runs (is there) any
	 * more. Blocks. */
	int (*stop)(struct state *st, const struct session_row *row, bool keep, struct err *err);

	/** Add to ${left} what exists now of each kind of object the engine makes ({"processes":0} or
	 * {"containers":0,"networks":0, "volumes":0}). Returns their sum, or -1. */
	int (*left)(struct state *st, const struct session_row *row, cJSON *left, struct err *err);

	/** Of the ports that ${row} has leased those (an array of numbers) on which the engine listens for somebody else, who was given them
	 * while nothing of the session did: they are not left by it. NULL: ${err}. May be NULL: the engine listens for nobody. */
	cJSON *(*lent)(struct state *st, const struct session_row *row, struct err *err);

	/** Whether what keeps it running still does: false means it crashed. True when nobody can tell. */
	bool (*alive)(struct state *st, const struct session_row *row);

	/** What its services use, one reading: [{name, cpu_us (since the service began), memory_bytes,
	 * memory_limit_bytes (0: none), pids}]. Never NULL, without those that cannot be read. May be NULL: an
	 * engine that cannot tell. */
	cJSON *(*stats)(struct state *st, const struct session_row *row);

	/** Bytes of memory that all its services use now, without pages of files that can be dropped; -1: it cannot be told
	 * quickly. Blocks no longer than docker_patience() allows. May be NULL: never. */
	int64_t (*memory)(struct state *st, const struct session_row *row);

	/** Bytes of the disk that its objects take besides row->dir: 0 and ${*bytes}, or -1 when the engine does not tell in
	 * time. Takes seconds. May be NULL: there are no such. */
	int (*disk)(struct state *st, const struct session_row *row, int64_t *bytes, struct err *err);

	/** [{name, state ("ready": up and healthy; "unknown": the engine does not tell), pid, restarts, and health, image, container, ports where
	 * there are such}], now.
	 * Never NULL; blocks at most half a second, or what docker_patience() allows. */
	cJSON *(*services)(struct state *st, const struct session_row *row);

	/** Wait until something happens to its services (also since ${since_ms}), ${fd} is readable, or ${timeout_ms} are over:
	 * 0, also when nothing changed after all, or -1. */
	int (*await)(struct state *st, const struct session_row *row, int64_t since_ms, int fd,
	             int64_t timeout_ms, struct err *err);

	/** Do ${op} ("restart", "stop", "start", "kill") to one of its services; returns once it is done,
	 * and healthy if it is to run. */
	int (*service)(struct state *st, const struct session_row *row, const char *service, const char *op,
	               struct err *err);

	/** The log lines of ${service} that ${w} says, an array of entries (logs.h) without "service". NULL with ${err}. */
	cJSON *(*logs)(struct state *st, const struct session_row *row, const char *service,
	               const struct logs_window *w, struct err *err);

	/** Give ${fn} the log lines of ${services} (names) that ${w} says, merged, and then what comes, over restarts of a service, until
	 * interrupted, ${fn} saying no, or the end of the services. */
	int (*follow)(struct state *st, const struct session_row *row, const cJSON *services,
	              const struct logs_window *w, logs_fn *fn, void *arg, struct err *err);

	/** Run ${argv} in ${service} with this process's standard streams; ${tty}: in a terminal of its own
	 * (resize, Ctrl-C), else piped. Returns 0 and its exit code in ${*status}, or -1. An empty ${argv}: a
	 * shell. */
	int (*exec)(struct state *st, const struct session_row *row, const char *service,
	            const char *const *argv, bool tty, int *status, struct err *err);

	/** Read the file ${path} below the stack's state directory, at most ${max} bytes; ERR_NOT_FOUND,
	 * ERR_INVALID for a directory. Transfers ${*text} (may be NULL pointer: only whether it is there),
	 * NUL-terminated. */
	int (*read)(struct state *st, const struct session_row *row, const char *path, size_t max,
	            char **text, struct err *err);

	/*
	 * Copying, whether its services run or not. ${path} is absolute: in the container, or below the state directory of the stack, where no
	 * link leads out. Each ends with ERR_CANCELLED when ${stop_fd} is readable.
	 */

	/** Whether ${path} of ${service} is a directory: 1, 0, or -1. */
	int (*is_dir)(struct state *st, const struct session_row *row, const char *service, const char *path,
	              struct err *err);

	/** Write ${path} of ${service}, with all below it, as a tar stream to ${fd}, in which it has its own last name or, for "…/.", ".". */
	int (*copy_out)(struct state *st, const struct session_row *row, const char *service,
	                const char *path, int fd, int stop_fd, struct err *err);

	/** Unpack the tar stream ${fd} below the directory ${path} of ${service}. */
	int (*copy_in)(struct state *st, const struct session_row *row, const char *service, const char *path,
	               int fd, int stop_fd, struct err *err);

	/** Who is to own in ${service} what is copied into it. */
	int (*owner)(struct state *st, const struct session_row *row, const char *service, int64_t *uid,
	             int64_t *gid, struct err *err);

	/** When something was last done in it (ms since the epoch), as far as the engine can tell; 0: it cannot, -1: not
	 * now, because it does not answer. */
	int64_t (*used_at)(struct state *st, const struct session_row *row);

	/** What is there now, one listing for all sessions: {"sessions":[{"uuid", "alive"?: what keeps it running is
	 * there (an engine that can tell this for less elsewhere leaves it out), "name"?, "expires_at"? (ms), "adoptable"?: there is
	 * something that adopt can make a session of again, and how many objects it has of each kind}], each uuid of this
	 * installation once, "foreign":[{"kind","name","why"}]: what is not ours but looks like it, at most
	 * ENGINE_FOREIGN_MAX, "foreign_total"}. NULL with ${err}. An engine that is not there has nothing. */
	cJSON *(*found)(struct state *st, struct err *err);

	/** Session ${uuid}, of which there is no row and no file, from what is there of it: of the shape lease_file_read()
	 * gives. NULL: ERR_NOT_FOUND when that makes no session. May be NULL: an engine that can never. */
	cJSON *(*adopt)(struct state *st, const char *uuid, struct err *err);
};

extern const struct engine engine_process, engine_compose;

/** The engine called ${name}; NULL with ERR_ENGINE naming those there are. */
const struct engine *engine_by_name(const char *name, struct err *err);

/** The engine for new sessions: ENGINE, where `auto` is compose on a machine that is meant to have Docker
 * (docker_expected()), else process. */
const struct engine *engine_chosen(const struct config *cfg, struct err *err);

/* All of them, NULL-terminated: a session is looked for in each. */
extern const struct engine *const engines[];

#endif
