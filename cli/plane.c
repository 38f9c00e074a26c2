#include "cli/plane.h"
#include "compose/stack.h"
#include "core/mem.h"
#include "core/net.h"
#include "core/proc.h"
#include "core/str.h"
#include <stdlib.h>
#include <string.h>

int plane_builtin_telegram(const struct config *cfg, bool *builtin, struct err *err)
{
	*builtin = !config_text(cfg, "TELEGRAM_BOT_TOKEN");
	if (!*builtin || !config_is_set(cfg, "TELEGRAM_API_URL"))
		return 0;
	return err_set(err, ERR_CONFIG,
	               "TELEGRAM_API_URL is set but TELEGRAM_BOT_TOKEN is %s: put the token from @BotFather "
	               "into it, or remove "
	               "TELEGRAM_API_URL to use the built-in Telegram server",
	               config_was_placeholder(cfg, "TELEGRAM_BOT_TOKEN") ? "only a placeholder" : "not set");
}

/* The numeric address the part ${command} listens on, borrowed. */
static const char *host_of(const struct config *cfg, const char *command)
{
	static const char *const keys[][2] = {
	        {"telegram", "TELEGRAM_HOST"}, {"gateway", "GATEWAY_HOST"}, {"bot", "BOT_HOST"}};
	const char *host = NULL;
	for (size_t i = 0; i < ARRAY_LEN(keys); i++)
		if (!strcmp(keys[i][0], command))
			host = config_text(cfg, keys[i][1]);
	return host && strcmp(host, "localhost") != 0 ? host : "127.0.0.1";
}

char *plane_dir(const char *state_dir)
{
	return mem_printf("%s/up", state_dir);
}

static void add_env(struct plane *plane, const char *key, const char *value)
{
	for (size_t i = 0; i < PLANE_ENV; i++) {
		if (!plane->env[i]) {
			plane->env[i] = mem_printf("%s=%s", key, value);
			return;
		}
	}
	abort(); /* our bug: PLANE_ENV is too small */
}

/* What the parts must know besides the settings that they read themselves. */
static int make_env(struct plane *plane, const struct config *cfg, const char *state_dir, bool builtin,
                    struct err *err)
{
	add_env(plane, "STATE_DIR", state_dir);
	if (!builtin)
		return 0;
	if (stack_credentials(state_dir, false, &plane->credentials, err))
		return -1;
	cleanup_str struct str all = STR_INIT, admins = STR_INIT;
	stack_user_ids(plane->credentials, NULL, &all);
	stack_user_ids(plane->credentials, "admin", &admins);
	cleanup_free char *url =
	        mem_printf("http://127.0.0.1:%lld", (long long)config_int(cfg, "TELEGRAM_PORT"));
	add_env(plane, "TELEGRAM_API_URL", url);
	add_env(plane, "TELEGRAM_BOT_TOKEN", json_text(plane->credentials, "token"));
	if (!config_is_set(cfg, "AUTHORIZED_USER_IDS"))
		add_env(plane, "AUTHORIZED_USER_IDS", str_text(&all));
	if (!config_is_set(cfg, "ADMIN_USER_IDS"))
		add_env(plane, "ADMIN_USER_IDS", str_text(&admins));
	return 0;
}

int plane_make(struct plane *plane, const struct config *cfg, const char *state_dir, struct err *err)
{
	bool builtin;
	*plane = (struct plane){.dir = plane_dir(state_dir)};
	if (plane_builtin_telegram(cfg, &builtin, err) || make_env(plane, cfg, state_dir, builtin, err))
		return -1;
	for (const struct stack_service *s = stack_services; s->name; s++) {
		if (!builtin && !strcmp(s->command, "telegram"))
			continue;
		const char **argv = plane->argv[plane->n];
		size_t n = 0;
		argv[n++] = proc_self();
		argv[n++] = s->command;
		if (config_file(cfg)) {
			argv[n++] = "--env";
			argv[n++] = config_file(cfg);
		}
		plane->services[plane->n++] = (struct supervisor_service){.name = s->command, .argv = argv};
	}
	return 0;
}

void plane_free(struct plane *plane)
{
	for (size_t i = 0; i < PLANE_ENV; i++)
		free(plane->env[i]);
	cJSON_Delete(plane->credentials);
	free(plane->dir);
}

static bool runs(const struct plane *plane, const struct stack_service *s)
{
	for (size_t i = 0; i < plane->n; i++)
		if (!strcmp(plane->services[i].name, s->command))
			return true;
	return false;
}

/* The setting before ${until} that asks for ${port} too, NULL: none; 0 is any free port. */
static const char *also_wanted_by(const struct plane *plane, const struct stack_port *until, int port,
                                  const struct config *cfg)
{
	for (const struct stack_service *s = stack_services; port && s->name; s++) {
		for (const struct stack_port *p = s->ports; runs(plane, s) && p->key; p++) {
			if (p == until)
				return NULL;
			if (config_int(cfg, p->key) == port)
				return p->key;
		}
	}
	return NULL;
}

int plane_check_ports(const struct plane *plane, const struct config *cfg, struct err *err)
{
	cleanup_str struct str lines = STR_INIT;
	for (const struct stack_service *s = stack_services; s->name; s++) {
		for (const struct stack_port *p = s->ports; runs(plane, s) && p->key; p++) {
			int port = (int)config_int(cfg, p->key);
			const char *host = host_of(cfg, s->command);
			struct err why;
			const char *other = also_wanted_by(plane, p, port, cfg);
			if (other)
				str_addf(&lines, "%s%s and %s are both %d: set one of them to another port",
				         lines.len ? "\n" : "", other, p->key, port);
			/* what else may be wrong with it the part itself will say */
			else if (net_probe(host, port, &why) && why.code == ERR_EXISTS)
				str_addf(&lines,
				         "%sport %d (%s of %s) is taken by another program: end it, or set "
				         "%s to a free port",
				         lines.len ? "\n" : "", port, p->name, s->command, p->key);
		}
	}
	return lines.len ? err_set(err, ERR_CONFIG, "%s", str_text(&lines)) : 0;
}

cJSON *plane_health_urls(const struct config *cfg, bool builtin)
{
	static const struct {
		const char *part, *key;
	} parts[] = {{"telegram", "TELEGRAM_PORT"},
	             {"gateway", "GATEWAY_HEALTH_PORT"},
	             {"bot", "BOT_PORT"},
	             {"worker", NULL}};
	cJSON *list = json_array();
	for (size_t i = builtin ? 0 : 1; i < ARRAY_LEN(parts); i++) {
		cJSON *part = json_object();
		json_add_text(part, "part", parts[i].part);
		const char *host = host_of(cfg, parts[i].part);
		bool any = !strcmp(host, "0.0.0.0") || !strcmp(host, "::"), v6 = strchr(host, ':');
		cleanup_free char *url = NULL;
		if (parts[i].key)
			url = mem_printf("http://%s%s%s:%lld/health", v6 && !any ? "[" : "",
			                 any ? "127.0.0.1" : host, v6 && !any ? "]" : "",
			                 (long long)config_int(cfg, parts[i].key));
		json_add_text(part, "url", url);
		cJSON_AddItemToArray(list, part);
	}
	return list;
}
