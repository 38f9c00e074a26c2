#include "core/mem.h"
#include "sessions/operation.h"
#include "sessions/session.h"
#include <string.h>

#define SERVICE_USUAL "test-runner" /* has a shell and tools for people in every engine */

const char *session_engine(const struct config *cfg)
{
	struct err ignored = {0};
	const struct engine *engine = engine_chosen(cfg, &ignored);
	return engine ? engine->name : config_text(cfg, "ENGINE");
}

/* Its row and engine; ${service} NULL: not asked. */
static const struct engine *open_running(struct state *st, const char *name, const char *service,
                                         struct session_row *row, struct err *err)
{
	if (operation_find(st, name, row, err) || operation_running(row, err) ||
	    (service && operation_has_service(row, service, err)))
		return NULL;
	return engine_by_name(row->engine, err);
}

const char *operation_usual_service(const struct session_row *row)
{
	const cJSON *services = json_at(row->spec, "services");
	return json_has_text(services, SERVICE_USUAL) || !cJSON_GetArraySize(services)
	               ? SERVICE_USUAL
	               : cJSON_GetStringValue(services->child);
}

int session_exec(struct state *st, const char *name, const char *service, const char *const *argv, bool tty,
                 int *status, struct err *err)
{
	cleanup_row struct session_row row = {0};
	const struct engine *engine = open_running(st, name, service, &row, err);
	if (!engine)
		return -1;
	session_touch(st, name);
	return engine->exec(st, &row, service ? service : operation_usual_service(&row), argv, tty, status, err);
}

int session_read(struct state *st, const char *name, const char *path, size_t max, char **text,
                 struct err *err)
{
	cleanup_row struct session_row row = {0};
	const struct engine *engine = open_running(st, name, NULL, &row, err);
	return engine ? engine->read(st, &row, path, max, text, err) : -1;
}
