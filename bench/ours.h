/* This program with a state directory and ports of its own, called as a person calls it. */
#ifndef BENCH_OURS_H
#define BENCH_OURS_H

#include "bench/bench.h"

#define OURS_PARTS 4

struct ours {
	const struct bench *b;
	char *dir, *state;
	char ports[OURS_PARTS][48];
	const char *env[OURS_PARTS + 6];
};

/** ${engine} ("ENGINE=process") and ${more} ("KEY=value", may be NULL) are borrowed. */
void ours_open(struct ours *o, const struct bench *b, const char *name, const char *engine, const char *more);
void ours_close(struct ours *o);

/** Run a command to its end; returns how long it took in ms. ${out} (may be NULL) gets what it said. Ends the bench on failure. */
double ours_run(const struct ours *o, const char *const *args, char **out);

#endif
