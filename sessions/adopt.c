#include "core/file.h"
#include "core/log.h"
#include "core/mem.h"
#include "sessions/adopt_private.h"
#include "sessions/guard.h"
#include "sessions/lease_file.h"
#include <stdlib.h>
#include <string.h>

/* -- comparing -- */

/* Any row of ${uuid}, failed ones too: its generation, 0 when there is none. */
static int generation_of(struct state *st, const char *uuid, int64_t *generation, struct err *err)
{
	*generation = 0;
	return db_get_int(st->db, generation, err, "SELECT generation FROM sessions WHERE uuid = ?", "t",
	                  uuid);
}

/* One line per damaged file and process, not one per look. */
static void say_damaged(const char *directory, const struct err *why)
{
	static char said[64];
	if (!strncmp(said, directory, sizeof(said) - 1))
		return;
	strncpy(said, directory, sizeof(said) - 1);
	log_warn("%s", why->msg);
}

int adopt_compare(struct state *st, const char *directory, const struct session_row *row, cJSON **file,
                  enum adopt_verdict *verdict, struct err *err)
{
	struct err why = {0};
	cleanup_json cJSON *found = NULL;
	int64_t known;
	*file = NULL;
	*verdict = row ? ADOPT_BEHIND : ADOPT_NOTHING;
	if (lease_file_read(st, directory, &found, &why))
		say_damaged(directory, &why);
	if (!found)
		return 0;
	const char *uuid = json_text(found, "session.uuid");
	int64_t written = json_int(found, "generation", 0);
	if (generation_of(st, uuid, &known, err))
		return -1;
	if (known)
		*verdict = written > known                   ? ADOPT_OLD
		           : !row || strcmp(row->uuid, uuid) ? ADOPT_NOTHING
		           : written == known                ? ADOPT_SAME
		                                             : ADOPT_BEHIND;
	else if (row) /* of another session of that name: of two the later is the one that is there */
		*verdict = json_int(found, "session.created_at", 0) > row->created_at ? ADOPT_MISSING
		                                                                      : ADOPT_NOTHING;
	else
		*verdict = ADOPT_MISSING;
	if (*verdict == ADOPT_MISSING || *verdict == ADOPT_OLD)
		*file = TAKE(found);
	return 0;
}

int adopt_is_old(struct state *st, const struct session_row *row, struct err *err)
{
	cleanup_json cJSON *file = NULL;
	enum adopt_verdict verdict;
	if (adopt_compare(st, store_directory(row), row, &file, &verdict, err))
		return -1;
	return file != NULL;
}

static char *copy(const cJSON *session, const char *key)
{
	const char *text = json_text(session, key);
	return text ? mem_strdup(text) : NULL;
}

void adopt_row(struct state *st, const char *directory, const cJSON *file, struct session_row *row)
{
	const cJSON *s = json_at(file, "session");
	*row = (struct session_row){.name = copy(s, "name"),
	                            .owner = copy(s, "owner"),
	                            .engine = copy(s, "engine"),
	                            .reason = copy(s, "reason"),
	                            .error = copy(s, "error"),
	                            .pool = copy(s, "pool"),
	                            .dir = state_path(st, "sessions/%s", directory),
	                            .state = lifecycle_state_of(json_text(s, "state")),
	                            .generation = json_int(file, "generation", 0),
	                            .created_at = json_int(s, "created_at", 0),
	                            .started_at = json_int(s, "started_at", 0),
	                            .stopped_at = json_int(s, "stopped_at", 0),
	                            .expires_at = json_int(s, "expires_at", 0),
	                            .hard_expires_at = json_int(s, "hard_expires_at", 0),
	                            .idle_ms = json_int(s, "idle_ms", 0),
	                            .used_at = json_int(s, "used_at", 0)};
	memcpy(row->uuid, json_text_or(s, "uuid", ""), ID_UUID_LEN);
}

/* -- adopting -- */

/* The database may have changed since the comparison: the row of this very session is looked at again. */
static int replace(struct state *st, const char *directory, cJSON *file, struct str *said, struct err *err)
{
	const char *uuid = json_text(file, "session.uuid");
	int64_t known;
	if (generation_of(st, uuid, &known, err))
		return -1;
	if (known >= json_int(file, "generation", 0))
		return 0;
	return db_run(st->db, err, "DELETE FROM leases WHERE session = ?", "t", uuid) ||
	                       db_run(st->db, err, "DELETE FROM sessions WHERE uuid = ?", "t", uuid) ||
	                       adopt_make_room(st, file, said, err) ||
	                       lease_file_insert(st, directory, file, err)
	               ? -1
	               : 1;
}

static int restore(struct state *st, const char *directory, cJSON *file, struct str *said, struct err *err)
{
	struct str unsaid = STR_INIT_MAX(1000);
	int64_t before = json_int(file, "generation", 0);
	if (db_begin(st->db, err))
		return -1;
	int rc = replace(st, directory, file, said ? said : &unsaid, err);
	if (rc < 0 || db_commit(st->db, err)) {
		db_rollback(st->db);
		rc = -1;
	}
	str_free(&unsaid);
	if (rc <= 0)
		return rc < 0 ? err_wrap(err, "adopt session %s", json_text_or(file, "session.name", "?"))
		              : 0;
	if (json_int(file, "generation", 0) != before)
		lease_file_follow(st, json_text(file, "session.uuid"));
	state_ring(st);
	return 1;
}

static int adopt_with(struct state *st, const char *directory, const char *name,
                      const struct session_row *row, struct str *said, struct err *err)
{
	cleanup_json cJSON *file = NULL;
	enum adopt_verdict verdict;
	if (adopt_compare(st, directory, row, &file, &verdict, err))
		return -1;
	if (verdict == ADOPT_BEHIND)
		lease_file_follow(st, row->uuid);
	const char *called = json_text_or(file, "session.name", "");
	if (file && !strcmp(called, name))
		return restore(st, directory, file, said, err);
	if (verdict == ADOPT_OLD && !strcmp(row->name, name))
		return err_set(err, ERR_STATE,
		               "session %s is called %s by now, its row is of an old database: codefoundry "
		               "session reap puts it right",
		               name, called);
	return 0;
}

int adopt_file(struct state *st, const char *directory, const char *name, struct str *said, struct err *err)
{
	cleanup_row struct session_row row = {0};
	if (store_by_directory(st, directory, &row, err) && err->code != ERR_NOT_FOUND)
		return -1;
	err_clear(err);
	return adopt_with(st, directory, name, row.name ? &row : NULL, said, err);
}

int adopt_named(struct state *st, const char *name, struct err *err)
{
	cleanup_row struct session_row row = {0};
	if (store_by_name(st, name, &row, err) && err->code != ERR_NOT_FOUND)
		return -1;
	err_clear(err);
	bool alive = row.name && row.state != SESSION_FAILED;
	if (alive)
		return adopt_with(st, store_directory(&row), name, &row, NULL, err);
	return adopt_file(st, name, name, NULL, err);
}

void adopt_idle(struct state *st, const char *name)
{
	int guard = GUARD_NONE;
	struct err err = {0};
	if (guard_take(st, name, &guard, &err) == 0 && adopt_named(st, name, &err) < 0)
		log_warn("session %s: %s", name, err.msg);
	guard_release(st, &guard);
}

int adopt_labels(struct state *st, const struct engine *engine, const char *uuid, struct str *said,
                 struct err *err)
{
	int has = store_has(st, uuid, err);
	cleanup_json cJSON *file = has ? NULL : engine->adopt(st, uuid, err);
	if (has || !file)
		return has < 0 || (!has && err->code != ERR_NOT_FOUND) ? -1 : (err_clear(err), 0);
	/* its own was lost too: one that is there under its name is another's, or nobody's */
	cleanup_free char *directory = mem_strdup(json_text_or(file, "session.name", ""));
	if (lease_file_foreign(st, directory, uuid)) {
		free(directory);
		directory = mem_printf("%.8s", uuid);
	}
	cleanup_free char *dir = state_path(st, "sessions/%s", directory);
	if (dir_make(dir, 0700, err))
		return -1;
	int rc = restore(st, directory, file, said, err);
	if (rc > 0)
		lease_file_follow(st, uuid);
	return rc;
}
