/* The journal of updates: written before Telegram is told that we have them, marked done together with the answer.
 * An update is a duplicate when it stands here, not when its id is small: ids restart after a quiet week. */
#ifndef BOT_JOURNAL_H
#define BOT_JOURNAL_H

#include "core/db.h"
#include "core/err.h"
#include "core/json.h"
#include <stddef.h>
#include <stdint.h>

#define JOURNAL_ATTEMPTS 3

/** The offset to poll with at ${now_ms}; 0 (none) when nothing came for most of a week, because ids then restart. */
int journal_offset(struct db *db, int64_t now_ms, int64_t *offset, struct err *err);

/**
 * Write the updates of one poll and the offset after them, in one commit. ${updates} is getUpdates' result array;
 * elements without an update_id are skipped. Returns 0 and the number of those not known before in ${*fresh}, with
 * their positions in ${new_at}[] (room for ${room}; what is beyond is left for the next poll).
 */
int journal_add(struct db *db, const cJSON *updates, int64_t now_ms, size_t *new_at, size_t room,
                size_t *fresh, struct err *err);

/** Call ${fn} for each update that is neither done nor set aside, oldest first. ${fn} may mark them. */
int journal_each_open(struct db *db, void (*fn)(void *arg, int64_t update_id, int attempts, const char *raw),
                      void *arg, struct err *err);

/** Whether update ${update_id} has to wait because an earlier one of the same chat is still open. */
int journal_waits(struct db *db, int64_t update_id, bool *waits, struct err *err);

/** The attempt that journal_attempt counted shall not count. */
int journal_blameless(struct db *db, int64_t update_id, struct err *err);

/** Count one more attempt, durably, before handling an update again. */
int journal_attempt(struct db *db, int64_t update_id, struct err *err);

/** Within a transaction: the update is answered. */
int journal_done(struct db *db, int64_t update_id, struct err *err);

/** Within a transaction: why this attempt failed. */
int journal_failed(struct db *db, int64_t update_id, const char *error, struct err *err);

/** Within a transaction: set it aside with its JSON and the last failure; none was noted when it killed the process. */
int journal_poison(struct db *db, int64_t update_id, struct err *err);

#endif
