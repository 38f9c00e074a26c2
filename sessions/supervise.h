/* The detached process that keeps one session of the process engine running: `codefoundry session supervise NAME`. */
#ifndef SESSIONS_SUPERVISE_H
#define SESSIONS_SUPERVISE_H

#include <stdbool.h>

/** Whether a supervisor holds the session in ${dir}. */
bool supervise_running(const char *dir);

#endif
