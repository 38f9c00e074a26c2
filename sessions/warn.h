/* Telling owners of the end of their sessions: a notice (jobs/notice.h) before it, once for each end that is set, and one when a
 * session was removed because its time was over. Written with the row that they are about, so that neither a killed worker nor a
 * killed bot loses or repeats one. */
#ifndef SESSIONS_WARN_H
#define SESSIONS_WARN_H

#include "core/json.h"
#include "jobs/worker.h"
#include "sessions/store.h"

/*
 * Kinds and their payloads; both have {name, uuid, chat?: {chat, topic}: where the session was asked for}.
 *  session.expires {…, ends: "idle|age", expires_at: as it stands in the row, at: when it comes, which is later while a jump of
 *                  the clock holds expiry back}
 *  session.removed {…, reason: "idle|expired", receipt}
 */
#define NOTICE_EXPIRES "session.expires"
#define NOTICE_REMOVED "session.removed"

/** Warn of the sessions that end soon. */
int warn_look(struct state *st, struct err *err);

/** In the transaction that removes ${row}: tell its owner when its time was over, and what ${receipt} counts. */
int warn_removed(struct state *st, const struct session_row *row, const cJSON *receipt, struct err *err);

#endif
