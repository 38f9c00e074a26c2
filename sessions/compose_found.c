/* What the engine has of all sessions, one listing per kind of object, sorted by their labels; and what only looks like ours. */
#include "compose/override.h"
#include "core/mem.h"
#include "core/text.h"
#include "sessions/compose_private.h"
#include <stdlib.h>
#include <string.h>

/* One object of ours. */
struct piece {
	const char *session;
	enum docker_kind kind;
	const cJSON *object;
};

struct finds {
	struct piece *pieces;
	size_t n;
	cJSON *alike, *others; /* what is foreign: what could be taken for ours, and what others have */
	int64_t total;
};

/* Half the room for each: however much others have, what looks like ours is told. */
static void add_foreign(struct finds *f, enum docker_kind kind, const cJSON *object, bool alike,
                        const char *why)
{
	cJSON *list = alike ? f->alike : f->others;
	f->total++;
	if (cJSON_GetArraySize(list) >= ENGINE_FOREIGN_MAX / 2)
		return;
	cJSON *one = json_object();
	json_add_text(one, "kind", docker_kind_name(kind));
	json_add_text(one, "name", json_text_or(object, "name", "?"));
	json_add_text(one, "why", why);
	cJSON_AddItemToArray(list, one);
}

static bool begins(const char *text, const char *prefix)
{
	return text && !strncmp(text, prefix, strlen(prefix));
}

/* ${prefix}: what the names of our compose projects begin with. */
static void sort_object(struct finds *f, const struct state *st, const char *prefix, enum docker_kind kind,
                        const cJSON *object)
{
	const char *install = compose_label(object, LABEL_INSTALL),
	           *session = compose_label(object, LABEL_SESSION);
	if (install && strcmp(install, st->install) != 0)
		add_foreign(f, kind, object, false, "of another installation");
	else if (install && (!session || !id_is_uuid(session)))
		add_foreign(f, kind, object, true, "has our label, but names no session");
	else if (install)
		f->pieces[f->n++] = (struct piece){session, kind, object};
	else if (begins(json_text(object, "name"), prefix) ||
	         begins(compose_label(object, LABEL_PROJECT), prefix))
		add_foreign(f, kind, object, true, "is called like one of ours, but has no label of ours");
}

static int by_session(const void *a, const void *b)
{
	const struct piece *x = a, *y = b;
	int order = strcmp(x->session, y->session);
	return order ? order : (int)x->kind - (int)y->kind;
}

/* What was only created never ran: a start that was cut off. */
static bool has_run(const cJSON *container)
{
	const char *state = json_text_or(container, "state", "");
	return strcmp(state, "created") != 0 && strcmp(state, "removing") != 0 && strcmp(state, "dead") != 0;
}

/* A session of its ${n} pieces, containers first. */
static cJSON *session_of(const struct piece *pieces, size_t n)
{
	int64_t counts[DOCKER_KINDS] = {0}, expires_s = 0;
	bool adoptable = false;
	cJSON *session = json_object();
	for (size_t i = 0; i < n; i++) {
		counts[pieces[i].kind]++;
		adoptable |= pieces[i].kind == DOCKER_CONTAINER && has_run(pieces[i].object);
	}
	json_add_text(session, "uuid", pieces[0].session);
	json_add_bool(session, "alive", counts[DOCKER_CONTAINER] > 0);
	json_add_bool(session, "adoptable", adoptable);
	cleanup_free char *name = compose_name(pieces[0].object, pieces[0].session);
	json_add_text(session, "name", name);
	const char *expires = compose_label(pieces[0].object, LABEL_EXPIRES);
	if (expires && text_int(expires, &expires_s) == 0 && expires_s > 0 && expires_s < INT64_MAX / 1000)
		json_add_int(session, "expires_at", expires_s * 1000);
	for (enum docker_kind kind = DOCKER_CONTAINER; kind < DOCKER_KINDS; kind++) {
		cleanup_free char *key = mem_printf("%ss", docker_kind_name(kind));
		json_add_int(session, key, counts[kind]);
	}
	return session;
}

static cJSON *group(struct finds *f)
{
	cJSON *found = json_object(), *sessions = cJSON_AddArrayToObject(found, "sessions");
	if (f->n)
		qsort(f->pieces, f->n, sizeof(*f->pieces), by_session);
	for (size_t i = 0, end; i < f->n; i = end) {
		for (end = i + 1; end < f->n && !strcmp(f->pieces[end].session, f->pieces[i].session);)
			end++;
		cJSON_AddItemToArray(sessions, session_of(&f->pieces[i], end - i));
	}
	cJSON *one;
	while ((one = cJSON_DetachItemFromArray(f->others, 0)))
		cJSON_AddItemToArray(f->alike, one);
	json_add(found, "foreign", TAKE(f->alike));
	json_add_int(found, "foreign_total", f->total);
	return found;
}

cJSON *compose_found(struct state *st, struct err *err)
{
	cJSON *lists[DOCKER_KINDS] = {0}, *found = NULL;
	struct finds f = {.alike = json_array(), .others = json_array()};
	cleanup_free char *prefix = mem_printf("%s-", config_text(st->cfg, "COMPOSE_PROJECT_NAME"));
	const char *const all[] = {NULL};
	size_t most = 0;
	enum docker_kind kind = DOCKER_CONTAINER;
	provider_open(st->cfg, st->dir);
	for (; docker_expected() && kind < DOCKER_KINDS && (lists[kind] = docker_list(kind, all, err));
	     kind++) {
		if (kind == DOCKER_IMAGE)
			compose_leave_built(lists[kind]);
		most += (size_t)cJSON_GetArraySize(lists[kind]);
	}
	if (!docker_expected() || kind == DOCKER_KINDS) {
		f.pieces = mem_alloc((most + 1) * sizeof(*f.pieces));
		for (kind = DOCKER_CONTAINER; kind < DOCKER_KINDS; kind++)
			for (const cJSON *o = lists[kind] ? lists[kind]->child : NULL; o; o = o->next)
				sort_object(&f, st, prefix, kind, o);
		found = group(&f);
	}
	for (kind = DOCKER_CONTAINER; kind < DOCKER_KINDS; kind++)
		cJSON_Delete(lists[kind]);
	cJSON_Delete(f.alike);
	cJSON_Delete(f.others);
	free(f.pieces);
	return found;
}
