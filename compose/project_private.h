/* Shared by project.c, project_freeze.c, project_rules.c and project_port.c. */
#ifndef COMPOSE_PROJECT_PRIVATE_H
#define COMPOSE_PROJECT_PRIVATE_H

#include "core/err.h"
#include "core/json.h"

/* Ports one service may publish; how many of them a session is leased says lease.h. */
#define PROJECT_PORTS_MAX 512

/** Add to ${ports} ({"target","protocol"}, each once) what one entry of a service's `ports` publishes: 80, "8080:80", "127.0.0.1:9000-9002:9000-9002/udp",
 * "::1:6000:6000/tcp", {"target":80,"protocol":"tcp",…}. ERR_INVALID for what is none. */
int project_port_add(cJSON *ports, const cJSON *entry, struct err *err);

/** Refuse a resolved project that cannot be isolated, or would reach out of its session: ERR_INVALID with file, place, reason and advice.
 * Binds must lie in the directory of ${files}[0] (absolute); without files there are none. */
int project_check(const cJSON *base, const char *const *files, struct err *err);

/** What messages call the project: its first file. */
const char *project_label(const char *const *files);

#endif
