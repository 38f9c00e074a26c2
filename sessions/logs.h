/* Log lines of several services as one stream: merged by time, followed as they grow. A line is an entry: {"ts" (RFC 3339; not there
 * when nobody knows it), "stream" ("stdout", "stderr"; only of containers), "msg", and once it is of several "service"}. Times of one
 * engine have one length, so they compare as texts. */
#ifndef SESSIONS_LOGS_H
#define SESSIONS_LOGS_H

#include "core/err.h"
#include "core/json.h"
#include <stdbool.h>
#include <stdint.h>

#define LOGS_MAX 10000 /* lines, of one service and of all together */

/* Which lines: the last ${n} of those not before ${since_ms} and not after ${until_ms} (since the epoch; 0: whatever their age). */
struct logs_window {
	int n;
	int64_t since_ms, until_ms;
};

/* Takes one entry. -1: nobody wants more. */
typedef int logs_fn(void *arg, const cJSON *entry);

/** The line ${text} of a log file as an entry: its time is that of a JSON line ("ts"). */
cJSON *logs_entry(const char *text);

/**
 * Merge ${n} arrays of entries, oldest first, by their times; one without goes with the one before it. ${logs} are emptied. The
 * last ${most} as an array of entries with "service", from ${names}.
 */
cJSON *logs_merge(cJSON **logs, const char *const *names, int n, int most);

/** Whether any of ${entries} has a time. */
bool logs_timed(const cJSON *entries);

/** Leave in ${entries}, oldest first, what ${w} says: all before the first one that is not before since is left out, and all from the
 * first one on that is after until; everything when an age is asked for and none has a time. */
void logs_cut(cJSON *entries, const struct logs_window *w);

/**
 * Give ${fn} the lines that ${w} says of each of ${services} (names) of the supervisor in ${dir}, merged, then what comes, until SIGINT,
 * SIGTERM, ${fn} saying no, the end of who reads standard output or of ${dir}. Returns 0, or -1 with ${err}. Blocks.
 */
int logs_follow(const char *dir, const cJSON *services, const struct logs_window *w, logs_fn *fn, void *arg,
                struct err *err);

#endif
