#include "jobs/notice.h"
#include "core/clock.h"
#include "core/mem.h"
#include <stdlib.h>
#include <string.h>

void notice_free(struct notice *n)
{
	free(n->kind);
	free(n->session);
	free(n->owner);
	cJSON_Delete(n->payload);
	*n = (struct notice){0};
}

int notice_add(struct state *st, const struct notice *n, struct err *err)
{
	char key[ID_UUID_LEN + 1];
	int64_t now = clock_now_ms();
	cleanup_free char *payload = n->payload ? json_print(n->payload) : mem_strdup("{}");
	id_uuid(key);
	return db_run(st->db, err,
	              "INSERT INTO notices (key, at, until, kind, session, owner, payload) VALUES (?, ?, ?, "
	              "?, ?, ?, ?)",
	              "tiitttt", key, now, n->until, n->kind, n->session, n->owner, payload) ||
	                       db_run(st->db, err, "DELETE FROM notices WHERE id <= ? - ? OR at < ?", "iii",
	                              db_last_id(st->db), (int64_t)NOTICES_KEPT, now - NOTICE_KEEP_MS)
	               ? -1
	               : 0;
}

int notice_next(struct state *st, int64_t after, struct notice *n, struct err *err)
{
	cleanup_query struct query q = QUERY_INIT;
	if (db_query(st->db, &q, err,
	             "SELECT id, at, until, key, kind, session, owner, payload FROM notices WHERE id > ?"
	             " ORDER BY id LIMIT 1",
	             "i", after))
		return -1;
	int rc = query_next(&q, err);
	if (rc <= 0)
		return rc;
	*n = (struct notice){.id = query_int(&q, 0),
	                     .at = query_int(&q, 1),
	                     .until = query_int(&q, 2),
	                     .kind = query_copy(&q, 4),
	                     .session = query_copy(&q, 5),
	                     .owner = query_copy(&q, 6),
	                     .payload = cJSON_Parse(query_text(&q, 7))};
	strncpy(n->key, query_text(&q, 3), ID_UUID_LEN);
	return 1;
}

int notice_newest(struct state *st, int64_t *id, struct err *err)
{
	*id = 0;
	return db_get_int(st->db, id, err, "SELECT seq FROM sqlite_sequence WHERE name = 'notices'", "");
}
