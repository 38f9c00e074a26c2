#include "cli/cli.h"
#include "cli/complete.h"
#include "cli/term.h"
#include "core/mem.h"
#include "core/str.h"
#include "core/text.h"
#include <errno.h>
#include <limits.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define VERBS_MAX 24

const char *cli_owner(void)
{
	static char owner[80];
	const struct passwd *user = getpwuid(geteuid());
	if (user)
		snprintf(owner, sizeof(owner), "cli:%s", user->pw_name);
	else
		snprintf(owner, sizeof(owner), "cli:%u", (unsigned)geteuid());
	return owner;
}

char *cli_absolute(const char *path, struct err *err)
{
	char cwd[PATH_MAX];
	struct stat s;
	if (stat(path, &s) || access(path, R_OK)) {
		err_sys(err, errno, "%s", path);
		return NULL;
	}
	if (!S_ISREG(s.st_mode)) {
		err_set(err, ERR_INVALID, "%s is no file", path);
		return NULL;
	}
	if (*path == '/')
		return mem_strdup(path);
	if (!getcwd(cwd, sizeof(cwd))) {
		err_sys(err, errno, "current directory");
		return NULL;
	}
	return mem_printf("%s/%s", cwd, path);
}

int cli_run_job(struct state *st, const char *kind, const cJSON *args, const char *session, bool json,
                cJSON **result, struct err *err)
{
	struct job_request req = {.kind = kind, .args = args, .owner = cli_owner(), .session = session};
	struct term_progress progress;
	term_progress_start(&progress, json);
	int rc = jobs_run(st, cli_kinds, &req, term_progress_event, &progress, result, err);
	term_progress_end(&progress);
	return rc;
}

/* What other parts start is neither offered nor run. */
static int complete_verb(const struct cli_verb *verbs, const struct config *cfg, int argc, char **argv,
                         struct err *err)
{
	for (; verbs->name; verbs++) {
		if (argc == 2 && verbs->summary)
			complete_offer(verbs->name, verbs->summary);
		if (argc > 2 && verbs->summary && !strcmp(argv[1], verbs->name))
			return verbs->run(cfg, argc - 1, argv + 1, err);
	}
	return 0;
}

int cli_group(const char *group, const struct cli_verb *verbs, const struct config *cfg, int argc,
              char **argv, struct err *err)
{
	const char *names[VERBS_MAX] = {0};
	cleanup_str struct str list = STR_INIT;
	size_t shown = 0;
	if (complete_wanted())
		return complete_verb(verbs, cfg, argc, argv, err);
	for (size_t i = 0; verbs[i].name && shown + 1 < VERBS_MAX; i++) {
		if (argc > 1 && !strcmp(argv[1], verbs[i].name))
			return verbs[i].run(cfg, argc - 1, argv + 1, err);
		if (!verbs[i].summary) /* what other parts start is not for people */
			continue;
		names[shown++] = verbs[i].name;
		int pad = 42 - (int)text_columns(verbs[i].usage, strlen(verbs[i].usage));
		str_addf(&list, "\n  %s%*s %s", verbs[i].usage, pad > 0 ? pad : 0, "", verbs[i].summary);
	}
	if (argc > 1 && (!strcmp(argv[1], "--help") || !strcmp(argv[1], "help"))) {
		printf("codefoundry %s:%s\n", group, str_text(&list));
		return 0;
	}
	const char *near = argc > 1 ? text_nearest(argv[1], names) : NULL;
	return err_set(err, ERR_USAGE, "%s: %s%s%s%s; it has:%s", group,
	               argc > 1 ? "there is no " : "say what to do", argc > 1 ? argv[1] : "",
	               near ? ", did you mean " : "", near ? near : "", str_text(&list));
}
