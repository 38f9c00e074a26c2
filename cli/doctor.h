/* Whether this machine can run sessions, check by check, with advice. Changes nothing but caches, and never fails: what
 * cannot be asked is a finding. */
#ifndef CLI_DOCTOR_H
#define CLI_DOCTOR_H

#include "core/config.h"
#include "core/json.h"

/**
 * Check everything: {"engine":"compose|process","bad":n,"checks":[{"check","state":"ok|warn|bad|unused","found","advice"?}]}.
 * "bad" is what the chosen engine cannot do without; "unused" what it does not need. Blocks for seconds.
 */
cJSON *doctor_examine(const struct config *cfg);

#endif
