/* Reports of a finished run, each made from nothing but the result of the job test.run. */
#ifndef TESTSUITE_REPORT_H
#define TESTSUITE_REPORT_H

#include "core/err.h"
#include "core/json.h"
#include "core/str.h"
#include <stdbool.h>

typedef void report_fn(const cJSON *result, struct str *out);

/** The report called ${format}: text (lines for people, ending in Total, Passed, Failed, Pass Rate and Duration), tap (version 13,
 * messages as YAML blocks), junit (XML as CI servers read it), json or html. NULL with ${err} (ERR_USAGE) for any other. */
report_fn *report_find(const char *format, struct err *err);

/* One page that needs nothing but itself: numbers, an SVG of the scenarios' durations, messages. */
report_fn report_html;

#endif
