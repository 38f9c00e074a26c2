/* What stands beside a session's files so that its row can be had again: lease.json (0600) in its directory says all that the
 * database says of it, its leases too. It follows the row: the row is changed first, then the file is written, so whichever has
 * the higher generation is right. A row that is ahead was changed by somebody who was killed before he wrote the
 * file; a file that is ahead of its row, or has none, means that the database is an old one, or a new one. */
#ifndef SESSIONS_LEASE_FILE_H
#define SESSIONS_LEASE_FILE_H

#include "core/json.h"
#include "jobs/state.h"

#define LEASE_FILE "lease.json"

/**
 * Write the file of session ${uuid} as its row is now; nothing to do when it has no row or no directory. Replaces the file as a
 * whole and syncs it. ERR_STATE, and the file stays, when it is ahead of the row or another session's. Under the guard of its
 * name, for whoever removes the directory holds that. Not within a transaction.
 */
int lease_file_write(struct state *st, const char *uuid, struct err *err);

/** The same after a change of the row that is done: a failure is logged, and the reaper tries again. */
void lease_file_follow(struct state *st, const char *uuid);

/** The same for who does not hold the guard of ${name}: takes it, or leaves the writing to who has it. */
void lease_file_sync(struct state *st, const char *name, const char *uuid);

/**
 * Read the file in ${directory} of STATE_DIR/sessions: {"version":1,"install","generation","session":{the row's columns; "spec" is an object},
 * "leases":[{"kind","value","service","purpose","target","protocol","taken_at"}]}. Returns 0 and transfers
 * ${*file}, NULL when there is none; or -1: ERR_INVALID when it is damaged, of another installation, or of a newer program.
 */
int lease_file_read(struct state *st, const char *directory, cJSON **file, struct err *err);

/** What tells without reading whether the file in ${directory} below the open directory ${sessions} is that of session ${uuid} in
 * ${generation}: a number below 10^9 in the file's time. -1 when there is no file. Where they differ, as after a copy, reading tells. */
int64_t lease_file_stamp(int sessions, const char *directory);
int64_t lease_file_stamp_of(const char *uuid, int64_t generation);

/** Whether ${directory} is, by its file, that of a session other than ${uuid}. */
bool lease_file_foreign(struct state *st, const char *directory, const char *uuid);

/** Insert into the database what ${file}, which stands in ${directory}, says, within a transaction of the caller's who has made room for it; without a job, for job
 * numbers of another database mean nothing. ERR_EXISTS when a lease is another's. */
int lease_file_insert(struct state *st, const char *directory, const cJSON *file, struct err *err);

#endif
