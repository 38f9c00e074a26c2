#include "sessions/engine.h"
#include "core/mem.h"
#include <string.h>

static const struct engine *const engines[] = {&engine_process};

const struct engine *engine_by_name(const char *name, struct err *err)
{
	for (size_t i = 0; i < ARRAY_LEN(engines); i++)
		if (!strcmp(engines[i]->name, name))
			return engines[i];
	err_set(err, ERR_ENGINE, "engine %s is not part of this program: set ENGINE=process", name);
	return NULL;
}
