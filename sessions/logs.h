/* Log lines of several services as one stream: merged by time, followed as they grow. */
#ifndef SESSIONS_LOGS_H
#define SESSIONS_LOGS_H

#include "core/err.h"
#include "core/json.h"
#include <stdint.h>

/**
 * Merge ${n} arrays of lines, oldest first, by the time in JSON lines ("ts"); a line without one goes with the line before it.
 * ${logs} are emptied. The last ${most} as an array of "name | line".
 */
cJSON *logs_merge(cJSON **logs, const char *const *names, int n, int most);

/** Leave out of ${lines} what stands before the first one whose time is not before ${since_ms} (epoch). */
void logs_since(cJSON *lines, int64_t since_ms);

/**
 * Write the last ${n} lines of each of ${services} (names) of the supervisor in ${dir} to standard output (merged, ${prefixed}
 * with their names), then what comes, until SIGINT, SIGTERM, the end of who reads it or of ${dir}. ${since_s} not 0: of those lines
 * only the ones of the last seconds. Returns 0, or -1 with ${err}. Blocks.
 */
int logs_follow(const char *dir, const cJSON *services, bool prefixed, int n, int64_t since_s,
                struct err *err);

#endif
