/* Comparisons with peers, side by side in one run: only ratios travel from one machine to another, so there is no figure
 * here that must be reached. The peers are started by us, one at a time, and end with us. */
#ifndef BENCH_BENCH_H
#define BENCH_BENCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define ROUNDS 3
#define PEER_MS 20000 /* what a peer may take for one step */

struct bench {
	const char *program;   /* build/codefoundry */
	const char *bare_echo; /* the smallest WebSocket echo in C */
	const char *scripts;   /* folder of the peers' files */
	const char *modules;   /* node_modules with telegraf and ws */
	const char *dir;       /* for state directories and logs */
};

/* A process under measurement. What it writes on standard output is read by lines. */
struct peer {
	pid_t pid;
	int out;
	char text[65536];
	size_t len;
};

/** Start ${argv} with ${env} added; its standard error goes to a file in the bench's folder. Servers of ours say an empty
 * line when they are ready. Ends the bench on failure. */
void peer_start(struct peer *p, const struct bench *b, const char *const *argv, const char *const *env);
/** Wait for a line beginning with ${word} and a space or its end, dropping others; returns what follows, valid until
 * the next call. Ends the bench when none comes within PEER_MS. */
const char *peer_wait(struct peer *p, const char *word);
/** TERM, then KILL. */
void peer_stop(struct peer *p);

/** CPU time of all threads so far. */
int64_t process_cpu_ns(pid_t pid);
/** A line of /proc/PID/status or smaps_rollup, such as "VmHWM"; 0 when there is none. */
int64_t process_kb(pid_t pid, const char *file, const char *field);

/** Middle value; sorts ${values}. */
double median(double *values, size_t n);
/** Make a folder in the bench's own; to be freed. */
char *new_dir(const struct bench *b, const char *name);
/** Say what went wrong and end with code 1; what was started ends with us. */
_Noreturn void give_up(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/** Run ${run} in a child that dies with us. Returns whether it ended well; what it made we, who are left, may have to remove. */
bool bench_guarded(void (*run)(void *arg), void *arg);

/* The comparisons: they print their own tables. */
void bench_bot(const struct bench *b);
void bench_gateway(const struct bench *b);
void bench_work(const struct bench *b);
void bench_warm(const struct bench *b);
void bench_containers(const struct bench *b);
void bench_scan(const struct bench *b);

#endif
