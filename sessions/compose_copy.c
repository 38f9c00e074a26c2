/* Files into and out of the containers of a session. */
#include "compose/docker_archive.h"
#include "core/mem.h"
#include "sessions/compose_private.h"

/* The id of its (first) container, to free; NULL with ${err}. */
static char *id_of(struct state *st, const struct session_row *row, const char *service, struct err *err)
{
	provider_open(st->cfg, st->dir);
	cleanup_json cJSON *container = compose_container(st, row, service, err);
	return container ? mem_strdup(json_text_or(container, "id", "")) : NULL;
}

int compose_is_dir(struct state *st, const struct session_row *row, const char *service, const char *path,
                   struct err *err)
{
	cleanup_free char *id = id_of(st, row, service, err);
	return id ? docker_is_dir(id, path, err) : -1;
}

int compose_copy_out(struct state *st, const struct session_row *row, const char *service, const char *path,
                     int fd, int stop_fd, struct err *err)
{
	cleanup_free char *id = id_of(st, row, service, err);
	return id ? docker_archive_get(id, path, fd, stop_fd, err) : -1;
}

int compose_copy_in(struct state *st, const struct session_row *row, const char *service, const char *path,
                    int fd, int stop_fd, struct err *err)
{
	cleanup_free char *id = id_of(st, row, service, err);
	return id ? docker_archive_put(id, path, fd, stop_fd, err) : -1;
}

int compose_owner(struct state *st, const struct session_row *row, const char *service, int64_t *uid,
                  int64_t *gid, struct err *err)
{
	cleanup_free char *id = id_of(st, row, service, err);
	return id ? docker_user(id, uid, gid, err) : -1;
}
