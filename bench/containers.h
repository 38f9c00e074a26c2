/* What containers.c measures: this program's sessions, and the same four containers started by the compose tool alone. Everything
 * either of them makes is named after this process, so that an interrupted run can be tidied up by name. */
#ifndef BENCH_CONTAINERS_H
#define BENCH_CONTAINERS_H

#include "bench/bench.h"
#include "compose/provider.h"

#define AT_ONCE_MAX 10
#define BARE_PORTS 20

/* A folder with the two files of a session, in which names, ports, subnet and labels are others. */
struct bare {
	char *dir, *project, *runner; /* the container without a port to ask */
	int ports[3];                 /* that answer /health */
};

struct bare_template {
	const char *dir;            /* with compose.yml and override.yml */
	const char *project;        /* their compose project */
	int port_low, port_high;    /* the range they are of; the peers have the next one, BARE_PORTS each */
	const char *install, *uuid; /* labels in them */
};

/** Name the ${k}th project of those of ${prefix}; its files will stand below ${b}'s folder. */
void bare_name(struct bare *bare, const struct bench *b, const char *prefix, size_t k);
/** Write its files; objects will carry ${label} for our installation's and session's. Ends the bench on failure. */
void bare_write(struct bare *bare, const struct bare_template *from, const char *label, size_t k);
void bare_free(struct bare *bare);

/** `up -d`, then ask until all four are healthy, every 10 ms. ${*up_ms} is what `up` took of it. -1 with ${err}. */
int bare_up(const struct bare *bare, const struct provider *tool, double *up_ms, struct err *err);
/** `down -v`; fine when there is nothing, not even files. */
int bare_down(const struct bare *bare, const struct provider *tool, struct err *err);

/** Run ${argv} to its end; what it said in ${*out} (may be NULL). -1 with its last words unless it ended with 0. It does not
 * outlive us. */
int bench_run(const char *const *argv, char **out, struct err *err);

#endif
