/* What processes use, by /proc: a service is its process and all that descends from it. */
#ifndef SESSIONS_PROCESS_USAGE_H
#define SESSIONS_PROCESS_USAGE_H

#include "core/json.h"

/** Add {"cpu_us","memory_bytes","pids"} to each object of the array ${services} by its "pid": CPU time since it began (children that
 * ended included), resident memory, number of processes. Zeros for one that is gone or has none. */
void process_usage(cJSON *services);

#endif
