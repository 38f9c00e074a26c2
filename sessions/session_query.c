#include "compose/docker.h"
#include "compose/stack.h"
#include "core/clock.h"
#include "core/mem.h"
#include "sessions/expiry.h"
#include "sessions/lease.h"
#include "sessions/operation.h"
#include "sessions/plan.h"
#include "sessions/receipt.h"
#include "sessions/session.h"
#include <string.h>

#define PATIENCE_MS 1000 /* with an engine that hangs: a bot and a gateway ask here, in their loops */

/* Where the engine does not tell them, the leased ones are what a service listens on. */
static void add_ports(cJSON *services, const cJSON *leases)
{
	cJSON *service;
	const cJSON *lease;
	cJSON_ArrayForEach(service, services)
	{
		if (json_at(service, "ports"))
			continue;
		cJSON *ports = cJSON_AddArrayToObject(service, "ports");
		cJSON_ArrayForEach(lease, leases)
		{
			if (strcmp(json_text_or(lease, "service", ""), json_text_or(service, "name", "?")) !=
			    0)
				continue;
			cJSON *port = json_object();
			int64_t number = json_int(lease, "port", 0);
			json_add_text(port, "ip", "127.0.0.1");
			json_add_int(port, "host", number);
			json_add_int(port, "container", json_int(lease, "target", number));
			json_add_text(port, "protocol", json_text_or(lease, "protocol", "tcp"));
			cJSON_AddItemToArray(ports, port);
		}
	}
}

static cJSON *describe(struct state *st, const struct session_row *row, struct err *err)
{
	const struct engine *engine = engine_by_name(row->engine, err);
	cleanup_json cJSON *leases = engine ? lease_list(st, row->uuid, err) : NULL;
	if (!leases)
		return NULL;
	cJSON *j = json_object();
	json_add_text(j, "name", row->name);
	json_add_text(j, "uuid", row->uuid);
	json_add_text(j, "owner", row->owner);
	json_add_text(j, "engine", row->engine);
	if (json_text(row->spec, "provider"))
		json_add_text(j, "provider", json_text(row->spec, "provider"));
	json_add_text(j, "state", lifecycle_state_name(row->state));
	json_add_int(j, "created_at", row->created_at);
	json_add_int(j, "expires_at", row->expires_at);
	json_add_int(j, "hard_expires_at", row->hard_expires_at);
	json_add_bool(j, "pinned", row->pinned);
	json_add_text(j, "ends", expiry_next(row));
	json_add_int(j, "age_ms", clock_now_ms() - row->created_at);
	json_add_text(j, "reason", row->reason);
	if (row->pool)
		json_add_bool(j, "warm", true);
	if (row->error)
		json_add_text(j, "error", row->error);
	json_add(j, "endpoints", lease_endpoints(leases, json_at(row->spec, "services")));
	cJSON *services = row->state == SESSION_FAILED ? json_array() : engine->services(st, row);
	add_ports(services, leases);
	json_add(j, "services", services);
	return j;
}

static void end_patience(const int *unused)
{
	(void)unused;
	docker_patience(0);
}

/* Until the end of the block this stands in: the time is bounded that an engine may take to tell. */
#define BE_BRIEF()                                                                                           \
	__attribute__((cleanup(end_patience), unused)) int brief = (docker_patience(PATIENCE_MS), 0)

cJSON *sessions_list(struct state *st, bool all, struct err *err)
{
	struct session_row *rows = NULL;
	size_t n = 0;
	BE_BRIEF();
	if (store_rows(st, all ? STORE_ALL : STORE_ALIVE, 0, &rows, &n, err))
		return NULL;
	cJSON *list = json_array();
	for (size_t i = 0; list && i < n; i++) {
		if (rows[i].pool && !all)
			continue;
		cJSON *one = describe(st, &rows[i], err);
		if (one) {
			cJSON_AddItemToArray(list, one);
		} else {
			cJSON_Delete(list);
			list = NULL;
		}
	}
	store_rows_free(rows, n);
	return list;
}

cJSON *session_names(struct state *st, struct err *err)
{
	struct session_row *rows = NULL;
	size_t n = 0;
	if (store_rows(st, STORE_ALIVE, 0, &rows, &n, err))
		return NULL;
	cJSON *list = json_array();
	for (size_t i = 0; i < n; i++) {
		if (rows[i].pool)
			continue;
		cJSON *one = json_object();
		json_add_text(one, "name", rows[i].name);
		json_add_text(one, "state", lifecycle_state_name(rows[i].state));
		json_add(one, "services", cJSON_Duplicate(json_at(rows[i].spec, "services"), true));
		cJSON_AddItemToArray(list, one);
	}
	store_rows_free(rows, n);
	return list;
}

cJSON *session_show(struct state *st, const char *name, struct err *err)
{
	cleanup_row struct session_row row = {0};
	BE_BRIEF();
	if (store_by_name(st, name, &row, err))
		return err->code == ERR_NOT_FOUND ? (err_clear(err), receipt_show(st, name, err)) : NULL;
	cJSON *j = describe(st, &row, err);
	if (!j)
		return NULL;
	json_add_text(j, "dir", row.dir);
	if (json_at(row.spec, "isolation"))
		json_add(j, "isolation", cJSON_Duplicate(json_at(row.spec, "isolation"), true));
	if (receipt_add_open(st, row.uuid, j, err) == 0)
		return j;
	cJSON_Delete(j);
	return NULL;
}

char *session_owner(struct state *st, const char *name, struct err *err)
{
	cleanup_row struct session_row row = {0};
	cleanup_free char *starter = NULL;
	struct err ignored = {0};
	if (operation_find(st, name, &row, err) == 0)
		return TAKE(row.owner);
	if (err->code != ERR_NOT_FOUND ||
	    db_get_text(st->db, &starter, &ignored,
	                "SELECT owner FROM jobs WHERE session = ? AND kind = 'session.start'"
	                " AND state IN ('queued','running') ORDER BY id LIMIT 1",
	                "t", name) ||
	    !starter)
		return NULL;
	err_clear(err);
	return TAKE(starter);
}

bool session_service_up(const char *state)
{
	return state && (!strcmp(state, "ready") || !strcmp(state, "done"));
}

/* -- the engine, by name -- */

int session_service(struct state *st, const char *name, const char *service, const char *op, struct err *err)
{
	static const char *const ops[] = {"restart", "stop", "start", "kill"};
	cleanup_row struct session_row row = {0};
	bool known = false;
	for (size_t i = 0; i < ARRAY_LEN(ops); i++)
		known |= !strcmp(op, ops[i]);
	if (!known)
		return err_set(err, ERR_INVALID,
		               "%.20s: a service can be restarted, stopped, started and killed", op);
	if (operation_find(st, name, &row, err) || operation_running(&row, err) ||
	    operation_has_service(&row, service, err))
		return -1;
	const struct engine *engine = engine_by_name(row.engine, err);
	if (!engine || engine->service(st, &row, service, op, err))
		return err_wrap(err, "%s %s of session %s", op, service, name);
	session_touch(st, name);
	return 0;
}

cJSON *session_target(struct state *st, const char *name, struct err *err)
{
	cleanup_row struct session_row row = {0};
	if (operation_find(st, name, &row, err) || operation_running(&row, err))
		return NULL;
	cleanup_json cJSON *plan = plan_read(row.dir, err), *credentials = NULL;
	cleanup_free char *state = mem_printf("%s/state", row.dir);
	if (!plan)
		return NULL;
	if (!json_text(plan, "env.TELEGRAM_API_URL")) {
		err_set(err, ERR_STATE,
		        "session %s runs a compose file of its own, without the built-in stack: there is no "
		        "bot "
		        "and no gateway in it to talk to (use session exec)",
		        name);
		return NULL;
	}
	if (stack_credentials(state, true, &credentials, err))
		return NULL;
	cJSON *j = json_object();
	json_add_text(j, "dir", row.dir);
	if (engine_by_name(row.engine, err) == &engine_process)
		json_add_text(j, "state_dir", state);
	json_add(j, "env", cJSON_Duplicate(json_at(plan, "env"), true));
	json_add(j, "credentials", TAKE(credentials));
	return j;
}
