/* Between the files of state. */
#ifndef JOBS_STATE_PRIVATE_H
#define JOBS_STATE_PRIVATE_H

#include "jobs/state.h"

/**
 * Set ${st->install} to what STATE_DIR/install says. When there is no such file it is made: with what the sessions there say in their
 * lease.json, which has been lost, or with a new UUID when there are none. ERR_STATE when it holds none, or sessions of several
 * installations lie there, or when all of it is a copy of another one that is still there; another error when a lease.json cannot be read and no other says it.
 */
int state_take_install(struct state *st, struct err *err);

#endif
