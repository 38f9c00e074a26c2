/* Queries off the loop: each runs on a thread of libuv's pool with a database connection of its own, because an engine
 * that hangs must not stop the heartbeats of every client. */
#ifndef GATEWAY_ASKS_H
#define GATEWAY_ASKS_H

#include "core/loop.h"
#include "gateway/commands.h"

struct asks;
struct ask;

/** Exactly one of ${result} (transferred) and ${err} is set. */
typedef void ask_done(void *arg, cJSON *result, const struct err *err);

struct asks *asks_open(struct loop *loop, const struct config *cfg);

/** Run ${query}; ${args} is copied, ${runtime} transferred. ${done} is called from the loop, later. NULL when too many
 * are under way. The ask is borrowed until then. */
struct ask *ask_start(struct asks *asks, command_query *query, const cJSON *args, cJSON *runtime,
                      ask_done *done, void *arg);

/** Nobody waits any more: ${done} is not called. */
void ask_forget(struct ask *ask);

/** Call ${done} once nothing is under way, perhaps at once; then free. */
void asks_close(struct asks *asks, loop_fn *done, void *arg);

#endif
