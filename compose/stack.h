/* The project's own stack as data: gateway, bot, built-in Telegram server and worker. `codefoundry up` runs it once as
 * the control plane; every session of ours is one more, with its own ports, credentials and state directory. */
#ifndef COMPOSE_STACK_H
#define COMPOSE_STACK_H

#include "core/err.h"
#include "core/json.h"
#include "core/str.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct stack_port {
	const char *key;    /* the setting that carries it: "GATEWAY_PORT" */
	const char *name;   /* "websocket", "health", "api" */
	const char *scheme; /* of its URL: "ws", "http" */
	int target;         /* its port in a container */
};

struct stack_service {
	const char *name;           /* "gateway" */
	const char *command;        /* argument of the program: "gateway" */
	struct stack_port ports[3]; /* ended by a NULL key */
};

/* telegram, gateway, telegram-bot, test-runner; ended by a NULL name. */
extern const struct stack_service stack_services[];

#define STACK_TESTERS 16

/**
 * Who may talk in a built-in Telegram server, written once as ${dir}/telegram.json (0600) and read ever after:
 * {"token":"<bot id>:<35 chars>","username":"codefoundry_test_bot","key":"<32 hex>",
 *  "users":[{"id":N,"name":"…","role":"admin|operator|viewer"}…]}
 * The first user is the person (admin); with ${testers} follow STACK_TESTERS operators for the test runner. Ids are
 * random. Returns 0 and transfers ${*credentials}.
 */
int stack_credentials(const char *dir, bool testers, cJSON **credentials, struct err *err);

/**
 * Write ${text}, credentials of that shape made elsewhere, as ${dir}/telegram.json unless the file is there: TELEGRAM_CREDENTIALS,
 * by which the host tells a container who may talk in it. ERR_CONFIG when it is none; the message never quotes it.
 */
int stack_credentials_give(const char *dir, const char *text, struct err *err);

/**
 * Read ${dir}/telegram.json, which another process is about to write; waits ${timeout_ms} at most for it to appear (ERR_NOT_FOUND
 * then). Transfers ${*credentials}.
 */
int stack_credentials_await(const char *dir, int64_t timeout_ms, cJSON **credentials, struct err *err);

/** Comma list of the ids of users whose role is ${role} (NULL: all), for AUTHORIZED_USER_IDS and ADMIN_USER_IDS. */
void stack_user_ids(const cJSON *credentials, const char *role, struct str *out);

#endif
