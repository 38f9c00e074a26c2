/* Shared by the files of project.h: project.c asks the tool and remembers, project_v1.c does what docker-compose 1.29 does not,
 * project_rules.c says what is refused, project_freeze.c (with project_port.c and project_objects.c) takes out what is rewritten. */
#ifndef COMPOSE_PROJECT_PRIVATE_H
#define COMPOSE_PROJECT_PRIVATE_H

#include "compose/lint.h"
#include "core/err.h"
#include "core/json.h"

/* What the tool is told the project is called; not after the directory, which may have no letter that a project's name can have. */
#define PROJECT_RESOLVED "codefoundry"

/* Ports one service may publish; how many of them a session is leased says lease.h. */
#define PROJECT_PORTS_MAX 512

/** Add to ${ports} ({"target","protocol"}, each once) what one entry of a service's `ports` publishes: 80, "8080:80", "127.0.0.1:9000-9002:9000-9002/udp",
 * "::1:6000:6000/tcp", {"target":80,"protocol":"tcp",…}. ERR_INVALID for what is none. */
int project_port_add(cJSON *ports, const cJSON *entry, struct err *err);

/** Add to ${findings} (lint.h) what of a resolved project cannot be isolated, or would reach out of its session: refused, or allowed by
 * ${allow} (array of ids, may be NULL). Binds must lie in the directory of ${files}[0] (absolute); without files there are none.
 * Says of a frozen project what it said of the one that was frozen. */
void project_check(const cJSON *base, const char *const *files, const cJSON *allow, cJSON *findings);

static inline cJSON *project_member(const cJSON *obj, const char *key)
{
	return cJSON_GetObjectItemCaseSensitive(obj, key);
}

static inline void project_drop(cJSON *obj, const char *key)
{
	if (cJSON_IsObject(obj))
		cJSON_DeleteItemFromObjectCaseSensitive(obj, key);
}

/* What is frozen, and what is noted meanwhile. */
struct frost {
	cJSON *base, *out, *findings;
	const cJSON *allow;
	cJSON *used; /* networks that a service joins: {name: true} */
	bool podman; /* for podman-compose */
};

/** Note that ${value} was taken out of member ${name} of ${section} by ${rule}, or was allowed to stay. */
void project_note(const struct frost *f, enum lint_rule rule, const char *section, const char *name,
                  const char *value);
void project_note_kept(const struct frost *f, enum lint_rule rule, const char *section, const char *name,
                       const char *value);

/** Note the networks of ${service} as used, and take its fixed addresses unless it may have them. */
void project_join(const struct frost *f, cJSON *service);

/** Keep the networks that are used, add `default`, which version 1 leaves to itself, and free those of our own of names and
 * addresses. Fills "networks" and "fixed" of f->out. */
void project_take_networks(const struct frost *f);

/** Give each volume of ${service} that has no name one, and the project that volume: without a name nobody knows it any more once its container was
 * removed by hand. Several copies of a service have one each, which they keep; podman-compose would give them one together, of a name that
 * has no label of ours and outlives them. */
void project_name_volumes(const struct frost *f, cJSON *service, int64_t copies);

/** Free the objects of section ${what} of their names. Returns the keys of those that are the project's own; the caller deletes it. */
cJSON *project_take_names(const struct frost *f, const char *what);

/** The value of the top-level `name:` of compose file ${text}; the caller frees it. NULL: it has none. */
char *project_name_of(const char *text);

/* What docker-compose 1.29 does not do (project_v1.c). */

/** ${text} with the line of its top-level `name:`, which 1.29 refuses, left empty; the caller frees it. */
char *project_v1_unnamed(const char *text);

/** Leave the services without profiles and those of ${profiles} (array of texts; "*": all): 1.29 prints all. ERR_INVALID, beginning with
 * ${label}, when one that stays needs one that does not. */
int project_v1_choose(cJSON *resolved, const cJSON *profiles, const char *label, struct err *err);

/** Make binds of the configs that are files: 1.29 ignores them outside of a swarm. */
void project_v1_mount_configs(cJSON *resolved);

/** What messages call the project: its first file. */
const char *project_label(const char *const *files);

#endif
