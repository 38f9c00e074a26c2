/* Results of commands as Markdown, in two languages. They look only at what is there: a result may come from an older
 * program, and a missing number is left out rather than invented. */
#ifndef GATEWAY_RENDER_H
#define GATEWAY_RENDER_H

#include "gateway/commands.h"

command_tell tell_help, tell_status, tell_project_created, tell_project_list, tell_session_started,
        tell_session_stopped, tell_session_extended, tell_session_list, tell_session_show, tell_session_logs,
        tell_test_run, tell_job_list, tell_job_show, tell_job_cancelled;

#endif
