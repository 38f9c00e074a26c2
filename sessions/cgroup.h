/* A control group per session where we may make one (root, cgroup2 mounted): nothing escapes it by forking or by
 * changing its environment, and the kernel kills it at once and proves it empty. Where it is not possible, every call
 * does nothing. */
#ifndef SESSIONS_CGROUP_H
#define SESSIONS_CGROUP_H

#include "core/err.h"
#include "core/json.h"
#include <stdbool.h>
#include <stdint.h>

/** The group of session ${uuid} of ${install}: below the root, or below the session that this process runs in. The caller frees it; NULL
 * where groups cannot be had. For operations only: a supervisor is told its group. */
char *cgroup_path(const char *install, const char *uuid);

/** UUIDs of ${install}'s sessions that have a group where cgroup_path puts it: added to ${list} (array of texts). */
void cgroup_find(const char *install, cJSON *list);

/** Make the group ${dir} and put this process into it. Limits are set where the host has those controllers; 0: none.
 * Returns whether it stands in it. */
bool cgroup_enter(const char *dir, int64_t memory_mib, int64_t cpu_percent);

/** Processes in ${dir} (may be NULL) and below; 0 when there is no such group. */
int cgroup_count(const char *dir);

/** Kill what is in ${dir} (may be NULL) and remove it. Returns 0 when it is gone or never was, else -1. Blocks up to 5 s. */
int cgroup_remove(const char *dir, struct err *err);

#endif
