#include "sessions/plan.h"
#include "compose/stack.h"
#include "core/file.h"
#include "core/mem.h"
#include "core/mutant.h"
#include "core/proc.h"
#include "sessions/cgroup.h"
#include "sessions/lease.h"
#include "sessions/marker.h"
#include <string.h>

#define PLAN_MAX (256u << 10)

/* The same in every session: a stack of its own, without the waits that protect the real Telegram. */
static const char *const fixed[][2] = {
        {"ENGINE", "process"},
        {"TELEGRAM_RATE_LIMIT", "off"},
        {"SESSION_NESTED_PORTS", "0"},
        /* what a session made inside uses was asked for with this one */
        {"SESSION_MEMORY_RESERVE_MB", "0"},
        {"SESSION_DISK_RESERVE_MB", "0"},
};

/* Where its services listen: SESSION_BIND_HOST. Who talks to them is on this machine whatever it is. */
static const char *const hosts[] = {"TELEGRAM_HOST", "GATEWAY_HOST", "BOT_HOST"};

/* Handed down from the installation as they are. */
static const char *const inherited[] = {
        "LOG_LEVEL",
        "BOT_LANG",
        "CONTAINER_PREFIX",
        "SESSION_TIMEOUT",
        "SESSION_AUTO_CLEANUP",
        "SESSION_MAX_AGE_HOURS",
        "SESSION_START_TIMEOUT",
        "SESSION_MEMORY_MB",
        "SESSION_CPU_PERCENT",
};

int plan_make_dir(const struct session_row *row, struct err *err)
{
	cleanup_free char *state = mem_printf("%s/state", row->dir);
	return dir_make(state, 0700, err);
}

static void add_ports(cJSON *env, const cJSON *leases)
{
	int nested = 0, low = 0, high = 0;
	const cJSON *one;
	cJSON_ArrayForEach(one, leases)
	{
		int port = (int)json_int(one, "port", 0);
		const char *purpose = json_text_or(one, "purpose", "");
		if (strchr(purpose, '/'))
			continue; /* of a service beside our stack */
		if (json_text(one, "service")) {
			cleanup_free char *text = mem_printf("%d", port);
			json_add_text(env, purpose, text);
		} else {
			low = nested++ ? low : port;
			high = port;
		}
	}
	cleanup_free char *range = mem_printf("%d-%d", low, high);
	cleanup_free char *count = mem_printf("%d", nested / lease_stack_ports());
	json_add_text(env, "SESSION_PORT_RANGE", range);
	json_add_text(env, "SESSION_MAX_COUNT", count);
}

static int add_identities(cJSON *env, const char *state_dir, struct err *err)
{
	cleanup_json cJSON *credentials = NULL;
	cleanup_str struct str all = STR_INIT, admins = STR_INIT;
	if (stack_credentials(state_dir, true, &credentials, err))
		return -1;
	stack_user_ids(credentials, NULL, &all);
	stack_user_ids(credentials, "admin", &admins);
	json_add_text(env, "TELEGRAM_BOT_TOKEN", json_text(credentials, "token"));
	json_add_text(env, "AUTHORIZED_USER_IDS", str_text(&all));
	json_add_text(env, "ADMIN_USER_IDS", str_text(&admins));
	return 0;
}

/* The settings a stack named ${name} with state in ${dir}/state needs on the ports of ${leases}: an object of texts. */
static cJSON *make_env(struct state *st, const char *name, const char *dir, const cJSON *leases,
                       struct err *err)
{
	cleanup_json cJSON *env = json_object();
	cleanup_free char *state = mem_printf("%s/state", dir);
	cleanup_free char *api = mem_printf("http://127.0.0.1:%d", lease_port_of(leases, "TELEGRAM_PORT"));
	cleanup_free char *gateway = mem_printf("ws://127.0.0.1:%d", lease_port_of(leases, "GATEWAY_PORT"));
	char token[49];
	id_random_hex(token, 24);
	json_add_text(env, "STATE_DIR", state);
	json_add_text(env, "SESSION_NAME", name);
	json_add_text(env, "TELEGRAM_API_URL", api);
	json_add_text(env, "GATEWAY_URL", gateway);
	json_add_text(env, "GATEWAY_TOKEN", token);
	for (size_t i = 0; i < ARRAY_LEN(fixed); i++)
		json_add_text(env, fixed[i][0], fixed[i][1]);
	for (size_t i = 0; i < ARRAY_LEN(hosts); i++)
		json_add_text(env, hosts[i], config_text(st->cfg, "SESSION_BIND_HOST"));
	for (size_t i = 0; i < ARRAY_LEN(inherited); i++)
		if (config_text(st->cfg, inherited[i]))
			json_add_text(env, inherited[i], config_text(st->cfg, inherited[i]));
	add_ports(env, leases);
	return add_identities(env, state, err) ? NULL : TAKE(env);
}

void plan_dotenv(const cJSON *env, struct str *out)
{
	const cJSON *one;
	cJSON_ArrayForEach(one, env)
	{
		str_addf(out, "%s=\"", one->string);
		for (const char *p = cJSON_GetStringValue(one); p && *p; p++) {
			if (*p == '"' || *p == '\\')
				str_addc(out, '\\');
			str_add(out, *p == '\n' ? "\\n" : (char[2]){*p, '\0'});
		}
		str_add(out, "\"\n");
	}
}

static cJSON *services_of(const struct session_row *row)
{
	cJSON *list = json_array();
	cleanup_free char *env = mem_printf("%s/env", row->dir);
	const cJSON *name;
	cJSON_ArrayForEach(name, json_at(row->spec, "services"))
	{
		for (const struct stack_service *s = stack_services; s->name; s++) {
			if (strcmp(s->name, name->valuestring))
				continue;
			const char *argv[] = {proc_self(), s->command, "--env", env};
			cJSON *one = json_object();
			json_add_text(one, "name", s->name);
			json_add(one, "argv", cJSON_CreateStringArray(argv, ARRAY_LEN(argv)));
			cJSON_AddItemToArray(list, one);
		}
	}
	return list;
}

static int write_private(const char *dir, const char *name, const char *text, struct err *err)
{
	cleanup_free char *path = mem_printf("%s/%s", dir, name);
	return file_write(path, text, strlen(text), 0600, err);
}

int plan_write(struct state *st, const struct session_row *row, struct err *err)
{
	cleanup_json cJSON *leases = lease_list(st, row->uuid, err);
	/* somebody's own compose file may have nothing of our stack: no settings then */
	bool stack = leases && json_bool(row->spec, "stack", true);
	cleanup_json cJSON *env = stack ? make_env(st, row->name, row->dir, leases, err) : json_object();
	if (!leases || !env)
		return -1;
	cleanup_str struct str dotenv = STR_INIT;
	plan_dotenv(env, &dotenv);
	cleanup_free char *marker = marker_make(st->install, row->uuid),
	                  *cgroup = cgroup_path(st->install, row->uuid);
	cleanup_json cJSON *plan = json_object();
	json_add_text(plan, "uuid", row->uuid);
	json_add_text(plan, "name", row->name);
	json_add_text(plan, "install", st->install);
	json_add_text(plan, "marker", marker);
	json_add_text(plan, "cgroup", cgroup);
	json_add_int(plan, "memory_mib", config_int(st->cfg, "SESSION_MEMORY_MB"));
	json_add_int(plan, "cpu_percent", config_int(st->cfg, "SESSION_CPU_PERCENT"));
	if (mutant_for_sessions())
		json_add_text(plan, "mutant", mutant_for_sessions());
	json_add(plan, "services", services_of(row));
	json_add(plan, "env", TAKE(env));
	cleanup_free char *text = json_print_pretty(plan);
	if (write_private(row->dir, "env", str_text(&dotenv), err))
		return -1;
	return write_private(row->dir, "plan.json", text, err);
}

char *plan_ports(const cJSON *plan)
{
	return mem_printf(MARKER_PORTS_KEY "=%s",
	                  json_text_or(json_at(plan, "env"), "SESSION_PORT_RANGE", "0-0"));
}

static cJSON *damaged(const char *dir, struct err *err)
{
	err_set(err, ERR_INVALID, "%s/plan.json is damaged: stop the session and start it again", dir);
	return NULL;
}

cJSON *plan_read(const char *dir, struct err *err)
{
	cleanup_free char *path = mem_printf("%s/plan.json", dir), *text = NULL;
	size_t len = 0;
	if (file_read(path, PLAN_MAX, &text, &len, err))
		return NULL;
	cleanup_json cJSON *plan = json_parse(text, len, err);
	if (!plan || !json_text(plan, "uuid") || !cJSON_IsArray(json_at(plan, "services")))
		return damaged(dir, err);
	return TAKE(plan);
}

cJSON *plan_read_marked(const char *dir, struct err *err)
{
	cleanup_json cJSON *plan = plan_read(dir, err);
	return !plan || json_text(plan, "marker") ? TAKE(plan) : damaged(dir, err);
}
