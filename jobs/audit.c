#include "jobs/audit.h"
#include "core/clock.h"
#include "core/mem.h"
#include "core/str.h"
#include "jobs/line.h"
#include "jobs/sha256.h"
#include <stdlib.h>
#include <string.h>

#define DETAIL_MAX 65536
#define FIELD_MAX 1024

static const char first_prev[] = "0000000000000000000000000000000000000000000000000000000000000000";

struct row {
	int64_t id, at;
	const char *actor, *source, *action, *target, *outcome, *detail, *prev;
};

/* Netstrings, so that no two rows have the same text; "-" stands for NULL. */
static void add_field(struct str *s, const char *text)
{
	if (text)
		str_addf(s, "%zu:%s,", strlen(text), text);
	else
		str_add(s, "-,");
}

static void hash_row(const struct row *row, char hex[SHA256_HEX + 1])
{
	const char *const fields[] = {row->prev,   row->actor,   row->source, row->action,
	                              row->target, row->outcome, row->detail};
	cleanup_str struct str s = STR_INIT;
	str_addf(&s, "audit1 %lld %lld ", (long long)row->id, (long long)row->at);
	for (size_t i = 0; i < ARRAY_LEN(fields); i++)
		add_field(&s, fields[i]);
	sha256_hex(str_text(&s), s.len, hex);
}

static int insert(struct state *st, struct row *row, struct err *err)
{
	cleanup_free char *prev = NULL;
	int64_t last = 0;
	char hash[SHA256_HEX + 1];
	/* the sequence, not max(id): a removed last row leaves a gap that shows */
	if (db_get_int(st->db, &last, err, "SELECT seq FROM sqlite_sequence WHERE name = 'audit'", "") ||
	    db_get_text(st->db, &prev, err, "SELECT hash FROM audit ORDER BY id DESC LIMIT 1", ""))
		return -1;
	row->id = last + 1;
	row->at = clock_now_ms();
	row->prev = prev ? prev : first_prev;
	hash_row(row, hash);
	return db_run(st->db, err,
	              "INSERT INTO audit (id, at, actor, source, action, target, outcome, detail, prev, hash)"
	              " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
	              "iitttttttt", row->id, row->at, row->actor, row->source, row->action, row->target,
	              row->outcome, row->detail, row->prev, hash);
}

static char *clean(const char *text, size_t max)
{
	return text ? line_clean(text, strlen(text), max) : NULL;
}

int audit_add(struct state *st, const char *actor, const char *source, const char *action, const char *target,
              const char *outcome, const char *detail_json, struct err *err)
{
	cleanup_free char *who = clean(actor, FIELD_MAX), *where = clean(source, FIELD_MAX),
	                  *what = clean(action, FIELD_MAX), *whom = clean(target, FIELD_MAX),
	                  *how = clean(outcome, FIELD_MAX), *detail = clean(detail_json, DETAIL_MAX);
	struct row row = {.actor = who,
	                  .source = where,
	                  .action = what,
	                  .target = whom,
	                  .outcome = how,
	                  .detail = detail};
	bool own = !db_in_transaction(st->db);
	if ((own && db_begin(st->db, err)) || insert(st, &row, err) || (own && db_commit(st->db, err))) {
		if (own)
			db_rollback(st->db);
		return err_wrap(err, "audit %s", action);
	}
	return 0;
}

#define AUDIT_COLUMNS "SELECT id, at, actor, source, action, target, outcome, detail, prev, hash FROM audit "

static cJSON *list_item(struct query *q)
{
	static const char *const keys[] = {"actor", "source", "action", "target", "outcome"};
	cJSON *obj = json_object();
	struct err ignored = {0};
	json_add_int(obj, "id", query_int(q, 0));
	json_add_int(obj, "at", query_int(q, 1));
	for (int i = 0; i < (int)ARRAY_LEN(keys); i++)
		json_add_text(obj, keys[i], query_text(q, i + 2));
	const char *detail = query_text(q, 7);
	cJSON *parsed = detail ? json_parse(detail, strlen(detail), &ignored) : NULL;
	if (parsed)
		json_add(obj, "detail", parsed);
	else
		json_add_text(obj, "detail", detail);
	json_add_text(obj, "hash", query_text(q, 9));
	return obj;
}

cJSON *audit_list(struct state *st, int limit, struct err *err)
{
	cleanup_query struct query q = QUERY_INIT;
	cleanup_json cJSON *list = json_array();
	int rc;
	if (db_query(st->db, &q, err, AUDIT_COLUMNS "ORDER BY id DESC LIMIT ?", "i", (int64_t)limit))
		return NULL;
	while ((rc = query_next(&q, err)) == 1)
		cJSON_AddItemToArray(list, list_item(&q));
	return rc < 0 ? NULL : TAKE(list);
}

int audit_verify(struct state *st, int64_t *bad_id, struct err *err)
{
	cleanup_query struct query q = QUERY_INIT;
	char prev[SHA256_HEX + 1], hash[SHA256_HEX + 1];
	int64_t last = 0, issued = 0;
	int rc;
	memcpy(prev, first_prev, sizeof(prev));
	*bad_id = 0;
	/* one snapshot for the rows and the sequence: others may append meanwhile */
	if (db_query(st->db, &q, err,
	             AUDIT_COLUMNS
	             "UNION ALL SELECT seq, 0, '', '', '', NULL, '', NULL, '', 'end' FROM sqlite_sequence"
	             " WHERE name = 'audit' ORDER BY id, at DESC",
	             ""))
		return -1;
	while ((rc = query_next(&q, err)) == 1) {
		struct row row = {query_int(&q, 0),  query_int(&q, 1),  query_text(&q, 2),
		                  query_text(&q, 3), query_text(&q, 4), query_text(&q, 5),
		                  query_text(&q, 6), query_text(&q, 7), query_text(&q, 8)};
		const char *stored = query_text(&q, 9);
		if (!strcmp(stored, "end")) {
			issued = row.id;
			continue;
		}
		hash_row(&row, hash);
		if (row.id != last + 1 || strcmp(row.prev, prev) || strcmp(stored, hash)) {
			*bad_id = row.id != last + 1 ? last + 1 : row.id;
			return 0;
		}
		memcpy(prev, hash, sizeof(prev));
		last = row.id;
	}
	if (rc == 0 && issued != last)
		*bad_id = last + 1;
	return rc;
}
