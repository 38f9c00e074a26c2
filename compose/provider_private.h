/* Shared by provider.c and provider_run.c. */
#ifndef COMPOSE_PROVIDER_PRIVATE_H
#define COMPOSE_PROVIDER_PRIVATE_H

/* Changes to the environment of every call: what would turn it into another one is taken out. NULL-terminated. */
extern const char *const provider_environment[];

#endif
