/* Planted defects, in builds with -DMUTANTS only, chosen by CF_MUTANT=name: the proof that each regression scenario
 * fails when the behaviour it names is broken. The list of names stands in tests/mutants.yml. */
#ifndef CORE_MUTANT_H
#define CORE_MUTANT_H

#ifdef MUTANTS
#include <stdbool.h>
bool mutant_active(const char *name);
#define MUTANT(name) mutant_active(name)
/** The defect that sessions started from here get (CF_SESSION_MUTANT), NULL when none: it stands in their plan, because the
 * starting side must not have it. Borrowed. */
const char *mutant_for_sessions(void);
#else
#define MUTANT(name) 0
#define mutant_for_sessions() ((const char *)0)
#endif

#endif
