#include "testsuite/target.h"
#include "compose/stack.h"
#include "core/clock.h"
#include "core/file.h"
#include "core/id.h"
#include "core/mem.h"
#include "jobs/supervisor.h"
#include "sessions/session.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define SERVICE_MS 20000

struct target {
	char *name, *state_dir;
	cJSON *info; /* owns env and credentials */
	const cJSON *env, *credentials;
	struct state *st; /* a session's; NULL: a control plane */
	struct user_api *api;
	const struct target_proxy *proxy; /* NULL: nobody between */
	void *proxy_arg;
};

int target_of_session(struct target **out, struct state *st, const char *session, struct err *err)
{
	cleanup_json cJSON *info = session_target(st, session, err);
	if (!info)
		return err_wrap(err, "session %s", session);
	struct target *t = mem_alloc(sizeof(*t));
	t->name = mem_strdup(session);
	t->state_dir = json_text(info, "state_dir") ? mem_strdup(json_text(info, "state_dir")) : NULL;
	t->info = TAKE(info);
	t->env = json_at(t->info, "env");
	t->credentials = json_at(t->info, "credentials");
	t->st = st;
	*out = t;
	return 0;
}

int target_of_stack(struct target **out, const char *state_dir, cJSON *env, struct err *err)
{
	struct target *t = mem_alloc(sizeof(*t));
	cJSON *credentials = NULL;
	t->name = mem_strdup("control plane");
	t->state_dir = mem_strdup(state_dir);
	t->info = json_object();
	json_add(t->info, "env", env);
	t->env = json_at(t->info, "env");
	if (stack_credentials(state_dir, false, &credentials, err)) {
		target_free(t);
		return -1;
	}
	json_add(t->info, "credentials", credentials);
	t->credentials = credentials;
	*out = t;
	return 0;
}

void target_free(struct target *t)
{
	if (!t)
		return;
	user_api_free(t->api);
	cJSON_Delete(t->info);
	free(t->name);
	free(t->state_dir);
	free(t);
}

const char *target_name(const struct target *t)
{
	return t->name;
}

const char *target_state_dir(const struct target *t)
{
	return t->state_dir;
}

const char *target_env(const struct target *t, const char *key)
{
	return json_text(t->env, key);
}

const cJSON *target_settings(const struct target *t)
{
	return t->env;
}

const char *target_bot_token(const struct target *t)
{
	return json_text(t->credentials, "token");
}

const char *target_key(const struct target *t)
{
	return json_text(t->credentials, "key");
}

static int unknown_endpoint(const char *endpoint, struct err *err)
{
	cleanup_str struct str known = STR_INIT;
	for (const struct stack_service *s = stack_services; s->name; s++)
		for (const struct stack_port *p = s->ports; p->key; p++)
			str_addf(&known, "%s%s/%s", known.len ? ", " : "", s->name, p->name);
	return err_set(err, ERR_NOT_FOUND, "no endpoint '%.80s'; there are %s", endpoint, str_text(&known));
}

char *target_url(const struct target *t, const char *endpoint, struct err *err)
{
	for (const struct stack_service *s = stack_services; s->name; s++)
		for (const struct stack_port *p = s->ports; p->key; p++) {
			size_t n = strlen(s->name);
			if (strncmp(endpoint, s->name, n) != 0 || endpoint[n] != '/' ||
			    strcmp(endpoint + n + 1, p->name) != 0)
				continue;
			const char *port = target_env(t, p->key);
			if (!port)
				return err_set(err, ERR_STATE, "%s has no %s", t->name, endpoint), NULL;
			return mem_printf("%s://127.0.0.1:%s", p->scheme, port);
		}
	unknown_endpoint(endpoint, err);
	return NULL;
}

int64_t target_tester(const struct target *t, int slot)
{
	const cJSON *user;
	int64_t found = 0;
	cJSON_ArrayForEach(user, json_at(t->credentials, "users"))
	{
		const char *role = json_text(user, "role");
		if (!role || strcmp(role, "operator") != 0)
			continue;
		found = json_int(user, "id", 0);
		if (slot-- == 0)
			return found;
	}
	return found ? found : target_person(t);
}

int64_t target_person(const struct target *t)
{
	return json_int(cJSON_GetArrayItem(json_at(t->credentials, "users"), 0), "id", 0);
}

int64_t target_stranger(const struct target *t)
{
	char hex[17];
	for (;;) {
		id_random_hex(hex, 4);
		int64_t id = 1000000000 + (int64_t)strtoul(hex, NULL, 16);
		bool taken = false;
		const cJSON *user;
		cJSON_ArrayForEach(user, json_at(t->credentials, "users")) taken |=
		        json_int(user, "id", 0) == id;
		if (!taken)
			return id;
	}
}

void target_through(struct target *t, const struct target_proxy *proxy, void *arg)
{
	t->proxy = proxy;
	t->proxy_arg = arg;
}

/* A control plane calls its services by their commands. */
static const char *plane_name(const char *service)
{
	for (const struct stack_service *s = stack_services; s->name; s++)
		if (strcmp(s->name, service) == 0)
			return s->command;
	return service;
}

int target_service(struct target *t, const char *service, const char *op, struct err *err)
{
	if (t->proxy)
		return t->proxy->service(t->proxy_arg, service, op, err);
	if (t->st)
		return session_service(t->st, t->name, service, op, err);
	cleanup_free char *dir = mem_printf("%s/up", t->state_dir);
	return supervisor_ask(dir, op, plane_name(service), SERVICE_MS, NULL, err);
}

static int read_here(const char *dir, const char *rel, size_t max, char **text, struct err *err)
{
	cleanup_free char *path = mem_printf("%s/%s", dir, rel);
	struct stat s;
	if (stat(path, &s))
		return err_sys(err, errno, "%s", rel);
	if (S_ISDIR(s.st_mode))
		return err_set(err, ERR_INVALID, "%s is a directory", rel);
	return text ? file_read(path, max, text, NULL, err) : 0;
}

int target_read(struct target *t, const char *path, size_t max, char **text, struct err *err)
{
	if (t->proxy)
		return t->proxy->read(t->proxy_arg, path, max, text, err);
	if (t->st)
		return session_read(t->st, t->name, path, max, text, err);
	return read_here(t->state_dir, path, max, text, err);
}

int target_has(struct target *t, const char *path, struct err *err)
{
	struct err why = {0};
	if (target_read(t, path, 0, NULL, &why) == 0 || why.code == ERR_INVALID || why.code == ERR_LIMIT)
		return 1; /* a directory, or larger than nothing at all */
	if (why.code == ERR_NOT_FOUND)
		return 0;
	*err = why;
	return -1;
}

struct user_api *target_api(struct target *t, struct err *err)
{
	if (t->api)
		return t->api;
	cleanup_free char *base = target_url(t, "telegram/api", err);
	if (!base)
		return NULL;
	if (!target_key(t))
		return err_set(err, ERR_STATE, "%s has no built-in Telegram server", t->name), NULL;
	t->api = user_api_new(base, target_key(t));
	return t->api;
}
