/* The queries behind commands: they read the database, the engine and /proc, and may block, so they run on a thread. */
#ifndef GATEWAY_QUERIES_H
#define GATEWAY_QUERIES_H

#include "gateway/commands.h"

command_query query_help, query_status, query_session_list, query_session_show, query_session_logs,
        query_project_list, query_job_list, query_job_show, query_job_cancel;

#endif
