/* Where the control socket is: bound and reached through /proc/self/fd, because an address holds only 107 bytes and
 * state directories have long names. */
#ifndef JOBS_SUPERVISOR_SOCKET_H
#define JOBS_SUPERVISOR_SOCKET_H

#include "core/err.h"

/** Listen on ${dir}/control.sock (0600), in place of a socket that nobody answers. Returns the descriptor, or -1. */
int supervisor_socket_listen(const char *dir, struct err *err);
void supervisor_socket_unlink(const char *dir);

#endif
