/* A job that failed is run again by a button, where that may help. */
#ifndef BOT_AGAIN_H
#define BOT_AGAIN_H

#include "bot/call.h"
#include "jobs/job.h"

/** In the caller's transaction: a Retry button for ${user} under the end of ${row} in ${chat}, as JSON that the caller frees. NULL: none, because it
 * did not fail, or would fail again, or nothing can be added (then ${err} is set). */
char *again_button(struct db *db, enum lang lang, int64_t chat, int64_t user, const struct job_row *row,
                   struct err *err);

/** The button of job ${payload} was pressed: ask for the same anew, if that is still allowed. */
int again_job(struct call *c, const char *payload, struct err *err);

#endif
