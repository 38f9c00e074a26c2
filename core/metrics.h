/* Counters and gauges of one process in Prometheus text format. Names: codefoundry_<part>_<what>_<unit>. */
#ifndef CORE_METRICS_H
#define CORE_METRICS_H

#include "core/str.h"
#include <stdint.h>

enum metric_type { METRIC_COUNTER, METRIC_GAUGE };

struct metric {
	const char *name;
	enum metric_type type;
	const char *help;
};

struct metrics;

/** ${table} (ended by a NULL name) is borrowed for the life of the metrics. Unlabelled series start at 0. */
struct metrics *metrics_new(const struct metric *table);
void metrics_free(struct metrics *m);

/** Add to / set series ${index} of the table. ${labels} is the text between the braces (`code="429"`) or NULL. At
 * most 64 label sets per metric; more are counted under `other="true"`. */
void metrics_add(struct metrics *m, unsigned index, const char *labels, double delta);
void metrics_set(struct metrics *m, unsigned index, const char *labels, double value);
double metrics_value(const struct metrics *m, unsigned index, const char *labels);

/** Append everything (the unlabelled series of a metric that is only used with labels is left out), then process_cpu_seconds_total, process_resident_memory_bytes, process_open_fds and
 * process_start_time_seconds. */
void metrics_render(const struct metrics *m, struct str *out);

/** Append only what is in the table: for a second one of the same process. */
void metrics_render_series(const struct metrics *m, struct str *out);

#define METRICS_CONTENT_TYPE "text/plain; version=0.0.4; charset=utf-8"

#endif
