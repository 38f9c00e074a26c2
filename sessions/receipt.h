/* The proof that a removed session left nothing: what was still there when we looked, by kind. A receipt that is not
 * clean stays open (ok = 0) with the time of the next try, and so does the session. */
#ifndef SESSIONS_RECEIPT_H
#define SESSIONS_RECEIPT_H

#include "sessions/engine.h"

/**
 * Look what is left of ${row} (state stopping). When it is nothing: apply ${end} (EVENT_GONE or EVENT_BURIED), which gives
 * leases and rows back, and write the receipt, in one transaction. Else note it for a later try and fail with ERR_BUSY
 * naming what is left; ${why} (may be NULL) says why. When nobody can tell what is left, the
 * receipt stays open too, and the engine's own error says so. ${*receipt} (may be NULL) is transferred in both cases:
 * {ok, what the engine says of each kind it makes ("processes"; "containers", "networks", "volumes"), ports, files, leases, rows}.
 */
int receipt_close(struct state *st, const struct engine *engine, struct session_row *row,
                  enum session_event end, const char *why, cJSON **receipt, struct err *err);

/** The newest receipt of a session called ${name} as session_show answers it, NULL with ERR_NOT_FOUND. */
cJSON *receipt_show(struct state *st, const char *name, struct err *err);

/** Add to ${session} the receipt of its removal that is not done, if there is one: {receipt: {ok: false…}, tries, next_try_at}. */
int receipt_add_open(struct state *st, const char *uuid, cJSON *session, struct err *err);

/** When the removal of ${uuid} is to be tried again (ms; 0: no open receipt). */
int receipt_next_try(struct state *st, const char *uuid, int64_t *at_ms, struct err *err);

/** Forget clean receipts of removals before ${before_ms}. */
int receipt_prune(struct state *st, int64_t before_ms, struct err *err);

#endif
