/* Where the floors meet: every part's settings, job kinds and periodic tasks. */
#include "bot/bot.h"
#include "cli/cli.h"
#include "compose/provider.h"
#include "gateway/gateway.h"
#include "gateway/projects.h"
#include "jobs/state.h"
#include "sessions/pool.h"
#include "sessions/session.h"
#include "testsuite/telegram/server.h"
#include "testsuite/test_run.h"

static const struct setting common_settings[] = {
        {.key = "LOG_LEVEL",
         .type = SETTING_CHOICE,
         .def = "info",
         .allowed = "error|warn|info|debug",
         .group = "Logging",
         .help = "How much every part writes"},
        {.key = NULL},
};

const struct setting *const cli_settings[] = {
        common_settings,  state_settings,    worker_settings, bot_settings,      gateway_settings,
        session_settings, provider_settings, test_settings,   telegram_settings, NULL,
};

const struct job_kind *const cli_kinds[] = {
        &session_start_kind,
        &session_stop_kind,
        &session_restart_kind,
        &session_extend_kind,
        &session_pin_kind,
        &session_unpin_kind,
        &session_exec_kind,
        &session_reap_kind,
        &test_run_kind,
        &project_create_kind,
        NULL,
};

const struct worker_task *const cli_tasks[] = {&session_warn_task, &session_usage_task, &session_reap_task,
                                               &session_pool_task, NULL};
