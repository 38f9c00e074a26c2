/* What happened that people are to be told of, durably: a row written in the same transaction as what it tells of, so that it is
 * neither lost nor told for something that did not happen. A teller (the bot) follows the bell and keeps the last id it has told, in
 * the same transaction as what it says. Odd rule: ids only grow, but a database that was restored from a backup begins again
 * lower; the key of a notice is unique for ever. */
#ifndef JOBS_NOTICE_H
#define JOBS_NOTICE_H

#include "core/id.h"
#include "core/json.h"
#include "jobs/state.h"

#define NOTICES_KEPT 1000
#define NOTICE_KEEP_MS (2 * 86400000LL)

struct notice {
	int64_t id, at;
	int64_t until; /* when it is no news any more (ms) */
	char key[ID_UUID_LEN + 1];
	char *kind;    /* "session.expires" */
	char *session; /* name; NULL: none */
	char *owner;   /* whom it concerns: "tg:5", "cli:root"; NULL: the admins */
	cJSON *payload;
};
#define cleanup_notice __attribute__((cleanup(notice_free)))
void notice_free(struct notice *n);

/** Write ${n} (id, at and key are made here), in the caller's transaction, who rings after it. The oldest beyond NOTICES_KEPT, and
 * those older than NOTICE_KEEP_MS, are forgotten. */
int notice_add(struct state *st, const struct notice *n, struct err *err);

/** The first notice after ${after}: 1 with ${*n} (notice_free it), 0 when there is none, or -1. */
int notice_next(struct state *st, int64_t after, struct notice *n, struct err *err);

/** The highest id that this database has given; 0: none yet. */
int notice_newest(struct state *st, int64_t *id, struct err *err);

#endif
