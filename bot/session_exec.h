/* /session exec: a command in a service, for admins. */
#ifndef BOT_SESSION_EXEC_H
#define BOT_SESSION_EXEC_H

#include "bot/call.h"

/** Enqueue what ${rest} says is to run in session ${name}: "[service] -- command…", or the command alone for the service that people usually mean. */
int session_exec_ask(struct call *c, const char *name, const char *rest, struct err *err);

#endif
