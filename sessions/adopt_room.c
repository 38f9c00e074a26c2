/* Making room for a session that comes back: its name or a lease of it may be another's by now. */
#include "core/file.h"
#include "core/mem.h"
#include "sessions/adopt_private.h"
#include "sessions/guard.h"
#include "sessions/lease_file.h"
#include "sessions/name.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CLASHES_MAX (LEASE_PORTS_MAX + LEASE_NETWORKS_MAX)

/* Another session that has a name or a lease of the one that is adopted. */
struct clash {
	char uuid[ID_UUID_LEN + 1]; /* "" for a lease that no session has */
	char kind[8];               /* of the lease; "" for the name */
	char *name, *directory;     /* "": none */
	int64_t value, created_at;
	int64_t mine; /* the lease of the adopted one: subnets may be of different sizes */
	int bits;     /* of a subnet */
};

struct clashes {
	struct clash list[CLASHES_MAX];
	size_t n;
};

static void clashes_free(struct clashes *c)
{
	for (size_t i = 0; i < c->n; i++) {
		free(c->list[i].name);
		free(c->list[i].directory);
	}
	free(c);
}

static int find_clashes(struct state *st, const cJSON *file, struct clashes *c, struct err *err)
{
	cleanup_free char *text = json_print(file);
	cleanup_query struct query q = QUERY_INIT;
	int rc;
	if (db_query(st->db, &q, err,
	             "SELECT s.uuid, '', 0, s.name, s.dir, s.created_at, 0, 0 FROM sessions s WHERE s.state "
	             "<> 'failed'"
	             " AND s.name = json_extract(?1, '$.session.name') AND s.uuid <> json_extract(?1, "
	             "'$.session.uuid')"
	             " UNION ALL SELECT s.uuid, l.kind, l.value, s.name, s.dir, s.created_at, "
	             "ifnull(l.target, ?2), j.at FROM"
	             " (SELECT json_extract(value, '$.kind') AS kind, json_extract(value, '$.value') AS at,"
	             "  ifnull(json_extract(value, '$.target'), ?2) AS bits FROM json_each(?1, '$.leases')) j"
	             " JOIN leases l ON l.kind = j.kind AND"
	             "  iif(l.kind = 'port', l.value = j.at, l.value < j.at + (1 << (32 - j.bits)) AND"
	             "  j.at < l.value + (1 << (32 - ifnull(l.target, ?2))))"
	             " LEFT JOIN sessions s ON s.uuid = l.session"
	             " WHERE l.session <> json_extract(?1, '$.session.uuid')",
	             "ti", text, (int64_t)LEASE_BLOCK_BITS))
		return -1;
	while ((rc = query_next(&q, err)) > 0 && c->n < CLASHES_MAX) {
		struct clash *one = &c->list[c->n++];
		const char *uuid = query_text(&q, 0), *dir = query_text(&q, 4);
		const char *slash = dir ? strrchr(dir, '/') : NULL;
		*one = (struct clash){.value = query_int(&q, 2),
		                      .created_at = query_int(&q, 5),
		                      .bits = (int)query_int(&q, 6),
		                      .mine = query_int(&q, 7)};
		strncpy(one->uuid, uuid ? uuid : "", ID_UUID_LEN);
		strncpy(one->kind, query_text(&q, 1), sizeof(one->kind) - 1);
		one->name = mem_strdup(uuid ? query_text(&q, 3) : "");
		one->directory = mem_strdup(slash ? slash + 1 : "");
	}
	return rc < 0 ? -1 : 0;
}

/* Whether the session of a row is there, or is just being made. Else the row is from older days. The guard of the name of what is
 * adopted is ours. */
static bool is_there(struct state *st, const cJSON *file, const struct clash *c)
{
	cleanup_free char *dir = state_path(st, "sessions/%s", c->directory);
	bool ours = !strcmp(c->name, json_text_or(file, "session.name", ""));
	return (!ours && guard_busy(st, c->name)) ||
	       (c->directory[0] && path_exists(dir) && !lease_file_foreign(st, c->directory, c->uuid));
}

static int give_back(struct state *st, const struct clash *c, struct err *err)
{
	return db_run(st->db, err, "DELETE FROM leases WHERE kind = ? AND value = ?", "ti", c->kind,
	              c->value);
}

static int forget(struct state *st, const char *uuid, struct err *err)
{
	return db_run(st->db, err, "DELETE FROM leases WHERE session = ?", "t", uuid) ||
	                       db_run(st->db, err, "DELETE FROM session_steps WHERE session = ?", "t",
	                              uuid) ||
	                       db_run(st->db, err, "DELETE FROM sessions WHERE uuid = ?", "t", uuid)
	               ? -1
	               : 0;
}

static void set_text(cJSON *session, const char *key, const char *text)
{
	cJSON_DeleteItemFromObjectCaseSensitive(session, key);
	json_add_text(session, key, text);
}

/* The adopted one changes on its way, so its file will be behind. */
static void move_generation(cJSON *file)
{
	cJSON_SetNumberHelper(cJSON_GetObjectItemCaseSensitive(file, "generation"),
	                      (double)json_int(file, "generation", 0) + 1);
}

/* The name is another's, who is there. */
static void rename_it(cJSON *file, const struct clash *c, struct str *said)
{
	cJSON *session = cJSON_GetObjectItemCaseSensitive(file, "session");
	char name[NAME_MAX_LEN + 1];
	snprintf(name, sizeof(name), "%.*s-%.6s", NAME_MAX_LEN - 7, json_text_or(session, "name", ""),
	         json_text_or(session, "uuid", ""));
	for (char *p = name; *p; p++)
		*p = *p == '_' ? '-' : *p;
	str_addf(said, "; another session is called %s: this one is called %s from now on", c->name, name);
	set_text(session, "name", name);
	move_generation(file);
}

static char *what_of(const struct clash *c)
{
	if (!strcmp(c->kind, "port"))
		return mem_printf("port %lld", (long long)c->value);
	return mem_printf("subnet %lld.%lld.%lld.%lld/%d", (long long)c->value >> 24 & 255,
	                  (long long)c->value >> 16 & 255, (long long)c->value >> 8 & 255,
	                  (long long)c->value & 255, c->bits);
}

/* The adopted one is the younger: it comes back only to be taken down. */
static void lose(cJSON *file, const struct clash *c, struct str *said)
{
	cJSON *session = cJSON_GetObjectItemCaseSensitive(file, "session"),
	      *leases = cJSON_GetObjectItemCaseSensitive(file, "leases"), *one, *next;
	cleanup_free char *what = what_of(c),
	                  *why = mem_printf("%s belongs to session %s, which is older", what, c->name);
	for (one = leases->child; one; one = next) {
		next = one->next;
		if (!strcmp(json_text_or(one, "kind", ""), c->kind) && json_int(one, "value", -1) == c->mine)
			cJSON_Delete(cJSON_DetachItemViaPointer(leases, one));
	}
	str_addf(said, "; %s: it is taken down", why);
	set_text(session, "state", lifecycle_state_name(SESSION_STOPPING));
	set_text(session, "reason", REASON_CONFLICT);
	set_text(session, "error", why);
	move_generation(file);
}

/* The other is. */
static int win(struct state *st, const cJSON *file, const struct clash *c, struct str *said, struct err *err)
{
	cleanup_free char *what = what_of(c),
	                  *why = mem_printf("%s belongs to session %s, which is older", what,
	                                    json_text_or(file, "session.name", "?"));
	str_addf(said, "; session %s is taken down, for %s", c->name, why);
	return db_run(st->db, err,
	              "UPDATE sessions SET state = 'stopping', reason = ?, error = ? WHERE uuid = ? AND "
	              "state <> 'failed'",
	              "ttt", REASON_CONFLICT, why, c->uuid);
}

static bool is_older(const struct clash *c, const cJSON *file)
{
	int64_t created = json_int(file, "session.created_at", 0);
	return c->created_at < created ||
	       (c->created_at == created && strcmp(c->uuid, json_text_or(file, "session.uuid", "")) < 0);
}

static int resolve(struct state *st, cJSON *file, const struct clash *c, struct str *said, struct err *err)
{
	bool name = !c->kind[0], row = c->uuid[0] != '\0';
	if (row && !is_there(st, file, c)) {
		if (!name) /* what is left of that row the reaper takes down */
			return give_back(st, c, err);
		str_addf(said, "; the row of an earlier session %s is dropped", c->name);
		return forget(st, c->uuid, err);
	}
	if (row && name)
		return rename_it(file, c, said), 0;
	if (row && is_older(c, file))
		return lose(file, c, said), 0;
	if (row && win(st, file, c, said, err))
		return -1;
	return db_run(st->db, err, "DELETE FROM leases WHERE kind = ? AND value = ?", "ti", c->kind,
	              c->value);
}

int adopt_make_room(struct state *st, cJSON *file, struct str *said, struct err *err)
{
	struct clashes *c = mem_alloc(sizeof(*c));
	int rc = find_clashes(st, file, c, err);
	for (size_t i = 0; i < c->n && rc == 0; i++)
		rc = resolve(st, file, &c->list[i], said, err);
	clashes_free(c);
	return rc;
}
