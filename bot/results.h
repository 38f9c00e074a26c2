/* The outcome of a job as a chat message. Kinds that are not in the table get a plain "done". */
#ifndef BOT_RESULTS_H
#define BOT_RESULTS_H

#include "bot/texts.h"
#include "core/json.h"
#include "core/str.h"
#include "jobs/job.h"

/** Append the outcome of the finished job ${row} (NULL: it is not known any more). ${title} is HTML. */
void results_html(enum lang lang, const struct job_row *row, const char *title, struct str *out);

/** Append the ${endpoints} of a session ([{service, name, url}]) as HTML, one line each. */
void results_add_endpoints(const cJSON *endpoints, struct str *html);

/** Append what ${receipt} counts: "2 containers, 0 networks, 1 files". */
void results_add_left(enum lang lang, const cJSON *receipt, struct str *out);

/** "88 %", rounded down; "–" when nothing ran. Skipped ones do not count. */
const char *results_rate(int64_t passed, int64_t total, char *buf, size_t size);

#endif
