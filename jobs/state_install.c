/* The id of an installation. All that it made carries it and nothing else is ever touched, so a new one would disown all of it. */
#include "core/file.h"
#include "core/json.h"
#include "core/log.h"
#include "core/mem.h"
#include "jobs/state_private.h"
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

#define LEASE_MAX (8u << 20)
#define INSTALL_MAX (ID_UUID_LEN + PATH_MAX + 2)

/* The id in the first line of ${path}, and, owned, the second: the state directory it was made for, "" in what earlier versions wrote. */
static int read_lines(const char *path, char uuid[ID_UUID_LEN + 1], char **home, struct err *err)
{
	cleanup_free char *text = NULL;
	if (file_read(path, INSTALL_MAX, &text, NULL, err))
		return -1;
	char *rest = text, *id = strsep(&rest, "\n"), *second = rest ? strsep(&rest, "\n") : NULL;
	if (!id_is_uuid(id))
		return err_set(err, ERR_STATE,
		               "%s does not hold a UUID: restore it from a backup, or remove it (it is then "
		               "read back from the sessions beside it)",
		               path);
	memcpy(uuid, id, ID_UUID_LEN + 1);
	*home = mem_strdup(second ?: "");
	return 0;
}

static char *lines_of(const struct state *st, const char *uuid)
{
	return mem_printf("%s\n%s\n", uuid, st->dir);
}

/* By another path, perhaps. */
static bool is_here(const struct state *st, const char *home)
{
	cleanup_free char *here = state_mark(st->dir), *there = state_mark(home);
	return *here && !strcmp(here, there);
}

static bool has_our_id(const struct state *st, const char *home)
{
	char uuid[ID_UUID_LEN + 1];
	struct err ignored = {0};
	cleanup_free char *path = mem_printf("%s/install", home), *its_home = NULL;
	return read_lines(path, uuid, &its_home, &ignored) == 0 && !strcmp(uuid, st->install);
}

/* A copy of a state directory would take the sessions of the original for its own, and stop and remove them. One that was moved leaves
 * nothing of it behind, and is at home where it is now. */
static int settle(const struct state *st, const char *path, const char *home, struct err *err)
{
	struct err ignored = {0};
	if (!strcmp(home, st->dir) || is_here(st, home))
		return 0;
	if (has_our_id(st, home))
		return err_set(
		        err, ERR_STATE,
		        "%s is a copy of %s, and both would take the same sessions for theirs: set "
		        "STATE_DIR to an empty directory, or remove the one of them that is not wanted "
		        "(rm -r)",
		        st->dir, home);
	cleanup_free char *lines = lines_of(st, st->install);
	if (file_write(path, lines, strlen(lines), 0600, &ignored))
		log_warn("%s", ignored.msg);
	return 0;
}

static int read_install(struct state *st, const char *path, struct err *err)
{
	cleanup_free char *home = NULL;
	return read_lines(path, st->install, &home, err) || settle(st, path, home, err) ? -1 : 0;
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
	cleanup_free char *line = lines_of(st, found[0] ? found : fresh),
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
