/* Child processes: argv arrays, never a shell. Every child closes inherited descriptors, gets default signal
 * handling and, unless told otherwise, a process group of its own. A process is identified by pid and start time,
 * because pids are used again. */
#ifndef CORE_PROC_H
#define CORE_PROC_H

#include "core/err.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum { PROC_NULL = -1, PROC_INHERIT = -2 };

struct proc_spec {
	const char *const
	        *argv; /* NULL-terminated; argv[0] is looked up in the child's PATH unless it has a slash */
	const char *const *
	        env; /* "K=V" to add or replace, "K" to remove; the last of a key wins; NULL-terminated, may be NULL */
	bool clear_env;     /* start from PATH, HOME, LANG, TZ, TERM and what marks us as of a session only */
	const char *cwd;    /* NULL: unchanged */
	int in, out, errfd; /* descriptors to use as 0, 1, 2; PROC_NULL or PROC_INHERIT */
	int ready_fd;       /* passed as descriptor 3 and named in CODEFOUNDRY_READY_FD; <= 0: none */
	int keep_fd;        /* passed as descriptor 4 (a lock the child inherits); <= 0: none */
	const int *held;    /* open descriptors above 4 that the child inherits under their numbers… */
	int n_held;         /* …so many */
	bool same_group;    /* stay in the caller's process group (for the terminal) */
	bool new_session;   /* setsid: detached from the terminal */
	bool die_with_parent; /* SIGKILL when the parent thread ends */
};
#define PROC_SPEC_INIT ((struct proc_spec){.in = PROC_NULL, .out = PROC_INHERIT, .errfd = PROC_INHERIT})

/* What marks a process as of a session (sessions/marker.h). A child has it too, whatever else of the environment it is given: by it what is started in
 * there is found. */
#define PROC_SESSION_KEY "CODEFOUNDRY_SESSION_PATH"
#define PROC_SESSION_PORTS_KEY "CODEFOUNDRY_SESSION_PORTS"

/* Called before each child is started when not NULL; an errno other than 0 is why it could not be: how tests fail every one. */
extern int (*proc_hook)(const char *program);

/** Start a child. Returns 0 and ${*pid}, or -1; a program that cannot be executed (or a ${cwd} that is missing) is reported
 * here, by name. A relative argv[0] with a slash counts from ${cwd}. Files that are no programs are never given to a shell. */
int proc_spawn(const struct proc_spec *spec, pid_t *pid, struct err *err);

struct proc_result {
	int status;       /* exit code, or 128 + signal */
	char *out, *errs; /* captured, NUL-terminated, cut at the bound; free with proc_result_free */
	size_t out_len, err_len;
	bool timed_out, cut;
};

/**
 * Run to the end with captured output (spec's in/out/errfd are ignored but `in`), ${input} (may be NULL) on its
 * standard input. After ${timeout_ms} (<= 0: never) the group gets TERM, 2 s later KILL. What the child leaves running
 * is waited for 1 s when it holds the output open, then left behind. Returns 0 when it ran, whatever its status (255 when
 * someone else reaped it), or -1 when it could not be started. Blocks.
 */
int proc_run(const struct proc_spec *spec, const char *input, int64_t timeout_ms, size_t max_bytes,
             struct proc_result *result, struct err *err);
void proc_result_free(struct proc_result *result);

/** Run a child to its end with our standard streams and in our process group, so that it has the terminal: Ctrl-C and the window's
 * size are its matter, an end meant for us (TERM, HUP) is handed on. Returns 0 and its exit code, or 128 + signal, in ${*status}; in
 * ${*told} (may be NULL) the last of INT, QUIT, TERM and HUP that came to us meanwhile, 0: none. -1 when it could not be started. Blocks. */
int proc_attach(const struct proc_spec *spec, int *status, int *told, struct err *err);

struct proc_id {
	pid_t pid;
	int64_t start; /* field 22 of /proc/PID/stat, clock ticks since boot; 0: unknown */
};

/** Identify a running process: it runs while any thread of it is left, also when its first has ended, or all are just ending.
 * Returns 0, or -1 when there is none (zombies count as none). */
int proc_identify(pid_t pid, struct proc_id *id);

/** What /proc tells of a process' environment. */
enum proc_environ {
	PROC_ENVIRON_NONE, /* a thread of the kernel, what has ended, or a program that was given none */
	PROC_ENVIRON_SOME, /* one; if it reads empty all the same, it is inside execve(2), and the new program will have one */
	PROC_ENVIRON_LOST, /* it is ending: its memory is gone, its descriptors may still be open */
};
/** Ask for it; SOME stands in /proc/${pid}/task/${*thread}/environ, which is ${pid} unless its first thread has ended before others. */
enum proc_environ proc_environ(pid_t pid, pid_t *thread);

/** Whether exactly this process still runs; until it does not, a pidfd of it does not poll readable. */
bool proc_alive(const struct proc_id *id);
/** Send ${sig} to this process, never to another one that has its pid now. 0 also when it is gone; -1 (errno) when it may
 * not be, or when its start time is unknown. */
int proc_signal(const struct proc_id *id, int sig);

/** Absolute path of the running program. Borrowed, never NULL. */
const char *proc_self(void);

/** Tell a supervisor that we are up (s6 style newline on CODEFOUNDRY_READY_FD); nothing without one. */
void proc_ready(void);

#endif
