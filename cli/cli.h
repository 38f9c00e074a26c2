/* What the command files share: the table of settings, the kinds of jobs, the commands themselves. */
#ifndef CLI_CLI_H
#define CLI_CLI_H

#include "core/config.h"
#include "jobs/job.h"
#include "jobs/worker.h"

/* All settings of all parts, NULL-terminated. */
extern const struct setting *const cli_settings[];
/* Every kind of job this program can run, and the worker's periodic tasks, NULL-terminated. */
extern const struct job_kind *const cli_kinds[];
extern const struct worker_task *const cli_tasks[];

/* "cli:<user>"; borrowed. */
const char *cli_owner(void);

/** An absolute path of ${path}, a file which must be there and readable; the caller frees it. NULL with ${err}. */
char *cli_absolute(const char *path, struct err *err);

/** Run a job in the foreground with progress on stderr; ${json} silences it. Transfers ${*result}. */
int cli_run_job(struct state *st, const char *kind, const cJSON *args, const char *session, bool json,
                cJSON **result, struct err *err);

/** One command: argv[0] is its own name. Prints its result; a failure is the caller's to print. Returns 0, -1 with ${err}, or the exit code
 * of what it ran for the person (`session exec`), which is passed on. */
typedef int cli_command(const struct config *cfg, int argc, char **argv, struct err *err);

cli_command cli_up, cli_down, cli_status, cli_health, cli_doctor;
cli_command cli_session, cli_job, cli_test, cli_chat, cli_info, cli_clean;
cli_command cli_gateway, cli_bot, cli_worker, cli_telegram;
cli_command cli_example, cli_image, cli_compose, cli_completion;

/* A command of a group: `codefoundry session start`. */
struct cli_verb {
	const char *name, *usage, *summary; /* without usage and summary: started by ourselves, not listed */
	cli_command *run;
};

/** Dispatch argv[1] to ${verbs} (ended by a NULL name); without one, or for an unknown one, the error lists them. */
int cli_group(const char *group, const struct cli_verb *verbs, const struct config *cfg, int argc,
              char **argv, struct err *err);

#endif
