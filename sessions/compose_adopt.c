/* A session out of nothing but its containers and networks: what their labels and the engine say is enough to list it, to use it and to
 * stop it. Who owned it, and that it was extended, is lost. */
#include "compose/override.h"
#include "core/clock.h"
#include "core/mem.h"
#include "core/text.h"
#include "sessions/compose_private.h"
#include "sessions/session.h"
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define OWNER "system:adopted"

static void add_lease(cJSON *leases, const char *kind, int64_t value, const char *service,
                      const char *purpose, int64_t target, const char *protocol)
{
	cJSON *one = json_object();
	json_add_text(one, "kind", kind);
	json_add_int(one, "value", value);
	json_add_text(one, "service", service);
	json_add_text(one, "purpose", purpose);
	json_add(one, "target", target ? cJSON_CreateNumber((double)target) : cJSON_CreateNull());
	json_add_text(one, "protocol", protocol);
	json_add_int(one, "taken_at", clock_now_ms());
	cJSON_AddItemToArray(leases, one);
}

/* "80/tcp": what is published of it; more than one number for a range. */
static void add_port(cJSON *leases, const char *service, const cJSON *published)
{
	int target = 0;
	char protocol[8] = "tcp";
	const cJSON *one;
	if (sscanf(published->string, "%5d/%7s", &target, protocol) < 1)
		return;
	cJSON_ArrayForEach(one, published)
	{
		int64_t port = 0;
		const char *host = json_text(one, "HostPort");
		if (host && text_int(host, &port) == 0 && port > 0)
			add_lease(leases, "port", port, service, published->string, target, protocol);
	}
}

/* What a container publishes is told while it runs only; what it is to publish, always. */
static int add_ports(cJSON *leases, const cJSON *container, struct err *err)
{
	cleanup_free char *path = mem_printf("/containers/%s/json", json_text_or(container, "id", ""));
	cleanup_json cJSON *all = docker_get(path, err);
	const cJSON *published;
	if (!all)
		return -1;
	cJSON_ArrayForEach(published, json_at(all, "HostConfig.PortBindings"))
	        add_port(leases, compose_label(container, LABEL_SERVICE), published);
	return 0;
}

static int add_subnet(cJSON *leases, const cJSON *network, struct err *err)
{
	cleanup_free char *path = mem_printf("/networks/%s", json_text_or(network, "id", ""));
	cleanup_json cJSON *all = docker_get(path, err);
	const char *subnet = json_text(all, "IPAM.Config.0.Subnet");
	char address[INET_ADDRSTRLEN];
	struct in_addr a;
	if (!all)
		return -1;
	if (subnet && sscanf(subnet, "%15[0-9.]", address) == 1 && inet_pton(AF_INET, address, &a) == 1)
		add_lease(leases, "subnet", ntohl(a.s_addr), NULL, json_text_or(network, "name", "network"),
		          0, NULL);
	return 0;
}

static cJSON *spec_of(const cJSON *containers)
{
	cJSON *spec = json_object(), *services = cJSON_AddArrayToObject(spec, "services");
	const cJSON *c;
	cJSON_ArrayForEach(c, containers)
	{
		const char *service = compose_label(c, LABEL_SERVICE);
		if (service && !json_has_text(services, service))
			cJSON_AddItemToArray(services, cJSON_CreateString(service));
	}
	json_add_text(spec, "project", compose_label(containers->child, LABEL_PROJECT));
	/* its files are gone, and with them who may talk in a stack of ours */
	json_add_bool(spec, "stack", false);
	json_add(spec, "checks", json_object());
	return spec;
}

static void add_times(struct state *st, cJSON *session, const cJSON *containers)
{
	int64_t created = clock_now_ms(), expires = 0;
	const char *label = compose_label(containers->child, LABEL_EXPIRES);
	const cJSON *c;
	cJSON_ArrayForEach(c, containers)
	{
		int64_t at = json_int(c, "created", 0) * 1000;
		created = at && at < created ? at : created;
	}
	int64_t cap = created + config_int(st->cfg, "SESSION_MAX_AGE_HOURS") * 3600000;
	expires = label && text_int(label, &expires) == 0 ? expires * 1000 : created;
	json_add_int(session, "created_at", created);
	json_add_int(session, "started_at", created);
	json_add_int(session, "expires_at", expires);
	json_add_int(session, "hard_expires_at", cap > expires ? cap : expires);
	json_add_int(session, "idle_ms", 0); /* what else would end it sooner is in the label */
	json_add_int(session, "used_at", clock_now_ms());
	json_add_int(session, "pinned", 0);
}

/* That of a warm session is no name for a person's. */
char *compose_name(const cJSON *object, const char *uuid)
{
	const char *name = compose_label(object, LABEL_NAME);
	struct err ignored = {0};
	return name && session_name_check(name, &ignored) == 0 ? mem_strdup(name)
	                                                       : mem_printf("lost-%.8s", uuid);
}

static cJSON *session_of(struct state *st, const char *uuid, const cJSON *containers)
{
	cJSON *session = json_object();
	cleanup_free char *name = compose_name(containers->child, uuid);
	bool runs = false;
	const cJSON *c;
	cJSON_ArrayForEach(c, containers) runs |= !strcmp(json_text_or(c, "state", ""), "running");
	json_add_text(session, "uuid", uuid);
	json_add_text(session, "name", name);
	json_add_text(session, "owner", OWNER);
	json_add_text(session, "engine", engine_compose.name);
	json_add_text(session, "state", lifecycle_state_name(runs ? SESSION_RUNNING : SESSION_STOPPED));
	add_times(st, session, containers);
	if (!runs)
		json_add_int(session, "stopped_at", clock_now_ms());
	json_add(session, "spec", spec_of(containers));
	return session;
}

cJSON *compose_adopt(struct state *st, const char *uuid, struct err *err)
{
	provider_open(st->cfg, st->dir);
	cleanup_json cJSON *containers = compose_objects(st, uuid, DOCKER_CONTAINER, err),
	                   *networks = containers ? compose_objects(st, uuid, DOCKER_NETWORK, err) : NULL,
	                   *file = json_object();
	const cJSON *one;
	if (!networks)
		return NULL;
	if (!containers->child) {
		err_set(err, ERR_NOT_FOUND, "session %s has no containers any more", uuid);
		return NULL;
	}
	json_add_int(file, "version", 1);
	json_add_text(file, "install", st->install);
	json_add_int(file, "generation", 1);
	json_add(file, "session", session_of(st, uuid, containers));
	cJSON *leases = cJSON_AddArrayToObject(file, "leases");
	cJSON_ArrayForEach(one, containers) if (add_ports(leases, one, err)) return NULL;
	cJSON_ArrayForEach(one, networks) if (add_subnet(leases, one, err)) return NULL;
	return TAKE(file);
}
