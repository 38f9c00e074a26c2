/* What people see in a terminal: aligned tables, a progress line, colour only where it is wanted. */
#ifndef CLI_TERM_H
#define CLI_TERM_H

#include "core/json.h"
#include "jobs/job.h"
#include <stdbool.h>

struct term_column {
	const char *title;
	const char
	        *path; /* of the JSON member; numbers at ..._ms are shown as a duration, at ..._at as age */
	bool spare;    /* left out where the terminal is too narrow, the rightmost first */
};

/** Print ${rows} (array of objects) as a table that fits the terminal: spare columns are left out, then the last one is cut. */
void term_table(const struct term_column *columns, size_t n, const cJSON *rows);

/** "12.3 MiB", "1.2 GiB" of the number of bytes ${bytes}; "–" for 0 and what is no number. Returns ${buf}. */
const char *term_size(const cJSON *bytes, char *buf, size_t size);

/** Print JSON, indented, and a newline. */
void term_json(const cJSON *j);

/* Progress of a job: a bar that is redrawn on a terminal, plain lines otherwise. Its event function is for jobs_run. */
struct term_progress {
	int64_t started; /* monotonic ms */
	bool quiet;      /* --json: nothing */
	bool drawn;
};
void term_progress_start(struct term_progress *p, bool quiet);
void term_progress_event(void *progress, const struct job_event *event);
void term_progress_end(struct term_progress *p);

#endif
