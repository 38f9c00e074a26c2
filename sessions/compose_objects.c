#include "compose/built.h"
#include "compose/override.h"
#include "core/log.h"
#include "core/mem.h"
#include "sessions/compose_private.h"
#include <string.h>

const char *compose_label(const cJSON *object, const char *label)
{
	return cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(json_at(object, "labels"), label));
}

void compose_leave_built(cJSON *images)
{
	cJSON *next;
	for (cJSON *one = images ? images->child : NULL; one; one = next) {
		next = one->next;
		if (built_is(one))
			built_relabel(one);
		else
			cJSON_Delete(cJSON_DetachItemViaPointer(images, one));
	}
}

cJSON *compose_objects(struct state *st, const char *uuid, enum docker_kind kind, struct err *err)
{
	bool image = kind == DOCKER_IMAGE;
	const char *session = image ? BUILT_SESSION : LABEL_SESSION;
	cleanup_free char *install = mem_printf("%s=%s", image ? BUILT_INSTALL : LABEL_INSTALL, st->install),
	                  *own = uuid ? mem_printf("%s=%s", session, uuid) : mem_strdup(session);
	const char *const labels[] = {install, own, NULL};
	cJSON *list = docker_list(kind, labels, err);
	if (image)
		compose_leave_built(list);
	return list;
}

cJSON *compose_containers(struct state *st, const struct session_row *row, const char *service,
                          struct err *err)
{
	cleanup_free char *install = mem_printf(LABEL_INSTALL "=%s", st->install),
	                  *session = mem_printf(LABEL_SESSION "=%s", row->uuid),
	                  *label = mem_printf(LABEL_SERVICE "=%s", service);
	const char *const labels[] = {install, session, label, NULL};
	cJSON *list = docker_list(DOCKER_CONTAINER, labels, err);
	if (!list || list->child)
		return list;
	cJSON_Delete(list);
	err_set(err, ERR_NOT_FOUND, "session %s has no container of service %s", row->name, service);
	return NULL;
}

cJSON *compose_container(struct state *st, const struct session_row *row, const char *service,
                         struct err *err)
{
	cleanup_json cJSON *list = compose_containers(st, row, service, err);
	return list ? cJSON_DetachItemFromArray(list, 0) : NULL;
}

/* -- strangers -- */

static bool is_mine(const struct state *st, const struct session_row *row, const cJSON *object)
{
	const char *install = compose_label(object, LABEL_INSTALL),
	           *session = compose_label(object, LABEL_SESSION);
	return install && !strcmp(install, st->install) && session && !strcmp(session, row->uuid);
}

/* What ${object} of another of our sessions is called: "a-b" with a service "c", and "a" with "b-c" are one name. NULL: it is not ours. */
static char *session_of(struct state *st, const cJSON *object)
{
	const char *install = compose_label(object, LABEL_INSTALL);
	struct err ignored = {0};
	char *name = NULL;
	if (install && !strcmp(install, st->install))
		db_get_text(st->db, &name, &ignored, "SELECT name FROM sessions WHERE uuid = ?", "t",
		            compose_label(object, LABEL_SESSION));
	return name;
}

static int stranger(struct state *st, const char *project, enum docker_kind kind, const cJSON *object,
                    struct err *err)
{
	cleanup_free char *session = session_of(st, object);
	if (session)
		return err_set(err, ERR_EXISTS,
		               "%s %s is of session %s, and one of this session would be called the same: "
		               "choose another session name",
		               docker_kind_name(kind), json_text_or(object, "name", "?"), session);
	const char *install = compose_label(object, LABEL_INSTALL);
	if (install && strcmp(install, st->install) != 0)
		return err_set(err, ERR_EXISTS,
		               "%s %s is of another installation on this machine, and one of this session "
		               "would be called the same: choose another session name or another "
		               "COMPOSE_PROJECT_NAME",
		               docker_kind_name(kind), json_text_or(object, "name", "?"));
	return err_set(err, ERR_EXISTS,
	               "%s %s is not of this session, but of compose project %s by its %s: choose another "
	               "session name "
	               "or another COMPOSE_PROJECT_NAME, or remove it",
	               docker_kind_name(kind), json_text_or(object, "name", "?"), project,
	               kind == DOCKER_CONTAINER && compose_label(object, LABEL_PROJECT) ? "label" : "name");
}

/* Whether a container is called as one of the services would be. podman-compose may call one project_whatever; for the others such a name
 * is in nobody's way. */
static bool is_namesake(const struct session_row *row, const char *project, const cJSON *container)
{
	const char *name = json_text_or(container, "name", "");
	size_t n = strlen(project);
	return !strncmp(name, project, n) &&
	       ((name[n] == '_' && compose_by_podman(row)) ||
	        (name[n] == '-' && json_has_text(json_at(row->spec, "services"), name + n + 1)));
}

/* Whether ${object} is called like something that the tool would make for ${row}, and so take it for its own. */
static bool is_called_alike(const struct session_row *row, enum docker_kind kind, const cJSON *object)
{
	const cJSON *check;
	const char *project = json_text_or(row->spec, "project", ""),
	           *of = compose_label(object, LABEL_PROJECT);
	cleanup_free char *prefix = mem_printf("%s_", project);
	if (kind == DOCKER_CONTAINER)
		return (of && !strcmp(of, project)) || is_namesake(row, project, object);
	if (kind != DOCKER_IMAGE)
		return !strncmp(json_text_or(object, "name", ""), prefix, strlen(prefix));
	cJSON_ArrayForEach(check, json_at(row->spec, "checks"))
	{
		cleanup_free char *name = built_name(project, check->string);
		if (json_bool(check, "build", false) && built_is_called(object, name))
			return true;
	}
	return false;
}

/* Containers are looked for by name too: docker-compose refuses one that is taken, without knowing whose it is, and podman-compose would start
 * it. */
int compose_alone(struct state *st, const struct session_row *row, struct err *err)
{
	const char *project = json_text_or(row->spec, "project", "");
	static const char *const all[] = {NULL};
	for (enum docker_kind kind = DOCKER_CONTAINER; kind < DOCKER_KINDS; kind++) {
		cleanup_json cJSON *list = docker_list(kind, all, err);
		cJSON *one;
		if (!list)
			return -1;
		cJSON_ArrayForEach(one, list)
		{
			if (kind == DOCKER_IMAGE)
				built_relabel(one);
			if (is_called_alike(row, kind, one) && !is_mine(st, row, one))
				return stranger(st, project, kind, one, err);
		}
	}
	return 0;
}

/* -- ports -- */

static bool publishes(const cJSON *container, const cJSON *lease)
{
	const cJSON *p;
	cJSON_ArrayForEach(p, json_at(container, "ports"))
	{
		if (json_int(p, "host", 0) == json_int(lease, "port", -1) &&
		    !strcmp(json_text_or(p, "protocol", "tcp"), json_text_or(lease, "protocol", "tcp")))
			return true;
	}
	return false;
}

/* The engine listens for all containers, of whatever installation: who has a port only it can say. */
cJSON *compose_lent(struct state *st, const struct session_row *row, struct err *err)
{
	static const char *const all[] = {NULL};
	cleanup_json cJSON *leases = lease_list(st, row->uuid, err),
	                   *list = leases ? docker_list(DOCKER_CONTAINER, all, err) : NULL;
	const cJSON *lease, *one;
	if (!list)
		return NULL;
	cJSON *lent = json_array();
	cJSON_ArrayForEach(lease, leases)
	{
		cJSON_ArrayForEach(one, list)
		{
			if (!is_mine(st, row, one) && publishes(one, lease))
				cJSON_AddItemToArray(lent, cJSON_CreateNumber((double)json_int(lease, "port", 0)));
		}
	}
	return lent;
}

/* -- removal -- */

/* Why a network cannot be removed: somebody else's container is in it, which is not ours to touch. */
static void explain_network(const char *id, struct err *err)
{
	struct err ignored = {0};
	cleanup_free char *path = mem_printf("/networks/%s", id);
	cleanup_json cJSON *network = docker_get(path, &ignored);
	cleanup_str struct str names = STR_INIT_MAX(512);
	const cJSON *c;
	cJSON_ArrayForEach(c, json_at(network, "Containers"))
	{
		str_addf(&names, "%s%s", names.len ? ", " : "", json_text_or(c, "Name", "?"));
	}
	if (names.len)
		err_wrap(err,
		         "containers that are not of this session are in its network %s: %s (disconnect "
		         "them: docker "
		         "network disconnect -f %.12s NAME)",
		         json_text_or(network, "Name", id), str_text(&names), id);
}

/* An image that somebody gave another name is left to him under that one. */
static int remove_object(enum docker_kind kind, const cJSON *object, struct err *err)
{
	const cJSON *label = cJSON_GetObjectItemCaseSensitive(json_at(object, "labels"), BUILT_NAME);
	bool shared = kind == DOCKER_IMAGE && cJSON_GetArraySize(json_at(object, "tags")) > 1;
	return docker_remove(
	        kind, shared && cJSON_IsString(label) ? label->valuestring : json_text_or(object, "id", ""),
	        err);
}

static int sweep_kind(struct state *st, const struct session_row *row, enum docker_kind kind, struct err *err)
{
	cleanup_json cJSON *list = compose_objects(st, row->uuid, kind, err);
	const cJSON *one;
	int rc = list ? 0 : -1;
	cJSON_ArrayForEach(one, list)
	{
		struct err why = {0};
		const char *id = json_text_or(one, "id", "");
		if (remove_object(kind, one, &why) == 0)
			continue;
		if (kind == DOCKER_NETWORK)
			explain_network(id, &why);
		if (rc == 0)
			*err = why;
		rc = -1;
	}
	return rc;
}

/* Containers first: networks, volumes and images are in use as long as they are there. */
int compose_sweep(struct state *st, const struct session_row *row, struct err *err)
{
	struct err first = {0};
	int rc = 0;
	for (enum docker_kind kind = DOCKER_CONTAINER; kind < DOCKER_KINDS; kind++) {
		struct err why = {0};
		if (sweep_kind(st, row, kind, &why) == 0)
			continue;
		if (rc == 0)
			first = why;
		rc = -1;
	}
	if (rc)
		*err = first;
	return rc;
}
