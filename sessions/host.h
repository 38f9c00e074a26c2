/* What memory this machine has free, and what processes use of it, by /proc and the control groups (v1 and v2). Odd rule: pages of
 * files that can be dropped at once count as free everywhere. */
#ifndef SESSIONS_HOST_H
#define SESSIONS_HOST_H

#include <stdint.h>
#include <sys/types.h>

/* Where /proc and /sys stand below; tests set a directory of theirs. */
extern const char *host_root;

/** Bytes that can be taken without swapping (MemAvailable); -1: not known. */
int64_t host_memory_free(void);

/** Bytes that the control groups leave which this process stands in; INT64_MAX: they set no limit. */
int64_t host_group_free(void);

/** Bytes that the control group of process ${pid} uses, with all that is in it; -1 when it cannot be read, or is our own. */
int64_t host_group_used(pid_t pid);

#endif
