/* podman-compose 1.0.3 does less than the other tools: it resolves no file, drops what it does not know without a word, puts every
 * variable of a service into its arguments, and ends with 0 when a container could not be made. What is done about that stands here. */
#ifndef COMPOSE_PODMAN_COMPOSE_H
#define COMPOSE_PODMAN_COMPOSE_H

#include "compose/provider.h"
#include "core/err.h"
#include "core/json.h"
#include "core/str.h"

/** Whether it is known what ${version} does: 1.0.3 to 1.0.5. Later ones print other things in other places. */
bool podman_compose_known(const unsigned version[3]);

/** The resolved project in what it ${printed} of a dry run with two files or more, as the other tools would print it: paths absolute (they
 * count from ${dir}), files of variables read, variables of our own environment filled in, each $ doubled. NULL with ERR_INVALID.
 * What it would drop is still there, for project_check() and podman_compose_check(). */
cJSON *podman_compose_resolved(const char *printed, const char *dir, struct err *err);

/** Run ${tool} as ${call} says (its arguments are not looked at) so that it prints what it makes of the files, and read that. It knows no --env-file: the
 * variables of one (${dotenv}, its content; NULL: none) are given to it in its environment. Keeps a file in ${dir}. NULL with ${err}. Blocks. */
cJSON *podman_compose_resolve(const struct provider *tool, const struct provider_call *call,
                              const char *dotenv, const char *dir, struct err *err);

/** Refuse a frozen project (${base}) that has what it would drop or cannot do: ERR_INVALID with service, key and advice. */
int podman_compose_check(const cJSON *base, struct err *err);

/** Change ${base} into what it is to be given: no depends_on (who starts services one after the other is not the tool), variables in files
 * ${dir}/SERVICE.env, networks as a list. */
void podman_compose_base(cJSON *base, const char *dir);

/** Append the lines of SERVICE.env: the service's own variables with those of ${more} ({KEY: text}, may be NULL) over them. ERR_INVALID for
 * one of several lines, which no such file can hold. */
int podman_compose_variables(const cJSON *base, const char *service, const cJSON *more, struct str *out,
                             struct err *err);

/** The exit code it should have ended with, from what it ${printed} of the programs that it ran. */
int podman_compose_status(const char *printed);

#endif
