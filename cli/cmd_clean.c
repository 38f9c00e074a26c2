/* `codefoundry clean`: everything this installation made on this machine, shown first and then removed. Odd rule: in the state
 * directory only what we make is removed, by name, for STATE_DIR may be a folder that holds other things too. */
#include "cli/args.h"
#include "cli/cli.h"
#include "cli/plane.h"
#include "cli/term.h"
#include "compose/docker.h"
#include "compose/image.h"
#include "core/file.h"
#include "core/mem.h"
#include "core/str.h"
#include "sessions/session.h"
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define STOP_MS 30000
#define JOBS_MAX 1000

/* Of a database also its -wal, -shm and -journal. */
static const char *const made[] = {
        "backups",       "bell",     "bot.db",      "cache", "codefoundry.db", "install",       "jobs",
        "logs",          "projects", "sessions",    "up",    "up.lock",        "sessions.lock", "telegram.db",
        "telegram.json", "up.log",   "worker.lock", NULL};

static bool is_made(const char *entry)
{
	for (size_t i = 0; made[i]; i++) {
		size_t n = strlen(made[i]);
		if (strncmp(entry, made[i], n) != 0)
			continue;
		const char *rest = entry + n;
		if (!*rest || (strstr(made[i], ".db") &&
		               (!strcmp(rest, "-wal") || !strcmp(rest, "-shm") || !strcmp(rest, "-journal"))))
			return true;
	}
	return false;
}

/* Sort the entries of ${dir} into what is ${ours} and what is ${foreign}. */
static int sort_entries(const char *dir, cJSON *ours, cJSON *foreign, struct err *err)
{
	DIR *d = opendir(dir);
	struct dirent *e;
	if (!d)
		return err_sys(err, errno, "open %s", dir);
	while ((e = readdir(d)))
		if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
			cJSON_AddItemToArray(is_made(e->d_name) ? ours : foreign,
			                     cJSON_CreateString(e->d_name));
	closedir(d);
	return 0;
}

/* The image of this very program, when the engine has it; the caller frees it. Those of other builds may be in use elsewhere. */
static char *find_image(struct state *st)
{
	struct err ignored = {0};
	cleanup_free char *cache = state_path(st, "cache");
	cleanup_free char *image = docker_expected() ? image_reference(cache, &ignored) : NULL;
	return image && image_present(image, &ignored) > 0 ? TAKE(image) : NULL;
}

/* Its start failed: nothing is left of it but its row. */
static bool is_failed(const cJSON *session)
{
	return !strcmp(json_text_or(session, "state", ""), "failed");
}

/* {"control_plane":bool,"sessions":[names],"image"?,"projects":n,"state_dir","files":[entries],"kept":[entries]} */
static cJSON *collect(struct state *st, struct err *err)
{
	cleanup_free char *up = plane_dir(st->dir), *projects = state_path(st, "projects");
	cleanup_json cJSON *what = json_object(), *alive = sessions_list(st, true, err);
	cJSON *names = json_array(), *ours = json_array(), *foreign = json_array(), *session;
	json_add_bool(what, "control_plane", supervisor_ask(up, "status", NULL, STOP_MS, NULL, err) == 0);
	json_add(what, "sessions", names);
	cleanup_free char *image = find_image(st);
	if (image)
		json_add_text(what, "image", image);
	json_add_text(what, "state_dir", st->dir);
	json_add(what, "files", ours);
	json_add(what, "kept", foreign);
	if (!alive || sort_entries(st->dir, ours, foreign, err))
		return NULL;
	cJSON_ArrayForEach(session, alive)
	{
		if (!is_failed(session))
			cJSON_AddItemToArray(names, cJSON_CreateString(json_text(session, "name")));
	}
	long count = 0;
	DIR *d = opendir(projects);
	struct dirent *e;
	while (d && (e = readdir(d)))
		count += e->d_name[0] != '.';
	if (d)
		closedir(d);
	json_add_int(what, "projects", count);
	return TAKE(what);
}

static void add_list(struct str *out, const cJSON *list)
{
	const cJSON *one;
	const char *comma = "";
	cJSON_ArrayForEach(one, list)
	{
		str_addf(out, "%s%s", comma, cJSON_GetStringValue(one));
		comma = ", ";
	}
	if (!cJSON_GetArraySize(list))
		str_add(out, "none");
}

static void print_what(const cJSON *what)
{
	cleanup_str struct str sessions = STR_INIT, files = STR_INIT, kept = STR_INIT;
	long long projects = json_int(what, "projects", 0);
	add_list(&sessions, json_at(what, "sessions"));
	add_list(&files, json_at(what, "files"));
	add_list(&kept, json_at(what, "kept"));
	printf("To be removed:\n  control plane  %s\n  sessions       %s\n  image          %s\n  in %s\n"
	       "                 %s\n",
	       json_bool(what, "control_plane", false) ? "runs, is stopped" : "does not run",
	       str_text(&sessions), json_text_or(what, "image", "none"), json_text(what, "state_dir"),
	       str_text(&files));
	if (projects)
		printf("  which holds    %lld project%s that people made\n", projects,
		       projects == 1 ? "" : "s");
	if (cJSON_GetArraySize(json_at(what, "kept")))
		printf("Not ours, left alone: %s\n", str_text(&kept));
}

static int confirm(struct err *err)
{
	char line[16] = "";
	if (!isatty(STDIN_FILENO))
		return err_set(err, ERR_USAGE,
		               "nothing is removed without a yes: --yes (make clean-all YES=1), or a "
		               "terminal to ask in");
	printf("Type yes to remove it: ");
	fflush(stdout);
	if (!fgets(line, sizeof(line), stdin) || strcmp(line, "yes\n") != 0)
		return err_set(err, ERR_CANCELLED, "nothing was removed");
	return 0;
}

/* A start under way would make a session after all were removed. */
static void cancel_jobs(struct state *st)
{
	struct err ignored;
	cleanup_json cJSON *rows = jobs_list(st, NULL, -1, JOBS_MAX, &ignored);
	const cJSON *row;
	cJSON_ArrayForEach(row, rows)
	{
		const char *state = json_text(row, "state");
		if (!strcmp(state, job_state_name(JOB_QUEUED)) || !strcmp(state, job_state_name(JOB_RUNNING)))
			jobs_cancel(st, json_int(row, "id", 0), cli_owner(), &ignored);
	}
}

static int end_all(struct state *st, bool json, struct err *err)
{
	cleanup_free char *up = plane_dir(st->dir);
	if (supervisor_ask(up, "shutdown", NULL, STOP_MS, NULL, err) && err->code != ERR_NOT_FOUND)
		return err_wrap(err, "stop the control plane");
	err_clear(err);
	cancel_jobs(st);
	cleanup_json cJSON *alive = sessions_list(st, true, err), *reaped = NULL;
	const cJSON *session;
	if (!alive)
		return -1;
	cJSON_ArrayForEach(session, alive)
	{
		cleanup_json cJSON *args = json_object();
		const char *name = json_text(session, "name");
		if (is_failed(session))
			continue;
		json_add_text(args, "name", name);
		if (cli_run_job(st, "session.stop", args, name, json, NULL, err) &&
		    err->code != ERR_NOT_FOUND)
			return err_wrap(err, "stop session %s", name);
		err_clear(err);
	}
	/* what the database does not know */
	if (cli_run_job(st, "session.reap", NULL, NULL, json, &reaped, err))
		return -1;
	cleanup_json cJSON *left = sessions_list(st, false, err);
	return !left                      ? -1
	       : cJSON_GetArraySize(left) ? err_set(err, ERR_BUSY, "session %s came up meanwhile; try again",
	                                            json_text(left, "0.name"))
	                                  : 0;
}

static int remove_tag(const char *tag, bool *left, struct err *err)
{
	cleanup_free char *name = docker_escape(tag), *path = mem_printf("/images/%s", name);
	if (docker_call("DELETE", path, NULL, 0, NULL, err) == 0 || err->code == ERR_NOT_FOUND)
		return err_clear(err), 0;
	if (err->code != ERR_BUSY)
		return err_wrap(err, "remove image %s", tag);
	*left = true;
	err_clear(err);
	return 0;
}

/* All its tags, its own last: with that the image goes. When something else uses it, another installation say, all of it is ${left}: the
 * engine would keep the image, but not the names that others know it by. */
static int remove_image(const char *image, bool *left, struct err *err)
{
	cleanup_free char *name = docker_escape(image), *path = mem_printf("/images/%s/json", name);
	cleanup_json cJSON *found = docker_get(path, err);
	const cJSON *tag;
	if (!found)
		return err->code == ERR_NOT_FOUND ? err_clear(err), 0 : -1;
	int used = docker_image_used(image, err);
	*left = used > 0;
	if (used)
		return used < 0 ? -1 : 0;
	cJSON_ArrayForEach(tag, json_at(found, "RepoTags"))
	{
		if (cJSON_IsString(tag) && strcmp(tag->valuestring, image) != 0 &&
		    remove_tag(tag->valuestring, left, err))
			return -1;
	}
	return remove_tag(image, left, err);
}

/* The directory goes too when nothing else is in it. */
static int remove_files(const char *dir, const cJSON *files, struct err *err)
{
	const cJSON *file;
	cJSON_ArrayForEach(file, files)
	{
		cleanup_free char *path = mem_printf("%s/%s", dir, cJSON_GetStringValue(file));
		if (tree_remove(path, err))
			return -1;
	}
	if (rmdir(dir) && errno != ENOTEMPTY && errno != EEXIST && errno != EBUSY)
		return err_sys(err, errno, "remove %s", dir);
	return 0;
}

int cli_clean(const struct config *cfg, int argc, char **argv, struct err *err)
{
	bool json = false, yes = false, dry = false;
	const struct arg table[] = {
	        {"json", ARG_FLAG, &json}, {"yes", ARG_FLAG, &yes}, {"dry-run", ARG_FLAG, &dry}, {0}};
	struct args a = {"codefoundry clean [--dry-run] [--yes] [--json]   e.g. codefoundry clean --dry-run",
	                 table};
	cleanup_state struct state *st = NULL;
	if (args_parse(&a, argc, argv, err))
		return -1;
	cleanup_free char *dir = state_dir(cfg), *mark = mem_printf("%s/install", dir);
	if (!path_exists(mark)) {
		if (json)
			puts("{}");
		else
			printf("nothing is here: %s is no installation\n", dir);
		return 0;
	}
	cleanup_json cJSON *what = state_open(&st, cfg, err) ? NULL : collect(st, err);
	if (!what)
		return -1;
	if (!json)
		print_what(what);
	if (!dry && ((!yes && confirm(err)) || end_all(st, json, err)))
		return -1;
	cleanup_json cJSON *now = dry ? NULL : collect(st, err);
	state_close(TAKE(st));
	bool left = false;
	const char *image = json_text(now, "image");
	if (image && remove_image(image, &left, err))
		return -1;
	if (now && remove_files(dir, json_at(now, "files"), err))
		return -1;
	if (json)
		term_json(what);
	else if (!dry)
		printf("all of it is removed%s\n", left ? " but the image, which something else uses" : "");
	return 0;
}
