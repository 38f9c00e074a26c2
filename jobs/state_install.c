/* The id of an installation. All that it made carries it and nothing else is ever touched, so a new one would disown all of it. */
#include "core/file.h"
#include "core/json.h"
#include "core/log.h"
#include "core/mem.h"
#include "jobs/state_private.h"
#include <dirent.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

#define LEASE_MAX (8u << 20)

static int read_install(struct state *st, const char *path, struct err *err)
{
	cleanup_free char *text = NULL;
	if (file_read(path, 256, &text, NULL, err))
		return -1;
	text[strcspn(text, "\n")] = '\0';
	if (!id_is_uuid(text))
		return err_set(err, ERR_STATE,
		               "%s does not hold a UUID: restore it from a backup, or remove it (it is then "
		               "read back from the sessions beside it)",
		               path);
	memcpy(st->install, text, sizeof(st->install));
	return 0;
}

/* Whose ${directory} of STATE_DIR/sessions is, by the file that stands in it (sessions/lease_file.h); empty: it does not say. Why one that is
 * there cannot be read is put into ${unread}. */
static void owner_of(const struct state *st, const char *directory, char uuid[ID_UUID_LEN + 1],
                     struct err *unread)
{
	struct err why = {0};
	size_t len = 0;
	cleanup_free char *path = state_path(st, "sessions/%s/lease.json", directory), *text = NULL;
	cleanup_json cJSON *file = NULL;
	if (file_read_regular(path, LEASE_MAX, &text, &len, &why) == 0)
		file = json_parse(text, len, &why);
	else if (why.code != ERR_NOT_FOUND)
		*unread = why;
	const char *install = json_text_or(file, "install", "");
	uuid[0] = '\0';
	if (id_is_uuid(install))
		memcpy(uuid, install, ID_UUID_LEN + 1);
}

/* The one id that all sessions there name, into ${uuid}; empty when none does. What cannot be read says nothing beside what can, but where
 * nothing else does it may be what a new id would disown. */
static int ask_sessions(const struct state *st, const char *path, char uuid[ID_UUID_LEN + 1], struct err *err)
{
	cleanup_free char *sessions = state_path(st, "sessions");
	DIR *dir = opendir(sessions);
	const struct dirent *e;
	struct err unread = {0};
	int rc = 0;
	uuid[0] = '\0';
	if (!dir)
		return errno == ENOENT ? 0 : err_sys(err, errno, "open %s", sessions);
	while (rc == 0 && (errno = 0, e = readdir(dir))) {
		char one[ID_UUID_LEN + 1];
		if (e->d_name[0] == '.')
			continue;
		owner_of(st, e->d_name, one, &unread);
		if (one[0] && uuid[0] && strcmp(one, uuid) != 0)
			rc = err_set(err, ERR_STATE,
			             "%s is gone, and the sessions beside it are of several installations "
			             "(%s, %s): "
			             "restore it from a backup, or write the right one into it",
			             path, uuid, one);
		else if (one[0])
			memcpy(uuid, one, sizeof(one));
	}
	if (rc == 0 && errno)
		rc = err_sys(err, errno, "list %s", sessions);
	closedir(dir);
	if (rc == 0 && unread.code && !uuid[0]) {
		*err = unread;
		rc = err_wrap(
		        err,
		        "%s is gone, and no session beside it says what it was (restore it from a backup)",
		        path);
	}
	return rc;
}

/* Written aside and linked, so that of two processes that start at once one wins and both read the winner's. */
static int make_install(const struct state *st, const char *path, struct err *err)
{
	char fresh[ID_UUID_LEN + 1], found[ID_UUID_LEN + 1];
	if (ask_sessions(st, path, found, err))
		return -1;
	id_uuid(fresh);
	cleanup_free char *line = mem_printf("%s\n", found[0] ? found : fresh),
	                  *mine = state_path(st, "install.%s", fresh);
	if (file_write(mine, line, strlen(line), 0600, err))
		return -1;
	int linked = link(mine, path) == 0 || errno == EEXIST ? 0 : err_sys(err, errno, "make %s", path);
	unlink(mine);
	if (linked == 0 && found[0])
		log_warn("%s was gone: read back from the sessions beside it", path);
	return linked;
}

int state_take_install(struct state *st, struct err *err)
{
	cleanup_free char *path = state_path(st, "install");
	if (!path_exists(path) && make_install(st, path, err))
		return -1;
	return read_install(st, path, err);
}
