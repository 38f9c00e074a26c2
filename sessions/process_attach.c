/* What a person does with a process session that runs: follow its logs, run a program in it, read its files. */
#include "core/file.h"
#include "core/mem.h"
#include "core/proc.h"
#include "jobs/supervisor.h"
#include "sessions/marker.h"
#include "sessions/plan.h"
#include "sessions/process.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* A file does not say how old its lines are, so for an age more of them are looked through. */
cJSON *process_logs(struct state *st, const struct session_row *row, const char *service,
                    const struct logs_window *w, struct err *err)
{
	(void)st, (void)err;
	bool aged = w->since_ms || w->until_ms;
	cleanup_json cJSON *lines = supervisor_log_tail(row->dir, service, aged ? LOGS_MAX : w->n),
	                   *entries = json_array();
	const cJSON *line;
	cJSON_ArrayForEach(line, lines) cJSON_AddItemToArray(entries, logs_entry(line->valuestring));
	logs_cut(entries, w);
	return TAKE(entries);
}

int process_follow(struct state *st, const struct session_row *row, const cJSON *services,
                   const struct logs_window *w, logs_fn *fn, void *arg, struct err *err)
{
	(void)st;
	return logs_follow(row->dir, services, w, fn, arg, err);
}

/* -- exec -- */

/* The settings of the session's services and what marks its processes, "K=V": so that what a person starts there ends
 * with it. The caller frees it with free_env. */
static char **make_env(struct state *st, const struct session_row *row, const cJSON *plan)
{
	const cJSON *env = json_at(plan, "env"), *one;
	char **list = mem_alloc(((size_t)cJSON_GetArraySize(env) + 6) * sizeof(*list));
	size_t n = 0;
	cJSON_ArrayForEach(one, env)
	{
		if (cJSON_IsString(one))
			list[n++] = mem_printf("%s=%s", one->string, one->valuestring);
	}
	list[n++] = mem_printf(MARKER_KEY "=%s", json_text_or(plan, "marker", ""));
	list[n++] = mem_printf("CODEFOUNDRY_INSTALL=%s", st->install);
	list[n++] = mem_printf("CODEFOUNDRY_SESSION=%s", row->uuid);
	list[n++] = mem_printf("CODEFOUNDRY_SESSION_NAME=%s", row->name);
	list[n++] = plan_ports(plan);
	return list;
}

static void free_env(char **list)
{
	for (size_t i = 0; list[i]; i++)
		free(list[i]);
	free(list);
}

int process_exec(struct state *st, const struct session_row *row, const char *service,
                 const char *const *argv, bool tty, int *status, struct err *err)
{
	static const char *const shell[] = {"/bin/sh", NULL};
	(void)service; /* all have the same settings */
	(void)tty;     /* the child is given ours, whatever it is */
	cleanup_json cJSON *plan = plan_read_marked(row->dir, err);
	if (!plan)
		return -1;
	char **env = make_env(st, row, plan);
	struct proc_spec spec = PROC_SPEC_INIT;
	spec.argv = argv && argv[0] ? argv : shell;
	spec.env = (const char *const *)env;
	spec.clear_env = true;
	spec.cwd = row->dir;
	int rc = proc_attach(&spec, status, NULL, err);
	free_env(env);
	return rc;
}

/* -- read -- */

int process_open_below(const char *dir, const char *path, struct err *err)
{
	cleanup_free char *copy = mem_strdup(path);
	char *rest = NULL;
	cleanup_close int at = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	for (char *part = strtok_r(copy, "/", &rest); at >= 0 && part; part = strtok_r(NULL, "/", &rest)) {
		if (!strcmp(part, ".."))
			return err_set(err, ERR_INVALID, "%s: name a file below the state directory", path);
		/* a FIFO must not make us wait for its writer */
		int next = openat(at, part, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
		int failed = errno;
		close(TAKE_FD(at));
		at = next;
		errno = failed;
	}
	if (at < 0 && (errno == ELOOP || errno == ENOTDIR))
		return err_set(err, ERR_INVALID, "%s: no link is followed", path);
	return at < 0 ? err_sys(err, errno, "open %s", path) : TAKE_FD(at);
}

int process_read(struct state *st, const struct session_row *row, const char *path, size_t max, char **text,
                 struct err *err)
{
	(void)st;
	struct stat s;
	cleanup_free char *dir = mem_printf("%s/state", row->dir);
	if (*path == '/' || !*path)
		return err_set(err, ERR_INVALID, "%s: name a file below the state directory", path);
	cleanup_close int fd = process_open_below(dir, path, err);
	if (fd < 0)
		return -1;
	if (fstat(fd, &s))
		return err_sys(err, errno, "read %s", path);
	if (!S_ISREG(s.st_mode))
		return err_set(err, ERR_INVALID, "%s is no file", path);
	if (!text)
		return 0;
	if ((uint64_t)s.st_size > max)
		return err_set(err, ERR_LIMIT, "%s is larger than %zu bytes", path, max);
	cleanup_free char *opened = mem_printf("/proc/self/fd/%d", fd);
	return file_read(opened, max, text, NULL, err);
}
