/* What in a compose file would reach out of a session, as findings: what was taken out of it, what is refused, and what somebody
 * allowed. Where each thing is looked for stands in project_rules.c (refused) and project_freeze.c (rewritten). Odd rule: ids
 * are what people type and scripts compare, so they stay. */
#ifndef COMPOSE_LINT_H
#define COMPOSE_LINT_H

#include "core/config.h"
#include "core/err.h"
#include "core/json.h"
#include "core/str.h"

enum lint_rule {
	LINT_HOST_NETWORK,
	LINT_SHARED_NETWORK,
	LINT_HOST_PID,
	LINT_HOST_IPC,
	LINT_HOST_UTS,
	LINT_HOST_USERNS,
	LINT_HOST_CGROUP,
	LINT_CGROUP_PARENT,
	LINT_PRIVILEGED,
	LINT_DEVICES,
	LINT_CAPABILITY,
	LINT_UNCONFINED,
	LINT_ENGINE_SOCKET,
	LINT_HOST_BIND,
	LINT_PROJECT_BIND,
	LINT_SHARED_VOLUME,
	LINT_BUILD_OUTSIDE,
	LINT_BUILD_PRIVILEGED,
	LINT_EXTERNAL_LINK,
	LINT_HOST_PROGRAM,
	LINT_EXTERNAL_NETWORK,
	LINT_NETWORK_DRIVER,
	LINT_EXTERNAL_VOLUME,
	LINT_VOLUME_DRIVER,
	LINT_HOST_MOUNT,
	LINT_EXTERNAL_SECRET,
	LINT_ODD_NAME,
	LINT_FIXED_SUBNET,
	LINT_FIXED_ADDRESS,
	LINT_BRIDGE_NAME,
	LINT_HOST_PORT,
	LINT_CONTAINER_NAME,
	LINT_OBJECT_NAME,
	LINT_PROJECT_NAME,
	LINT_IMAGE_NAME,
	LINT_RULES
};

/* What became of it. Told: it stays as it is, which nobody needs to allow, but it is not isolated. */
enum lint_action { LINT_REWRITTEN, LINT_REFUSED, LINT_ALLOWED, LINT_TOLD };

struct lint_finding {
	enum lint_rule rule;
	enum lint_action action;
	const char *section; /* "services"; NULL: the project itself */
	const char *name;    /* of the service, network …; NULL: the project itself */
	const char *key;     /* of the member of it */
	const char *value;   /* the part of it that counts; NULL: the key says all */
	const char *reason;
	const char *advice; /* what to do; what is done, for what is rewritten */
};

/** Add ${f} to ${findings}, an array of {"section"?,"name"?,"key","value"?,"rule":id,"reason","advice","action":"rewritten|refused|allowed|told"};
 * who knows the file adds "file". Texts are copied, long values cut. */
void lint_add(cJSON *findings, const struct lint_finding *f);

/** "host-network". */
const char *lint_id(enum lint_rule rule);

/** Whether ${allow} (array of ids, may be NULL) has ${rule}. */
bool lint_allowed(const cJSON *allow, enum lint_rule rule);

/** Add the ids of comma list ${list} to ${allow}, each once. ERR_USAGE for one that there is not, or that nobody may allow: names those there are. */
int lint_allow(cJSON *allow, const char *list, struct err *err);

/** What may pass: the ids of the operator's COMPOSE_ALLOW (ERR_CONFIG) and those of ${asked}, an array of comma lists (may be NULL). The caller deletes
 * it. NULL with ${err}. */
cJSON *lint_policy(const struct config *cfg, const cJSON *asked, struct err *err);

/** How many of ${findings} have ${action}. */
int lint_count(const cJSON *findings, enum lint_action action);

/** "service web", "network front", "the project". The caller frees it. */
char *lint_place(const cJSON *finding);

/** "network_mode host". The caller frees it. */
char *lint_what(const cJSON *finding);

/** What to do about ${finding}, and the --allow= that would let it pass if there is one. The caller frees it. */
char *lint_advice(const cJSON *finding);

/** 0 when none of ${findings} is refused, else ERR_INVALID that tells of all of them, as many as there is room for; ${file} is what it begins with. */
int lint_verdict(const cJSON *findings, const char *file, struct err *err);

#endif
