/* The networks, volumes, secrets and configs of a frozen project: what is the session's own is freed of names and addresses, what is
 * somebody else's stays as it is. */
#include "compose/project_private.h"
#include "core/mem.h"
#include <stdlib.h>
#include <string.h>

/* -- what is told -- */

static const struct {
	const char *key, *reason, *done;
} cuts[LINT_RULES] = {
        [LINT_HOST_PORT] = {"ports", "can be bound by one session only",
                            "each session is given free ports of 127.0.0.1"},
        [LINT_CONTAINER_NAME] = {"container_name", "can be the name of one container only",
                                 "called after session and service"},
        [LINT_IMAGE_NAME] = {"image", "would be built anew under the feet of other sessions",
                             "each session builds its own, called after session and service"},
        [LINT_OBJECT_NAME] = {"name", "would be shared by all sessions", "called after the session"},
        [LINT_FIXED_SUBNET] = {"ipam", "can be the addresses of one network only",
                               "each session is given a free subnet"},
        [LINT_FIXED_ADDRESS] = {"networks", "lies in a subnet that is another in each session",
                                "the engine chooses; services reach each other by name"},
        [LINT_BRIDGE_NAME] = {"driver_opts", "can be the name of one interface only", "the engine chooses"},
        [LINT_PROJECT_NAME] = {"name", "would be shared by all sessions", "called after the session"},
};

void project_note(const struct frost *f, enum lint_rule rule, const char *section, const char *name,
                  const char *value)
{
	lint_add(f->findings, &(struct lint_finding){.rule = rule,
	                                             .action = LINT_REWRITTEN,
	                                             .section = section,
	                                             .name = name,
	                                             .key = cuts[rule].key,
	                                             .value = value,
	                                             .reason = cuts[rule].reason,
	                                             .advice = cuts[rule].done});
}

void project_note_kept(const struct frost *f, enum lint_rule rule, const char *section, const char *name,
                       const char *value)
{
	lint_add(f->findings, &(struct lint_finding){.rule = rule,
	                                             .action = LINT_ALLOWED,
	                                             .section = section,
	                                             .name = name,
	                                             .key = cuts[rule].key,
	                                             .value = value,
	                                             .reason = cuts[rule].reason,
	                                             .advice = "one session at a time can have it"});
}

/* -- networks -- */

static bool is_external(const cJSON *object)
{
	const cJSON *external = project_member(object, "external");
	return cJSON_IsTrue(external) || cJSON_IsObject(external);
}

static bool is_ipv4(const char *subnet)
{
	return subnet && strchr(subnet, '.') && !strchr(subnet, ':');
}

/* The IPv4 addresses that ${network} asks for, NULL: it asks for none. */
static const cJSON *fixed_addresses(const cJSON *network)
{
	const cJSON *one;
	cJSON_ArrayForEach(one, json_at(network, "ipam.config"))
	{
		if (is_ipv4(json_text(one, "subnet")))
			return one;
	}
	return NULL;
}

static bool keeps_subnet(const struct frost *f, const cJSON *network)
{
	return lint_allowed(f->allow, LINT_FIXED_SUBNET) && fixed_addresses(network);
}

/* Take the addresses that ${service} asks for in network ${name}, unless it may have them: an IPv4 one in a subnet that stays. */
static void take_addresses(const struct frost *f, const cJSON *service, const char *name, cJSON *joined)
{
	static const char *const fixed[] = {"ipv4_address", "ipv6_address", "link_local_ips"};
	const cJSON *network = project_member(project_member(f->base, "networks"), name);
	bool stays = is_external(network) || keeps_subnet(f, network);
	for (size_t i = 0; i < ARRAY_LEN(fixed); i++) {
		const char *address = json_text(joined, fixed[i]);
		if (address && i == 0 && stays && lint_allowed(f->allow, LINT_FIXED_ADDRESS)) {
			project_note_kept(f, LINT_FIXED_ADDRESS, "services", service->string, address);
			continue;
		}
		if (address)
			project_note(f, LINT_FIXED_ADDRESS, "services", service->string, address);
		project_drop(joined, fixed[i]);
	}
}

static void use(const struct frost *f, const char *name)
{
	if (!project_member(f->used, name))
		json_add_bool(f->used, name, true);
}

/* Note the networks of ${service} as used, and take its fixed addresses. */
void project_join(const struct frost *f, cJSON *service)
{
	cJSON *networks = project_member(service, "networks"), *item;
	bool list = cJSON_IsArray(networks);
	if (json_text(service, "network_mode"))
		return;
	if (!networks || !networks->child)
		use(f, "default");
	cJSON_ArrayForEach(item, networks)
	{
		if (cJSON_IsObject(item))
			take_addresses(f, service, item->string, item);
		if (!list)
			use(f, item->string);
		else if (cJSON_IsString(item))
			use(f, item->valuestring);
	}
}

/* An empty object in place of null, which the override could add nothing to. */
static cJSON *named(cJSON *all, const char *name)
{
	cJSON *one = project_member(all, name);
	if (cJSON_IsObject(one))
		return one;
	project_drop(all, name);
	one = json_object();
	json_add(all, name, one);
	return one;
}

/* The tools name what has no name after the project, which was called PROJECT_RESOLVED. */
static void take_name(const struct frost *f, const char *what, cJSON *object, const char *key)
{
	cleanup_free char *given = mem_printf(PROJECT_RESOLVED "_%s", key);
	const char *name = json_text(object, "name");
	if (name && strcmp(name, given) != 0)
		project_note(f, LINT_OBJECT_NAME, what, key, name);
	project_drop(object, "name");
}

/* Leave of the addresses of ${network} the one IPv4 range, which is noted in ${fixed}. */
static void keep_subnet(const struct frost *f, cJSON *network, const char *name, cJSON *fixed)
{
	cJSON *config = json_array(), *ipam = json_object();
	const cJSON *own = fixed_addresses(network);
	json_add_text(fixed, name, json_text(own, "subnet"));
	project_note_kept(f, LINT_FIXED_SUBNET, "networks", name, json_text(own, "subnet"));
	cJSON_AddItemToArray(config, cJSON_Duplicate(own, true));
	json_add(ipam, "config", config);
	project_drop(network, "ipam");
	json_add(network, "ipam", ipam);
}

static void take_subnets(const struct frost *f, cJSON *network, const char *name)
{
	const cJSON *one;
	cJSON_ArrayForEach(one, json_at(network, "ipam.config"))
	{
		if (json_text(one, "subnet"))
			project_note(f, LINT_FIXED_SUBNET, "networks", name, json_text(one, "subnet"));
	}
	project_drop(network, "ipam");
}

static void take_network(const struct frost *f, cJSON *network, const char *name, cJSON *fixed)
{
	static const char bridge[] = "com.docker.network.bridge.name";
	const cJSON *interface = project_member(project_member(network, "driver_opts"), bridge);
	take_name(f, "networks", network, name);
	if (keeps_subnet(f, network))
		keep_subnet(f, network, name, fixed);
	else
		take_subnets(f, network, name);
	if (cJSON_IsString(interface))
		project_note(f, LINT_BRIDGE_NAME, "networks", name, interface->valuestring);
	project_drop(project_member(network, "driver_opts"), bridge);
	project_drop(network, "enable_ipv6");
	project_drop(network, "attachable");
}

/* The tools print {} as null, in places. */
static cJSON *section(cJSON *base, const char *name)
{
	cJSON *s = project_member(base, name);
	if (!cJSON_IsObject(s)) {
		project_drop(base, name);
		s = json_object();
		json_add(base, name, s);
	}
	return s;
}

/* Keep those that are used, add `default`, which version 1 leaves to itself, and free those of our own of names and addresses. */
void project_take_networks(const struct frost *f)
{
	cJSON *all = section(f->base, "networks"), *names = json_array(), *fixed = json_object(), *next;
	for (cJSON *n = all->child; n; n = next) {
		next = n->next;
		if (!project_member(f->used, n->string))
			cJSON_Delete(cJSON_DetachItemViaPointer(all, n));
	}
	const cJSON *u;
	cJSON_ArrayForEach(u, f->used)
	{
		cJSON *network = named(all, u->string);
		if (is_external(network))
			continue;
		take_network(f, network, u->string, fixed);
		cJSON_AddItemToArray(names, cJSON_CreateString(u->string));
	}
	json_add(f->out, "networks", names);
	json_add(f->out, "fixed", fixed);
}

/* -- other objects -- */

/* "/data", or the long form without a source. */
static bool is_anonymous(const cJSON *volume)
{
	if (cJSON_IsString(volume))
		return volume->valuestring[0] == '/' && !strchr(volume->valuestring, ':');
	return !strcmp(json_text_or(volume, "type", ""), "volume") && !json_text(volume, "source") &&
	       json_text(volume, "target");
}

static cJSON *volumes_of(const struct frost *f)
{
	cJSON *all = project_member(f->base, "volumes");
	if (cJSON_IsObject(all))
		return all;
	project_drop(f->base, "volumes");
	all = json_object();
	json_add(f->base, "volumes", all);
	return all;
}

static void name_volume(const struct frost *f, const char *service, cJSON *volume)
{
	cJSON *all = volumes_of(f);
	cleanup_free char *name = NULL;
	int n = 1;
	do {
		free(name);
		name = mem_printf("anonymous-%s-%d", service, n++);
	} while (project_member(all, name));
	json_add(all, name, json_object());
	if (!cJSON_IsString(volume)) {
		project_drop(volume, "source"); /* null, or none */
		json_add_text(volume, "source", name);
		return;
	}
	cleanup_free char *text = mem_printf("%s:%s:rw", name, volume->valuestring);
	cJSON_SetValuestring(volume, text);
}

void project_name_volumes(const struct frost *f, cJSON *service, int64_t copies)
{
	cJSON *volume;
	cJSON_ArrayForEach(volume, project_member(service, "volumes"))
	{
		if ((copies == 1 || f->podman) && is_anonymous(volume))
			name_volume(f, service->string, volume);
	}
}

/* Free the objects of section ${what} of their names. Returns the keys of those that are the project's own. */
cJSON *project_take_names(const struct frost *f, const char *what)
{
	cJSON *names = json_array(), *all = project_member(f->base, what), *next;
	for (cJSON *one = cJSON_IsObject(all) ? all->child : NULL; one; one = next) {
		next = one->next;
		if (!is_external(one))
			cJSON_AddItemToArray(names, cJSON_CreateString(one->string));
	}
	const cJSON *name;
	cJSON_ArrayForEach(name, names) take_name(f, what, named(all, name->valuestring), name->valuestring);
	return names;
}
