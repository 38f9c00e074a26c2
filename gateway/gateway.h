/* The gateway process: WebSocket for bots and IDE clients, HTTP for health and metrics, on one loop. It does no long
 * work: what takes time is a job, and the gateway repeats the job's events to whoever asked. */
#ifndef GATEWAY_GATEWAY_H
#define GATEWAY_GATEWAY_H

#include "core/config.h"
#include "core/err.h"

extern const struct setting gateway_settings[];

/**
 * Serve until SIGTERM or SIGINT, then drain and return 0. Calls proc_ready() once both ports are open. Returns -1
 * with ERR_CONFIG (a host open to others without a token), ERR_EXISTS (port taken), or what state_open says.
 */
int gateway_main(const struct config *cfg, struct err *err);

#endif
