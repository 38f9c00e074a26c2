/* What a person does with a session of containers that runs: run a program in it, read its files. */
#include "compose/image.h"
#include "compose/override.h"
#include "core/clock.h"
#include "core/id.h"
#include "core/mem.h"
#include "core/proc.h"
#include "core/str.h"
#include "sessions/compose_private.h"
#include <stdlib.h>
#include <string.h>

#define USED_MS 3000
#define KEYS_MAX (1 + ID_UUID_LEN + 1)

/* Detach keys that nobody types, in the docker program's spelling and as the bytes they are: its own, Ctrl-P Ctrl-Q, swallow a shell's Ctrl-P, and leave
 * behind a shell that nobody could come back to. */
static char *make_keys(char bytes[KEYS_MAX])
{
	cleanup_str struct str option = STR_INIT;
	str_add(&option, "--detach-keys=ctrl-]");
	bytes[0] = ']' & 0x1f;
	id_uuid(bytes + 1);
	for (const char *p = bytes + 1; *p; p++)
		str_addf(&option, ",%c", *p);
	return str_take(&option);
}

int compose_exec(struct state *st, const struct session_row *row, const char *service,
                 const char *const *argv, bool tty, int *status, struct err *err)
{
	static const char *const shell[] = {"sh", NULL};
	size_t n = 0, k = 0;
	char keys[KEYS_MAX];
	int told = 0;
	provider_open(st->cfg, st->dir);
	cleanup_json cJSON *container = compose_container(st, row, service, err);
	cleanup_free char *detach = make_keys(keys);
	if (!container)
		return -1;
	if (!argv[0])
		argv = shell;
	while (argv[n])
		n++;
	cleanup_free const char **all = mem_alloc((n + 9) * sizeof(*all));
	all[k++] = docker_client();
	all[k++] = "exec";
	all[k++] = tty ? "-it" : "-i";
	all[k++] = detach;
	if (tty)
		all[k++] = "--env=TERM";
	all[k++] = json_text_or(container, "id", "");
	memcpy(all + k, argv, n * sizeof(*all));
	const char *socket = docker_socket(err);
	cleanup_free char *host = socket ? mem_printf("CONTAINER_HOST=unix://%s", socket) : NULL;
	struct proc_spec spec = PROC_SPEC_INIT;
	spec.argv = all;
	spec.env = (const char *const[]){host, NULL}; /* for podman */
	if (proc_attach(&spec, status, &told, err))
		return -1;
	if (told) { /* the docker program ends without it, some versions with 0 */
		docker_exec_end(json_text_or(container, "id", ""), keys, told);
		*status = *status ? *status : 128 + told;
	}
	return 0;
}

/* The stack's services share one volume: any of them will do. */
int compose_read(struct state *st, const struct session_row *row, const char *path, size_t max, char **text,
                 struct err *err)
{
	const cJSON *check;
	provider_open(st->cfg, st->dir);
	cJSON_ArrayForEach(check, json_at(row->spec, "checks"))
	{
		if (!json_text(check, "role"))
			continue;
		cleanup_json cJSON *container = compose_container(st, row, check->string, err);
		cleanup_free char *full = mem_printf(IMAGE_STATE_DIR "/%s", path), *read = NULL;
		if (!container ||
		    docker_read_file(json_text_or(container, "id", ""), full, max, &read, NULL, err))
			return -1;
		if (text)
			*text = TAKE(read);
		return 0;
	}
	return err_set(err, ERR_STATE,
	               "session %s has no service of the built-in stack, and so no state directory",
	               row->name);
}

/* -- use -- */

/* The newest change of the stack's own databases, asked in the container that has the volume. */
static int64_t databases_used_at(const char *id)
{
	static const char *const argv[] = {"/bin/busybox",
	                                   "stat",
	                                   "-c",
	                                   "%Y",
	                                   IMAGE_STATE_DIR "/telegram.db",
	                                   IMAGE_STATE_DIR "/telegram.db-wal",
	                                   IMAGE_STATE_DIR "/codefoundry.db",
	                                   IMAGE_STATE_DIR "/codefoundry.db-wal",
	                                   NULL};
	struct docker_output out = {0};
	struct err ignored = {0};
	int64_t newest = 0;
	if (docker_exec(id, argv, USED_MS, 4096, &out, &ignored))
		return 0;
	for (char *line = out.text, *rest = NULL; (line = strtok_r(line, "\n", &rest)); line = NULL) {
		int64_t at = strtoll(line, NULL, 10); /* an error message is 0 */
		newest = at > newest ? at : newest;
	}
	docker_output_free(&out);
	return newest * 1000;
}

/* The time of the last log line. */
static int64_t logged_at(const char *id)
{
	struct err ignored = {0};
	cleanup_json cJSON *lines = docker_logs(id, 1, true, &ignored);
	const char *line = cJSON_GetStringValue(cJSON_GetArrayItem(lines, 0));
	return line ? clock_parse_iso(line) : 0;
}

/* Where the stack's services share a volume, its databases tell; of other files only what they write to their logs. */
int64_t compose_used_at(struct state *st, const struct session_row *row)
{
	struct err ignored = {0};
	int64_t newest = 0;
	provider_open(st->cfg, st->dir);
	cleanup_json cJSON *list = compose_objects(st, row->uuid, DOCKER_CONTAINER, &ignored);
	const cJSON *c;
	if (!list)
		return -1;
	cJSON_ArrayForEach(c, list)
	{
		const char *id = json_text_or(c, "id", "");
		bool stack = cJSON_GetObjectItemCaseSensitive(json_at(c, "labels"), LABEL_ROLE) != NULL;
		if (strcmp(json_text_or(c, "state", ""), "running") != 0)
			continue;
		int64_t at = stack ? databases_used_at(id) : logged_at(id);
		newest = at > newest ? at : newest;
		if (stack && at)
			break;
	}
	return newest;
}
