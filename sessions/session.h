/* Sessions: isolated throw-away stacks. Operations are synchronous jobs (kinds below); queries read the database and
 * the engine. Everything a session owns is recorded before it is made and proved gone after it is removed. */
#ifndef SESSIONS_SESSION_H
#define SESSIONS_SESSION_H

#include "core/err.h"
#include "core/json.h"
#include "jobs/job.h"
#include "jobs/worker.h"
#include "sessions/logs.h"

extern const struct setting session_settings[];

/*
 * Kinds; args → result:
 *  session.start   {name?, services?: [text], compose?: [absolute path of a compose file], env_file?: absolute path, chat?: {chat, topic}: where to tell of its end}  → {name, uuid, engine, ready_ms, expires_at, endpoints: [{service, name, url}]}
 *                  name absent: one is generated. A stopped session is resumed.
 *  session.stop    {name, keep?: bool, uuid?}  → {name, receipt: {ok, <what the engine makes: processes, or containers, networks, volumes>, ports, files,
 *                                               leases, rows}} (all counts are what is LEFT)
 *  session.restart {name, service?}            → as start
 *  session.extend  {name, minutes, uuid?}      → {name, expires_at}
 *  session.pin     {name}                      → {name, pinned: true, expires_at}
 *  session.unpin   {name}                      → {name, pinned: false, expires_at}
 *  session.exec    {name, service?, argv: [text]} → {name, service, exit_code, output (with what it said of errors, its first 16 KiB), cut:
 *                                               whether there was more, took_ms}; at most a minute; where SESSION_CHAT_EXEC allows
 *  session.reap    {dry_run?: bool}            → {removed: [{name, reason, receipt}], kept: N, orphans: N, and
 *                                               held: {until, why} when nothing is removed for its age until then}
 * uuid: only if it is still that one which is called so.
 */
extern const struct job_kind session_start_kind, session_stop_kind, session_restart_kind, session_extend_kind,
        session_pin_kind, session_unpin_kind, session_exec_kind, session_reap_kind;

/* Looks for expired sessions and orphans and enqueues session.reap. */
extern const struct worker_task session_reap_task;

/* Warns owners of the end of their sessions: a line in the log and a notice (sessions/warn.h). */
extern const struct worker_task session_warn_task;

/* Reads now and then what running sessions use of memory (sessions/usage.h). */
extern const struct worker_task session_usage_task;

/** 0 when ${name} may name a session ([a-z0-9][a-z0-9-]{0,29}), else -1 ERR_INVALID saying what is allowed. */
int session_name_check(const char *name, struct err *err);

/** The name of the session that ${user} of this machine works in: dev-<user>, as far as names allow. The caller frees it. */
char *session_dev_name(const char *user);

/** Alive sessions (with ${all} also failed ones kept for their reason, and warm ones, which have warm: true) as an array of
 * {name, uuid, owner, engine, state, created_at, expires_at, hard_expires_at, pinned, ends: "idle|age|pinned", age_ms, reason, warm?, endpoints, services: [{name, state, pid, restarts, ports: [{ip, host, container, protocol}], and health, image, container where
 * the engine has them}]}; times in ms, services from the engine, now. */
cJSON *sessions_list(struct state *st, bool all, struct err *err);

/** Alive sessions as an array of {name, state, services: [name]}, from the database alone: at once, whatever the engines do. */
cJSON *session_names(struct state *st, struct err *err);

/** Whether a service in ${state} is as it should be: "ready", or "done" when it runs once and ended well. */
bool session_service_up(const char *state);

/** One of them, plus {dir} and, when its removal left something, {receipt, tries, next_try_at}; a removed one is answered from its receipt (state "removed"). NULL with ERR_NOT_FOUND. */
cJSON *session_show(struct state *st, const char *name, struct err *err);

/** The owner's text of an alive session, or of the start under way that will make it; NULL with ERR_NOT_FOUND. For permission
 * checks. The caller frees it. */
char *session_owner(struct state *st, const char *name, struct err *err);

/** Last ${n} lines of ${service} (NULL: all services, merged with prefixes) as an array of strings. */
cJSON *session_logs(struct state *st, const char *name, const char *service, int n, struct err *err);

/** The log lines of ${services} (names, NULL-terminated; none: all) that ${w} says, merged by time, oldest first: an array of
 * {ts?, service, stream?, msg} (logs.h). NULL with ${err}: ERR_INVALID when an age is asked for and no line has a time. */
cJSON *session_log_entries(struct state *st, const char *name, const char *const *services,
                           const struct logs_window *w, struct err *err);

/** What the services of running session ${name} (NULL: of all that run) use: an array of {session, name, cpu_us (since the service began), memory_bytes,
 * memory_limit_bytes (0: none), pids, read_us (monotonic)}, and cpu_percent of one CPU since ${before}, an earlier answer (NULL: none). */
cJSON *session_stats(struct state *st, const char *name, const cJSON *before, struct err *err);

/** The same with every cpu_percent, read twice where the engine's one reading does not hold it. Takes a second or two. */
cJSON *session_usage(struct state *st, const char *name, struct err *err);

/**
 * Add to ${session}, an answer of session_show() for an alive one, what it uses now: to each of its services cpu_percent (of one CPU), memory_bytes,
 * memory_limit_bytes (0: none) and pids, as far as they run, and {"cost": {"cpu_percent", "memory_bytes", "disk_bytes", "memory_share", "disk_share"
 * (percent of the machine's), "cpu_share" (of all its CPUs), "machine": {"cpus","memory_bytes","disk_bytes"}}}; null where nobody tells in time.
 * Takes seconds.
 */
void session_add_cost(struct state *st, cJSON *session);

/* What a session may be waited for: that it runs and all its services are up; that nothing of it is left; that it is stopped and kept. */
enum session_goal { SESSION_GOAL_HEALTHY, SESSION_GOAL_GONE, SESSION_GOAL_STOPPED };
/** The goal called ${name} ("healthy", "gone", "stopped"); -1 with ERR_USAGE naming those there are. */
int session_goal(const char *name, enum session_goal *goal, struct err *err);

/** Wait until session ${name} has reached ${goal}, at most ${timeout_ms}: 0, and transfers ${*session} (as session_show answers it; {name, state:
 * "gone"} for one nobody knows). -1: ERR_TIMEOUT naming what it waits for; ERR_STATE when it will not reach it by itself, ERR_NOT_FOUND. Nothing
 * is asked again and again: the bell tells of sessions, their engine of services. Blocks. */
int session_await(struct state *st, const char *name, enum session_goal goal, int64_t timeout_ms,
                  cJSON **session, struct err *err);

/** Restart, stop, start or kill one service through the engine: ${op} "restart" "stop" "start" "kill". Blocks until done. */
int session_service(struct state *st, const char *name, const char *service, const char *op, struct err *err);

/** The name of the engine that runs new sessions on this machine, as ENGINE says; that setting itself when it is none of ours. Borrowed. */
const char *session_engine(const struct config *cfg);

/*
 * What a person does with a service of a session that runs (ERR_STATE otherwise). ${service} must be one of its (ERR_NOT_FOUND).
 */

/** Run ${argv} (empty: a shell) in ${service} (NULL: test-runner if there is one, else the first) with this process's standard
 * streams, ${tty}: in a terminal. Returns 0 and its exit code in ${*status}, or -1. */
int session_exec(struct state *st, const char *name, const char *service, const char *const *argv, bool tty,
                 int *status, struct err *err);

/** Give ${fn} the log lines of ${services} (names, NULL-terminated; none: all) that ${w} says, merged by time, and then what comes, over restarts
 * of a service, until interrupted, ${fn} saying no, or the end of the session. Each is {ts?, service, stream?, msg} (logs.h). */
int session_follow(struct state *st, const char *name, const char *const *services,
                   const struct logs_window *w, logs_fn *fn, void *arg, struct err *err);

/*
 * Copying files and trees of them, like `docker cp`: into a directory that is there, else under the name given, whose parent must be there; of a source "…/."
 * what is in it. Rights are kept (no set-user-id bits here), links are copied as links, the owner is the service's user there and ours here.
 */
struct session_copy {
	const char *session, *service; /* service NULL: test-runner if there is one, else the first */
	const char *
	        path; /* there; processes: below the state directory of their stack, where no link is followed */
	const char *local;                       /* here; "-": a tar stream on standard input or output */
	bool out;                                /* from there to here */
	void (*moved)(void *arg, int64_t bytes); /* so many bytes more; on another thread. May be NULL */
	void *arg;
	long skipped; /* out: how many were left out, because they are no file, directory or link */
};

/** Copy. What comes here stands under its name only once all of it is here. ERR_STATE unless the session runs or is stopped and kept;
 * ERR_CANCELLED on SIGINT, SIGTERM or SIGHUP. Blocks; bounded in memory, not in size. */
int session_copy(struct state *st, struct session_copy *copy, struct err *err);

/** Read ${path} below the state directory of the session's stack, at most ${max} bytes (ERR_NOT_FOUND, ERR_LIMIT; ERR_INVALID for
 * what is no file or leads out of it). Transfers ${*text} (may be NULL pointer: only whether it is there), NUL-terminated. */
int session_read(struct state *st, const char *name, const char *path, size_t max, char **text,
                 struct err *err);

/** What a test runner needs to reach the session: {dir, state_dir?, env: {KEY: value…}, credentials: {…as stack.h}}. Addresses in env
 * are this host's; state_dir is there when this machine's programs can look into it (else: session_read). ERR_STATE when it does not run, or runs a compose file without the built-in stack. */
cJSON *session_target(struct state *st, const char *name, struct err *err);

/**
 * Keep the services of session ${name} running until it is shut down: the body of `codefoundry session supervise NAME`,
 * which session.start runs detached. ERR_BUSY when it has a supervisor already.
 */
int session_supervise(struct state *st, const char *name, struct err *err);

/** Mark as used now (moves the idle limit). */
void session_touch(struct state *st, const char *name);

#endif
