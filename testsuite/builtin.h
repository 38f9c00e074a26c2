/* The nine scenarios of the regression suite, inside the program. */
#ifndef TESTSUITE_BUILTIN_H
#define TESTSUITE_BUILTIN_H

#include "testsuite/scenario.h"

struct builtin {
	const char *name, *file, *text;
	size_t len;
};

/** Number ${i} of the nine in the order of the report, NULL past the end. */
const struct builtin *builtin_at(size_t i);

/** Read the one called ${name}. Returns 0 and transfers ${*sc}, or -1: ERR_NOT_FOUND names those there are. */
int builtin_load(const char *name, struct scenario **sc, struct err *err);

#endif
