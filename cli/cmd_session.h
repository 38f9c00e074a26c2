/* The verbs of `codefoundry session` by file: those that change stand in cmd_session.c, those that look in
 * cmd_session_show.c, _one.c, _stats.c, _import.c and _wait.c, those that connect this terminal or a pipe with a service in cmd_session_io.c and _cp.c. */
#ifndef CLI_CMD_SESSION_H
#define CLI_CMD_SESSION_H

#include "cli/cli.h"

cli_command session_verb_list, session_verb_show, session_verb_wait, session_verb_stats, session_verb_top;
cli_command session_verb_attach, session_verb_exec, session_verb_logs, session_verb_cp;
cli_command session_verb_import;

/** Print an array of {service, name, url}, a line each. */
void session_print_endpoints(const cJSON *endpoints);

/** Print {name, receipt}, without a receipt: that it was kept. */
void session_print_receipt(const cJSON *result);

/** Say on stderr when the state of services of ${session} is not known, and why. */
void session_warn_unknown(const cJSON *session);

#endif
