/* See files.h. Names of users never become names on disk. */
#include "testsuite/telegram/files.h"
#include "core/file.h"
#include "core/id.h"
#include "core/log.h"
#include "core/mem.h"
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#define KEEP_FILES 200

static const struct {
	const char *ending, *type;
} types[] = {{".txt", "text/plain"},        {".log", "text/plain"},        {".md", "text/markdown"},
             {".json", "application/json"}, {".xml", "application/xml"},   {".html", "text/html"},
             {".png", "image/png"},         {".jpg", "image/jpeg"},        {".svg", "image/svg+xml"},
             {".csv", "text/csv"},          {".pdf", "application/pdf"},   {".zip", "application/zip"},
             {".gz", "application/gzip"},   {".tar", "application/x-tar"}, {".yml", "application/yaml"}};

static const char *ending_of(const char *name)
{
	const char *dot = strrchr(name, '.');

	for (size_t i = 0; dot && i < ARRAY_LEN(types); i++)
		if (strcasecmp(dot, types[i].ending) == 0)
			return types[i].ending;
	return "";
}

static const char *type_of(const char *ending)
{
	for (size_t i = 0; i < ARRAY_LEN(types); i++)
		if (strcmp(ending, types[i].ending) == 0)
			return types[i].type;
	return "application/octet-stream";
}

static unsigned be16(const unsigned char *p)
{
	return (unsigned)p[0] << 8 | p[1];
}

bool tg_image_size(const void *data, size_t len, int *width, int *height)
{
	const unsigned char *p = data;

	if (len >= 24 && memcmp(p, "\x89PNG\r\n\x1a\n", 8) == 0) {
		*width = (int)(be16(p + 16) << 16 | be16(p + 18));
		*height = (int)(be16(p + 20) << 16 | be16(p + 22));
		return *width > 0 && *height > 0;
	}
	if (len < 4 || p[0] != 0xff || p[1] != 0xd8)
		return false;
	for (size_t i = 2; i + 9 < len && p[i] == 0xff; i += 2 + be16(p + i + 2)) {
		unsigned marker = p[i + 1];
		/* start of frame, but not the tables that share the range (ITU T.81, table B.1) */
		if (marker >= 0xc0 && marker <= 0xcf && marker != 0xc4 && marker != 0xc8 && marker != 0xcc) {
			*height = (int)be16(p + i + 5);
			*width = (int)be16(p + i + 7);
			return *width > 0 && *height > 0;
		}
	}
	return false;
}

static char *disk_path(const struct tg *tg, const char *path)
{
	return mem_printf("%s/telegram-files/%s", tg->dir, strrchr(path, '/') + 1);
}

static cJSON *describe(const char *kind, const char *name, const char *ending, const void *data, size_t len)
{
	cJSON *document = json_object();
	char id[41], unique[17];
	int width = 0, height = 0;

	id_random_hex(id, 20);
	id_random_hex(unique, 8);
	if (strcmp(kind, "document") == 0) {
		json_add_text(document, "file_name", name);
		json_add_text(document, "mime_type", type_of(ending));
	}
	cleanup_free char *file_id = mem_printf("%s%s", strcmp(kind, "photo") == 0 ? "AgAC" : "BQAC", id);
	json_add_text(document, "file_id", file_id);
	json_add_text(document, "file_unique_id", unique);
	json_add_int(document, "file_size", (int64_t)len);
	if (strcmp(kind, "photo") == 0 && tg_image_size(data, len, &width, &height)) {
		json_add_int(document, "width", width);
		json_add_int(document, "height", height);
	}
	return document;
}

/* Bytes of files whose rows are pruned go too. */
static int prune(struct tg *tg, struct err *err)
{
	cleanup_query struct query q = QUERY_INIT;
	int row;

	if (db_query(tg->db, &q, err, "SELECT path FROM files WHERE seq <= (SELECT max(seq) FROM files) - ?",
	             "i", (int64_t)KEEP_FILES) < 0)
		return -1;
	while ((row = query_next(&q, err)) > 0) {
		cleanup_free char *old = disk_path(tg, query_text(&q, 0));
		unlink(old);
	}
	query_end(&q);
	if (row < 0)
		return -1;
	return db_run(tg->db, err, "DELETE FROM files WHERE seq <= (SELECT max(seq) FROM files) - ?", "i",
	              (int64_t)KEEP_FILES);
}

int tg_files_add(struct tg *tg, const char *kind, const char *name, const void *data, size_t len,
                 cJSON **document, struct err *err)
{
	const char *slash = strrchr(name, '/');
	cleanup_free char *dir = mem_printf("%s/telegram-files", tg->dir);
	int64_t last = 0;

	name = slash ? slash + 1 : name;
	name = *name ? name : "file";
	const char *ending = strcmp(kind, "photo") == 0 ? ".jpg" : ending_of(name);
	if (db_get_int(tg->db, &last, err, "SELECT seq FROM sqlite_sequence WHERE name = 'files'", "") < 0)
		return -1;
	cleanup_free char *path = mem_printf("%ss/file_%lld%s", kind, (long long)last + 1, ending);
	cleanup_free char *disk = disk_path(tg, path);
	if (dir_make(dir, 0700, err) < 0 || file_write(disk, data, len, 0600, err) < 0)
		return -1;
	cleanup_json cJSON *described = describe(kind, name, ending, data, len);
	cleanup_free char *body = json_print(described);
	if (db_run(tg->db, err, "INSERT INTO files (id, kind, size, path, body) VALUES (?, ?, ?, ?, ?)",
	           "ttitt", json_text(described, "file_id"), kind, (int64_t)len, path, body) < 0)
		return -1;
	*document = TAKE(described);
	return prune(tg, err);
}

int tg_files_find(struct tg *tg, const char *file_id, cJSON **document, char **path, struct err *err)
{
	cleanup_query struct query q = QUERY_INIT;

	if (db_query(tg->db, &q, err, "SELECT body, path FROM files WHERE id = ?", "t", file_id) < 0)
		return -1;
	int row = query_next(&q, err);
	if (row <= 0)
		return row;
	if (document)
		*document = cJSON_Parse(query_text(&q, 0));
	if (path)
		*path = mem_strdup(query_text(&q, 1));
	return 1;
}

int tg_files_read(struct tg *tg, const char *path, char **data, size_t *len, struct err *err)
{
	int64_t known = 0;

	if (db_get_int(tg->db, &known, err, "SELECT count(*) FROM files WHERE path = ?", "t", path) < 0)
		return -1;
	if (known == 0)
		return 0;
	cleanup_free char *disk = disk_path(tg, path);
	return file_read(disk, TG_UPLOAD_MAX, data, len, err) < 0 ? -1 : 1;
}
