#include "sessions/lease_file.h"
#include "core/file.h"
#include "core/log.h"
#include "core/mem.h"
#include "core/str.h"
#include "core/text.h"
#include "sessions/guard.h"
#include "sessions/lifecycle.h"
#include "sessions/pool.h"
#include "sessions/session.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define VERSION 1
#define FILE_MAX (8u << 20)
#define STAMPS 1000000000

/* Columns of a session that the file holds, in the order in which people read them. The directory is where it stands, and the
 * number of a job means something in its own database only. */
static const struct column {
	const char *name;
	bool json;
} columns[] = {
        {"uuid"},    {"name"},           {"owner"},      {"engine"},          {"state"},      {"reason"},
        {"error"},   {"created_at"},     {"started_at"}, {"stopped_at"},      {"expires_at"}, {"idle_ms"},
        {"used_at"}, {"pinned"},         {"warned_at"},  {"hard_expires_at"}, {"pool"},       {"chat"},
        {"stack"},   {"promised_bytes"}, {"spec", true}};

static const char *const lease_columns[] = {"kind",   "value",    "service", "purpose",
                                            "target", "protocol", "taken_at"};

static char *path_of(struct state *st, const char *directory)
{
	return state_path(st, "sessions/%s/" LEASE_FILE, directory);
}

/* -- out of the database -- */

/* SELECT of the file's text, its directory and its generation: SQLite prints it, so that it is one reading of one instant. */
static void add_select(struct str *sql)
{
	str_addf(sql,
	         "SELECT json_object('version', %d, 'install', ?2, 'generation', generation, 'session', "
	         "json_object(",
	         VERSION);
	for (size_t i = 0; i < ARRAY_LEN(columns); i++)
		str_addf(sql, columns[i].json ? "%s'%s', json(%s)" : "%s'%s', %s", i ? ", " : "",
		         columns[i].name, columns[i].name);
	str_add(sql, "), 'leases', (SELECT json_group_array(json_object(");
	for (size_t i = 0; i < ARRAY_LEN(lease_columns); i++)
		str_addf(sql, "%s'%s', %s", i ? ", " : "", lease_columns[i], lease_columns[i]);
	str_add(sql,
	        ")) FROM (SELECT * FROM leases WHERE session = ?1 ORDER BY kind, value))), dir, generation"
	        " FROM sessions WHERE uuid = ?1");
}

/* A file as it is to be. */
struct image {
	char *text, *directory;
	int64_t generation;
};

static void image_free(struct image *image)
{
	free(image->text);
	free(image->directory);
}

/* ${image->text} stays NULL when the session has no row. */
static int print(struct state *st, const char *uuid, struct image *image, struct err *err)
{
	cleanup_query struct query q = QUERY_INIT;
	cleanup_str struct str sql = STR_INIT;
	add_select(&sql);
	if (db_query(st->db, &q, err, str_text(&sql), "tt", uuid, st->install))
		return -1;
	int rc = query_next(&q, err);
	if (rc <= 0)
		return rc;
	const char *slash = strrchr(query_text(&q, 1), '/');
	image->text = query_copy(&q, 0);
	image->directory = mem_strdup(slash ? slash + 1 : "");
	image->generation = query_int(&q, 2);
	return 0;
}

static int check_overwrite(struct state *st, const char *uuid, const struct image *image, struct err *err)
{
	cleanup_json cJSON *file = NULL;
	struct err damaged = {0};
	if (lease_file_read(st, image->directory, &file, &damaged) || !file) /* nobody can use it as it is */
		return 0;
	if (strcmp(json_text_or(file, "session.uuid", ""), uuid) != 0)
		return err_set(err, ERR_STATE,
		               "directory sessions/%s belongs to another session of that name: "
		               "codefoundry session reap finds out which is alive",
		               image->directory);
	if (json_int(file, "generation", 0) > image->generation)
		return err_set(err, ERR_STATE,
		               "the database is older than sessions/%s/" LEASE_FILE
		               ": codefoundry session reap restores the session's row",
		               image->directory);
	return 0;
}

/* Seconds of the file's time are those of the clock; the rest is the stamp. */
static void stamp(const char *path, const char *uuid, int64_t generation)
{
	struct timespec times[2] = {
	        {.tv_nsec = UTIME_OMIT},
	        {.tv_sec = time(NULL), .tv_nsec = (long)lease_file_stamp_of(uuid, generation)}};
	utimensat(AT_FDCWD, path, times, AT_SYMLINK_NOFOLLOW);
}

static int write_image(struct state *st, const char *uuid, const struct image *image, struct err *err)
{
	cleanup_free char *path = path_of(st, image->directory),
	                  *dir = state_path(st, "sessions/%s", image->directory);
	if (!image->directory[0] || !path_exists(dir))
		return 0;
	if (check_overwrite(st, uuid, image, err) ||
	    file_write(path, image->text, strlen(image->text), 0600, err))
		return -1;
	stamp(path, uuid, image->generation);
	return 0;
}

int lease_file_write(struct state *st, const char *uuid, struct err *err)
{
	struct image image = {0};
	int rc = print(st, uuid, &image, err);
	if (rc == 0 && image.text)
		rc = write_image(st, uuid, &image, err);
	image_free(&image);
	return rc;
}

void lease_file_follow(struct state *st, const char *uuid)
{
	struct err err = {0};
	if (lease_file_write(st, uuid, &err))
		log_warn("%s", err.msg);
}

void lease_file_sync(struct state *st, const char *name, const char *uuid)
{
	int guard = GUARD_NONE;
	struct err ignored = {0};
	if (guard_take(st, name, &guard, &ignored) == 0)
		lease_file_follow(st, uuid);
	guard_release(st, &guard);
}

/* -- reading -- */

static bool is_name(const char *name)
{
	struct err ignored = {0};
	return name && (pool_is_name(name) || session_name_check(name, &ignored) == 0);
}

static bool is_whole(struct state *st, const cJSON *file)
{
	const cJSON *session = json_at(file, "session");
	const char *uuid = json_text(session, "uuid"), *install = json_text(file, "install");
	enum session_state state = lifecycle_state_of(json_text(session, "state"));
	return json_int(file, "version", 0) == VERSION && install && !strcmp(install, st->install) &&
	       json_int(file, "generation", 0) > 0 && uuid && id_is_uuid(uuid) &&
	       is_name(json_text(session, "name")) && state != SESSION_ABSENT && state != SESSION_FAILED &&
	       json_text(session, "owner") && json_text(session, "engine") &&
	       cJSON_IsNumber(json_at(session, "created_at")) &&
	       cJSON_IsNumber(json_at(session, "expires_at")) && cJSON_IsObject(json_at(session, "spec")) &&
	       cJSON_IsArray(json_at(file, "leases"));
}

int lease_file_read(struct state *st, const char *directory, cJSON **file, struct err *err)
{
	cleanup_free char *path = path_of(st, directory), *text = NULL;
	size_t len = 0;
	*file = NULL;
	if (file_read_regular(path, FILE_MAX, &text, &len, err)) {
		if (err->code != ERR_NOT_FOUND)
			return -1;
		err_clear(err);
		return 0;
	}
	cleanup_json cJSON *j = json_parse(text, len, err);
	if (!j || !is_whole(st, j)) {
		int64_t version = json_int(j, "version", 0);
		return version > VERSION
		               ? err_set(err, ERR_INVALID, "%s is of a newer codefoundry (version %lld)",
		                         path, (long long)version)
		               : err_set(err, ERR_INVALID, "%s is damaged, or not of this installation",
		                         path);
	}
	*file = TAKE(j);
	return 0;
}

int64_t lease_file_stamp(int sessions, const char *directory)
{
	char path[NAME_MAX + sizeof(LEASE_FILE) + 1];
	struct stat s;
	snprintf(path, sizeof(path), "%s/" LEASE_FILE, directory);
	return fstatat(sessions, path, &s, AT_SYMLINK_NOFOLLOW) ? -1 : s.st_mtim.tv_nsec;
}

/* Two generations of one session never have the same stamp. */
int64_t lease_file_stamp_of(const char *uuid, int64_t generation)
{
	return (int64_t)((text_hash(uuid) % STAMPS + (uint64_t)generation % STAMPS) % STAMPS);
}

bool lease_file_foreign(struct state *st, const char *directory, const char *uuid)
{
	cleanup_json cJSON *file = NULL;
	struct err damaged = {0};
	return lease_file_read(st, directory, &file, &damaged) == 0 && file &&
	       strcmp(json_text_or(file, "session.uuid", ""), uuid) != 0;
}

/* -- back into the database -- */

/* Types are checked by the tables, which are STRICT. */
int lease_file_insert(struct state *st, const char *directory, const cJSON *file, struct err *err)
{
	cleanup_free char *text = json_print(file);
	cleanup_free char *dir = state_path(st, "sessions/%s", directory);
	cleanup_str struct str names = STR_INIT, values = STR_INIT;
	for (size_t i = 0; i < ARRAY_LEN(columns); i++) {
		const cJSON *value = json_at(json_at(file, "session"), columns[i].name);
		if (!value ||
		    cJSON_IsNull(
		            value)) /* a file of an earlier version has fewer: what the table says then */
			continue;
		str_addf(&names, ", %s", columns[i].name);
		str_addf(&values, ", json_extract(?1, '$.session.%s')", columns[i].name);
	}
	cleanup_free char *row = mem_printf("INSERT INTO sessions (dir, generation%s)"
	                                    " SELECT ?2, json_extract(?1, '$.generation')%s",
	                                    str_text(&names), str_text(&values));
	if (db_run(st->db, err, row, "tt", text, dir))
		return err_wrap(err, "restore session %s", json_text_or(file, "session.name", "?"));
	cleanup_str struct str leases = STR_INIT;
	str_add(&leases, "INSERT INTO leases (session");
	for (size_t i = 0; i < ARRAY_LEN(lease_columns); i++)
		str_addf(&leases, ", %s", lease_columns[i]);
	str_add(&leases, ") SELECT json_extract(?1, '$.session.uuid')");
	for (size_t i = 0; i < ARRAY_LEN(lease_columns); i++)
		str_addf(&leases, ", json_extract(value, '$.%s')", lease_columns[i]);
	str_add(&leases, " FROM json_each(?1, '$.leases')");
	return db_run(st->db, err, str_text(&leases), "t", text)
	               ? err_wrap(err, "restore leases of session %s",
	                          json_text_or(file, "session.name", "?"))
	               : 0;
}
