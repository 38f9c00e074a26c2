/* The override that makes a frozen project one session: names, labels, leased subnets and ports, limits, SESSION_NAME.
 * Written as YAML with a comment on each kind of line, for people who want to know what was done to their file. Only
 * keys that docker-compose 1.29, compose v2 and podman-compose all know; it only adds (nothing in it needs !reset). */
#ifndef COMPOSE_OVERRIDE_H
#define COMPOSE_OVERRIDE_H

#include "core/err.h"
#include "core/json.h"
#include "core/str.h"

#define LABEL_INSTALL "com.codefoundry.install"
#define LABEL_SESSION "com.codefoundry.session"
#define LABEL_NAME "com.codefoundry.session.name"
#define LABEL_EXPIRES "com.codefoundry.expires"
#define LABEL_SERVICE "com.codefoundry.service"
#define LABEL_ROLE "com.codefoundry.role" /* stands in our own compose file */

struct override {
	const cJSON *project; /* project.h */
	const char *name;     /* compose project: "codefoundry-demo" */
	const char *install, *uuid, *session;
	int64_t expires_s;     /* Unix seconds */
	const cJSON *services; /* names to start; NULL: all */
	const cJSON *ports;    /* [{"port":host,"service","target":n,"protocol"}], published on 127.0.0.1 */
	const cJSON *subnets;  /* {"net":"10.213.0.64/26"…}: one for each network of the project that is its own */
	const cJSON *environment; /* {"service":{KEY:text}…}: added to a service's own; may hold secrets */
	int64_t memory_mib;       /* of the whole session, shared out to its services; 0: no limit */
	int64_t cpu_percent;      /* of one CPU, the same; 0: no limit */
	bool podman;              /* it is Podman that will run it */
};

/** Append the override's YAML to ${out}. Texts from outside are quoted ($ is doubled, which compose would expand). ERR_INVALID when a name is too
 * long (project and service must fit 63 characters) or a network has no subnet. */
int override_write(const struct override *o, struct str *out, struct err *err);

#endif
