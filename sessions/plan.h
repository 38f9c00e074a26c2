/* What a session of the process engine runs, frozen when it starts: plan.json (services, marker, settings) and env, the
 * same settings as the dotenv file its services read. Both 0600: they hold tokens. A later upgrade or edit of the
 * installation's own settings changes nothing in a session that exists. */
#ifndef SESSIONS_PLAN_H
#define SESSIONS_PLAN_H

#include "core/json.h"
#include "core/str.h"
#include "sessions/store.h"

/** Make ${row}'s directory and the stack's state directory in it, both 0700. */
int plan_make_dir(const struct session_row *row, struct err *err);

/** Write plan.json and env; needs the directory and the leases. Again: the same settings, another GATEWAY_TOKEN. */
int plan_write(struct state *st, const struct session_row *row, struct err *err);

/** Read ${dir}/plan.json: {"uuid","name","marker"?,"cgroup"?,"memory_mib"?,"cpu_percent"?,"services":[{"name","argv"?:[…]}],
 * "env":{KEY:value}}. NULL with ${err}. */
cJSON *plan_read(const char *dir, struct err *err);

/** The same; one without a marker, which is no plan of processes, is refused. */
cJSON *plan_read_marked(const char *dir, struct err *err);

/** The ports of ${plan} that are leased for what is made inside the session, as its processes are told them: MARKER_PORTS_KEY=20004-20015,
 * =0-0 for none. The caller frees it. */
char *plan_ports(const cJSON *plan);

/** Append ${env} (object of texts) as a dotenv file: every value in double quotes. */
void plan_dotenv(const cJSON *env, struct str *out);

#endif
