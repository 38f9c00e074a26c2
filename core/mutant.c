#include "core/mutant.h"
#ifdef MUTANTS
#include <stdlib.h>
#include <string.h>

bool mutant_active(const char *name)
{
	const char *chosen = getenv("CF_MUTANT");
	return chosen && !strcmp(chosen, name);
}

const char *mutant_for_sessions(void)
{
	return getenv("CF_SESSION_MUTANT");
}
#else
typedef int mutant_unused; /* ISO C wants something in a file */
#endif
