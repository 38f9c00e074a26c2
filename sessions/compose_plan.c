/* Before and while a session of containers is made: what its file needs, and the files it is made from. */
#include "compose/image.h"
#include "compose/lint.h"
#include "compose/override.h"
#include "compose/podman_compose.h"
#include "compose/stack.h"
#include "core/file.h"
#include "core/mem.h"
#include "sessions/admission.h"
#include "sessions/compose_private.h"
#include "sessions/lease.h"
#include "sessions/plan.h"
#include <string.h>

#define ROLE_RUNNER "test-runner"
#define ROLE_TELEGRAM "telegram"
#define SERVICES_MAX 64
#define CREDENTIALS_MAX (64u << 10)

/* -- what there must be -- */

static int check_engine(struct state *st, struct provider *tool, struct err *err)
{
	provider_open(st->cfg, st->dir);
	cleanup_json cJSON *info = docker_info(err);
	if (!info || provider_find(config_text(st->cfg, "COMPOSE_PROVIDER"), tool, err) ||
	    compose_podman_usable(tool, NULL, err))
		return -1;
	const char *root = json_text(info, "root");
	return root ? admission_disk(st, "Docker's data", root, err) : 0;
}

/* -- which services -- */

static const cJSON *service_of(const cJSON *project, const char *name)
{
	const cJSON *s;
	cJSON_ArrayForEach(s, json_at(project, "services"))
	{
		if (!strcmp(json_text_or(s, "name", ""), name))
			return s;
	}
	return NULL;
}

static int unknown_service(const cJSON *project, const char *name, struct err *err)
{
	cleanup_str struct str names = STR_INIT_MAX(1000);
	const cJSON *s;
	cJSON_ArrayForEach(s, json_at(project, "services"))
	{
		str_addf(&names, "%s%s", names.len ? ", " : "", json_text_or(s, "name", "?"));
	}
	return err_set(err, ERR_INVALID, "no service %.40s: there are %s", name, str_text(&names));
}

/* Add ${name} to ${chosen}, and what it depends on. */
static int choose(const cJSON *project, const char *name, cJSON *chosen, struct err *err)
{
	if (json_has_text(chosen, name))
		return 0;
	if (!service_of(project, name))
		return unknown_service(project, name, err);
	cJSON_AddItemToArray(chosen, cJSON_CreateString(name));
	const cJSON *service = cJSON_GetObjectItemCaseSensitive(json_at(project, "base.services"), name),
	            *one;
	cJSON_ArrayForEach(one, cJSON_GetObjectItemCaseSensitive(service, "depends_on"))
	{
		/* a list of names, or an object by name */
		const char *needed = cJSON_IsString(one) ? one->valuestring : one->string;
		if (needed && choose(project, needed, chosen, err))
			return -1;
	}
	return 0;
}

/* The services asked for with what they depend on, or all; in the file's order. NULL with ${err}. */
static cJSON *choose_services(const cJSON *project, const cJSON *wanted, struct err *err)
{
	cleanup_json cJSON *chosen = json_array();
	const cJSON *one;
	cJSON_ArrayForEach(one, wanted)
	{
		if (choose(project, cJSON_IsString(one) ? one->valuestring : "of that kind", chosen, err))
			return NULL;
	}
	cJSON *ordered = json_array();
	cJSON_ArrayForEach(one, json_at(project, "services"))
	{
		const char *name = json_text_or(one, "name", "");
		bool none = json_int(one, "replicas", 1) < 1; /* switched off in the file */
		if (!none && (!cJSON_GetArraySize(wanted) || json_has_text(chosen, name)))
			cJSON_AddItemToArray(ordered, cJSON_CreateString(name));
	}
	if (ordered->child && cJSON_GetArraySize(ordered) <= SERVICES_MAX)
		return ordered;
	err_set(err, ERR_INVALID, "the compose file has %d services to start: 1 to %d are possible",
	        cJSON_GetArraySize(ordered), SERVICES_MAX);
	cJSON_Delete(ordered);
	return NULL;
}

/* -- what to lease -- */

/* The setting that carries ${target} of ${role} in our own stack, NULL for anything else. */
static const char *stack_key(const char *role, int64_t target)
{
	for (const struct stack_service *s = stack_services; role && s->name; s++)
		for (const struct stack_port *p = s->ports; !strcmp(s->name, role) && p->key; p++)
			if (p->target == target)
				return p->key;
	return NULL;
}

static void want_ports(const cJSON *service, cJSON *ports)
{
	const cJSON *p;
	cJSON_ArrayForEach(p, json_at(service, "ports"))
	{
		int64_t target = json_int(p, "target", 0);
		const char *protocol = json_text_or(p, "protocol", "tcp"),
		           *key = stack_key(json_text(service, "role"), target);
		cleanup_free char *other = mem_printf("%lld/%s", (long long)target, protocol);
		cJSON *want = json_object();
		json_add_text(want, "service", json_text(service, "name"));
		json_add_text(want, "purpose", key ? key : other);
		json_add_int(want, "target", target);
		json_add_text(want, "protocol", protocol);
		cJSON_AddItemToArray(ports, want);
	}
}

/* Subnets of the engine's networks, so that ours overlap none. */
static cJSON *taken_subnets(struct err *err)
{
	cleanup_json cJSON *networks = docker_get("/networks", err);
	if (!networks)
		return NULL;
	cJSON *taken = json_array();
	const cJSON *n, *config;
	cJSON_ArrayForEach(n, networks) cJSON_ArrayForEach(config, json_at(n, "IPAM.Config"))
	{
		if (json_text(config, "Subnet"))
			cJSON_AddItemToArray(taken, cJSON_CreateString(json_text(config, "Subnet")));
	}
	return taken;
}

/* The networks that are given a subnet. */
static cJSON *free_networks(const cJSON *project)
{
	cJSON *names = json_array();
	const cJSON *one;
	cJSON_ArrayForEach(one, json_at(project, "networks"))
	{
		if (!cJSON_GetObjectItemCaseSensitive(json_at(project, "fixed"), one->valuestring))
			cJSON_AddItemToArray(names, cJSON_CreateString(one->valuestring));
	}
	return names;
}

static bool has_own_network(const cJSON *project, const char *service)
{
	return !json_text(cJSON_GetObjectItemCaseSensitive(json_at(project, "base.services"), service),
	                  "network_mode");
}

static int want(struct state *st, const cJSON *project, const cJSON *services, struct lease_wants *wants,
                struct err *err)
{
	const cJSON *name;
	wants->ports = json_array();
	wants->networks = free_networks(project);
	wants->fixed = cJSON_Duplicate(json_at(project, "fixed"), true);
	cJSON_ArrayForEach(name, services)
	{
		const cJSON *service = service_of(project, name->valuestring);
		const char *role = json_text(service, "role");
		want_ports(service, wants->ports);
		/* room for one session inside: each published port costs a docker-proxy of 3 MB */
		if (role && !strcmp(role, ROLE_RUNNER) && has_own_network(project, name->valuestring) &&
		    config_int(st->cfg, "SESSION_NESTED_PORTS") > 0)
			wants->nested = lease_stack_ports();
	}
	wants->taken = taken_subnets(err);
	return wants->taken ? 0 : -1;
}

/* -- plan -- */

/* Note in ${check} what ${service} may only be started after ("needs"), and what of it must be healthy by then ("after"). */
static void add_order(cJSON *check, const cJSON *project, const char *service)
{
	const cJSON *base = cJSON_GetObjectItemCaseSensitive(json_at(project, "base.services"), service),
	            *one;
	cJSON *needs = json_array(), *after = json_array();
	cJSON_ArrayForEach(one, cJSON_GetObjectItemCaseSensitive(base, "depends_on"))
	{
		const char *name = cJSON_IsString(one) ? one->valuestring : one->string;
		if (!name)
			continue;
		cJSON_AddItemToArray(needs, cJSON_CreateString(name));
		if (!strcmp(json_text_or(one, "condition", ""), "service_healthy"))
			cJSON_AddItemToArray(after, cJSON_CreateString(name));
	}
	json_add(check, "needs", needs);
	json_add(check, "after", after);
}

static cJSON *checks_of(const cJSON *project, const cJSON *services)
{
	static const char *const kept[] = {"role", "healthcheck", "oneshot", "replicas", "image", "build"};
	cJSON *checks = json_object();
	const cJSON *name;
	cJSON_ArrayForEach(name, services)
	{
		const cJSON *service = service_of(project, name->valuestring);
		cJSON *one = json_object();
		for (size_t i = 0; i < ARRAY_LEN(kept); i++) {
			const cJSON *value = cJSON_GetObjectItemCaseSensitive(service, kept[i]);
			if (value)
				json_add(one, kept[i], cJSON_Duplicate(value, true));
		}
		add_order(one, project, name->valuestring);
		json_add(checks, name->valuestring, one);
	}
	return checks;
}

/* The service that plays ${role} of our own stack, NULL: none does. */
static const char *service_with_role(const struct session_row *row, const char *role)
{
	const cJSON *check;
	cJSON_ArrayForEach(check, json_at(row->spec, "checks"))
	{
		if (!strcmp(json_text_or(check, "role", ""), role))
			return check->string;
	}
	return NULL;
}

/* The files asked for, those of COMPOSE_FILE, or none: the built-in stack. */
static size_t files_of(struct job *job, const char **files, size_t max)
{
	size_t n = 0;
	const cJSON *one;
	const char *set = config_text(job_state(job)->cfg, "COMPOSE_FILE");
	cJSON_ArrayForEach(one, json_at(job_args(job), "compose"))
	{
		if (cJSON_IsString(one) && n < max)
			files[n++] = one->valuestring;
	}
	if (!n && set)
		files[n++] = set;
	files[n] = NULL;
	return n;
}

static cJSON *load_project(struct job *job, const struct provider *tool, char **image, struct err *err)
{
	struct state *st = job_state(job);
	const char *files[17];
	size_t n = files_of(job, files, ARRAY_LEN(files) - 1);
	cleanup_free char *cache = state_path(st, COMPOSE_CACHE);
	cleanup_json cJSON *allow = lint_policy(st->cfg, json_at(job_args(job), "allow"), err);
	if (!allow || dir_make(cache, 0700, err) || (!n && !(*image = image_reference(cache, err))))
		return NULL;
	const struct project_ask ask = {.provider = tool,
	                                .files = files,
	                                .env_file = json_text(job_args(job), "env_file"),
	                                .image = *image,
	                                .profiles = json_at(job_args(job), "profiles"),
	                                .allow = allow,
	                                .cache_dir = cache,
	                                .job = job};
	cleanup_json cJSON *project = project_load(&ask, err);
	return project && project_verdict(project, err) == 0 ? TAKE(project) : NULL;
}

int compose_plan(struct job *job, struct session_row *row, struct lease_wants *wants, struct err *err)
{
	struct state *st = job_state(job);
	struct provider tool;
	cleanup_free char *image = NULL, *name = NULL;
	const char *prefix = provider_project_name(st->cfg, err);
	if (!prefix || check_engine(st, &tool, err))
		return -1;
	cleanup_json cJSON *project = load_project(job, &tool, &image, err);
	bool usable = project && !compose_podman_usable(&tool, project, err);
	cJSON *services = usable ? choose_services(project, json_at(job_args(job), "services"), err) : NULL;
	if (!services)
		return -1;
	name = mem_printf("%s-%s", prefix, row->name);
	json_add(row->spec, "services", services);
	json_add_text(row->spec, "provider", tool.name);
	json_add_bool(row->spec, "podman", docker_is_podman());
	json_add_text(row->spec, "project", name);
	json_add(row->spec, "files", cJSON_Duplicate(json_at(project, "files"), true));
	json_add(row->spec, "isolation", cJSON_Duplicate(json_at(project, "findings"), true));
	json_add(row->spec, "checks", checks_of(project, services));
	json_add_bool(row->spec, "stack", service_with_role(row, ROLE_TELEGRAM) != NULL);
	int rc = want(st, project, services, wants, err);
	row->plan = json_object();
	json_add(row->plan, "project", TAKE(project));
	if (image)
		json_add_text(row->plan, "image", image);
	return rc;
}

/* -- prepare -- */

/* What services of our stack get from the session's settings besides their names for each other. */
static const struct {
	const char *key, *role; /* NULL: all of them */
} handed[] = {
        {"LOG_LEVEL", NULL},
        {"BOT_LANG", NULL},
        {"CONTAINER_PREFIX", NULL},
        {"SESSION_TIMEOUT", NULL},
        {"SESSION_AUTO_CLEANUP", NULL},
        {"SESSION_MAX_AGE_HOURS", NULL},
        {"SESSION_START_TIMEOUT", NULL},
        {"SESSION_MAX_COUNT", NULL},
        {"SESSION_NESTED_PORTS", NULL},
        {"SESSION_MEMORY_RESERVE_MB", NULL},
        {"SESSION_DISK_RESERVE_MB", NULL},
        {"SESSION_PORT_RANGE", NULL},
        {"GATEWAY_TOKEN", "gateway"},
        {"GATEWAY_TOKEN", "telegram-bot"},
};

static int add_credentials(const struct session_row *row, cJSON *env, struct err *err)
{
	cleanup_free char *path = mem_printf("%s/state/telegram.json", row->dir), *text = NULL;
	size_t len = 0;
	if (file_read(path, CREDENTIALS_MAX, &text, &len, err))
		return -1;
	cleanup_json cJSON *credentials = json_parse(text, len, err);
	if (!credentials)
		return -1;
	cleanup_free char *line = json_print(credentials);
	json_add_text(env, "TELEGRAM_CREDENTIALS", line);
	return 0;
}

/* {"service": {KEY: text}} for the services of our own stack. NULL with ${err}. */
static cJSON *make_environment(const struct session_row *row, const cJSON *settings, struct err *err)
{
	cleanup_json cJSON *environment = json_object();
	const cJSON *name;
	cJSON_ArrayForEach(name, json_at(row->spec, "services"))
	{
		const cJSON *check =
		        cJSON_GetObjectItemCaseSensitive(json_at(row->spec, "checks"), name->valuestring);
		const char *role = json_text(check, "role");
		if (!role)
			continue;
		cJSON *env = json_object();
		json_add(environment, name->valuestring, env);
		for (size_t i = 0; i < ARRAY_LEN(handed); i++) {
			const char *value = json_text(settings, handed[i].key);
			if (value && (!handed[i].role || !strcmp(handed[i].role, role)))
				json_add_text(env, handed[i].key, value);
		}
		if (!strcmp(role, "gateway"))
			json_add_text(env, "GATEWAY_ANONYMOUS", "none");
		if (!strcmp(role, ROLE_TELEGRAM) && add_credentials(row, env, err))
			return NULL;
	}
	return TAKE(environment);
}

/* The leases as override_write wants them: nested ports are the test runner's, under the same number inside. */
static cJSON *published(const cJSON *leases, const struct session_row *row)
{
	cJSON *ports = json_array();
	const cJSON *lease;
	cJSON_ArrayForEach(lease, leases)
	{
		int64_t port = json_int(lease, "port", 0);
		const char *service = json_text(lease, "service");
		if (!service && !(service = service_with_role(row, ROLE_RUNNER)))
			continue;
		cJSON *one = json_object();
		json_add_int(one, "port", port);
		json_add_text(one, "service", service);
		json_add_int(one, "target", json_int(lease, "target", port));
		json_add_text(one, "protocol", json_text_or(lease, "protocol", "tcp"));
		cJSON_AddItemToArray(ports, one);
	}
	return ports;
}

static int write_private(const char *dir, const char *name, const char *text, size_t len, struct err *err)
{
	cleanup_free char *path = mem_printf("%s/%s", dir, name);
	return file_write(path, text, len, 0600, err);
}

static int write_override(struct state *st, const struct session_row *row, struct err *err)
{
	cleanup_json cJSON *leases = lease_list(st, row->uuid, err), *plan = NULL, *environment = NULL,
	                   *subnets = NULL;
	if (!leases || !(subnets = lease_subnets(st, row->uuid, err)) || !(plan = plan_read(row->dir, err)) ||
	    !(environment = make_environment(row, json_at(plan, "env"), err)))
		return -1;
	if (compose_by_podman(row) &&
	    compose_podman_variables(row, json_at(row->plan, "project.base"), environment, err))
		return -1;
	cleanup_json cJSON *ports = published(leases, row);
	struct override o = {.project = json_at(row->plan, "project"),
	                     .name = json_text(row->spec, "project"),
	                     .install = st->install,
	                     .uuid = row->uuid,
	                     .session = row->name,
	                     .expires_s = row->expires_at / 1000,
	                     .services = json_at(row->spec, "services"),
	                     .ports = ports,
	                     .subnets = subnets,
	                     .environment = environment,
	                     .memory_mib = config_int(st->cfg, "SESSION_MEMORY_MB"),
	                     .cpu_percent = config_int(st->cfg, "SESSION_CPU_PERCENT"),
	                     .podman = json_bool(row->spec, "podman", false)};
	cleanup_str struct str text = STR_INIT;
	if (override_write(&o, &text, err))
		return -1;
	return write_private(row->dir, COMPOSE_OVERRIDE, str_text(&text), text.len, err);
}

/* JSON is YAML as long as no tab indents it. */
static int write_base(const struct session_row *row, struct err *err)
{
	cleanup_json cJSON *base = cJSON_Duplicate(json_at(row->plan, "project.base"), true);
	if (compose_by_podman(row))
		podman_compose_base(base, row->dir);
	cleanup_free char *json = json_print_pretty(base);
	cleanup_str struct str text = STR_INIT;
	for (const char *p = json; *p; p++)
		str_add(&text, *p == '\t' ? "  " : (char[2]){*p, '\0'});
	str_addc(&text, '\n');
	return write_private(row->dir, COMPOSE_BASE, str_text(&text), text.len, err);
}

int compose_prepare(struct job *job, const struct session_row *row, struct err *err)
{
	struct state *st = job_state(job);
	const char *image = json_text(row->plan, "image");
	cleanup_free char *cache = state_path(st, COMPOSE_CACHE);
	if (image && image_ensure(image, cache, job, err))
		return -1;
	return plan_write(st, row, err) || write_base(row, err) || write_override(st, row, err) ? -1 : 0;
}
