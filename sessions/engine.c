#include "sessions/engine.h"
#include "compose/docker.h"
#include "compose/provider.h"
#include "core/mem.h"
#include <string.h>

const struct engine *const engines[] = {&engine_compose, &engine_process, NULL};

static const struct engine *find(const char *name)
{
	for (size_t i = 0; engines[i]; i++)
		if (!strcmp(engines[i]->name, name))
			return engines[i];
	return NULL;
}

const struct engine *engine_by_name(const char *name, struct err *err)
{
	const struct engine *engine = find(name);
	cleanup_str struct str known = STR_INIT_MAX(128);
	if (engine)
		return engine;
	for (size_t i = 0; engines[i]; i++)
		str_addf(&known, "%s%s", i ? " or " : "", engines[i]->name);
	err_set(err, ERR_ENGINE, "engine %s is not part of this program: set ENGINE=%s", name,
	        str_text(&known));
	return NULL;
}

const struct engine *engine_chosen(const struct config *cfg, struct err *err)
{
	const char *name = config_text(cfg, "ENGINE");
	if (strcmp(name, "auto"))
		return engine_by_name(name, err);
	provider_export(cfg);
	return docker_expected() ? &engine_compose : &engine_process;
}
