#include "sessions/scan.h"
#include "core/clock.h"
#include "core/log.h"
#include "core/mem.h"
#include "core/text.h"
#include "sessions/adopt.h"
#include "sessions/lease_file.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define STAMP_THREADS 4
#define STAMP_THREAD_FILES 1000 /* a thread is worth its start from about this many on */

/* -- engines -- */

static void ask_engines(struct scan *scan, struct state *st)
{
	static bool silent[SCAN_ENGINES_MAX]; /* a worker looks twice a minute: it says so once */
	for (size_t i = 0; engines[i] && i < SCAN_ENGINES_MAX; i++) {
		struct err why = {0};
		scan->found[i] = engines[i]->found(st, &why);
		if (!scan->found[i] && !silent[i])
			log_warn("what engine %s left cannot be looked for: %s", engines[i]->name, why.msg);
		silent[i] = !scan->found[i];
	}
}

bool scan_answered(const struct scan *scan, const struct engine *engine)
{
	for (size_t i = 0; engines[i] && i < SCAN_ENGINES_MAX; i++)
		if (engines[i] == engine)
			return scan->found[i] != NULL;
	return false;
}

/* -- rows and directories -- */

static struct scan_session *add_session(struct scan *scan)
{
	scan->sessions = mem_resize(scan->sessions, scan->n_sessions + 1, sizeof(*scan->sessions));
	struct scan_session *s = &scan->sessions[scan->n_sessions++];
	*s = (struct scan_session){0};
	return s;
}

static int read_rows(struct scan *scan, struct state *st, struct err *err)
{
	struct session_row *rows = NULL;
	size_t n = 0;
	if (store_rows(st, STORE_SCAN, 0, &rows, &n, err))
		return -1;
	scan->sessions = mem_alloc((n + 1) * sizeof(*scan->sessions));
	for (size_t i = 0; i < n; i++)
		scan->sessions[i].row = rows[i];
	scan->n_sessions = n;
	free(rows);
	return 0;
}

/* The file is ahead: from here on the session is what it says. */
static void take_file(struct scan *scan, struct state *st, struct scan_session *old, const char *directory,
                      const cJSON *file, enum adopt_verdict verdict)
{
	struct session_row row;
	adopt_row(st, directory, file, &row);
	if (!old)
		old = add_session(scan);
	store_row_free(&old->row);
	*old = (struct scan_session){.row = row,
	                             .source = SCAN_FILE,
	                             .why = verdict == ADOPT_OLD ? "its row is older than its lease file"
	                                                         : "no row in the database",
	                             .has_directory = true};
}

static int look_at(struct scan *scan, struct state *st, struct scan_session *owner, const char *directory,
                   int64_t stamp, struct err *err)
{
	const struct session_row *row = owner ? &owner->row : NULL;
	cleanup_json cJSON *file = NULL;
	enum adopt_verdict verdict = row ? ADOPT_BEHIND : ADOPT_NOTHING;
	if (owner)
		owner->has_directory = true;
	if (row && stamp == lease_file_stamp_of(row->uuid, row->generation))
		return 0;
	if (stamp >= 0 && adopt_compare(st, directory, row, &file, &verdict, err))
		return -1;
	if (file) {
		take_file(scan, st, owner, directory, file, verdict);
	} else if (row && verdict != ADOPT_NOTHING) {
		lease_file_sync(st, row->name, row->uuid);
	} else if (!row) {
		scan->directories = mem_resize(scan->directories, scan->n_directories + 1, sizeof(char *));
		scan->directories[scan->n_directories++] = mem_strdup(directory);
	}
	return 0;
}

/* Whose a directory is: the rows by the hashes of their directories' names, so that few rows are touched to find one. They move
 * when sessions are added, so it has places. */
struct owners {
	const struct scan *scan;
	struct {
		uint64_t hash;
		size_t session; /* plus one; 0: free */
	} * places;
	size_t mask;
};

static size_t place_of(const struct owners *o, uint64_t hash)
{
	return (size_t)(hash ^ hash >> 32) & o->mask;
}

static void owners_fill(struct owners *o, const struct scan *scan)
{
	*o = (struct owners){.scan = scan, .mask = 63};
	while (o->mask < 2 * scan->n_sessions)
		o->mask = 2 * o->mask + 1;
	o->places = mem_alloc((o->mask + 1) * sizeof(*o->places));
	for (size_t i = 0; i < scan->n_sessions; i++) {
		uint64_t hash = text_hash(store_directory(&scan->sessions[i].row));
		size_t at = place_of(o, hash);
		while (o->places[at].session)
			at = (at + 1) & o->mask;
		o->places[at].hash = hash;
		o->places[at].session = i + 1;
	}
}

/* SIZE_MAX: nobody's. */
static size_t owner_of(const struct owners *o, const char *directory)
{
	uint64_t hash = text_hash(directory);
	for (size_t at = place_of(o, hash); o->places[at].session; at = (at + 1) & o->mask) {
		size_t i = o->places[at].session - 1;
		if (o->places[at].hash == hash &&
		    !strcmp(store_directory(&o->scan->sessions[i].row), directory))
			return i;
	}
	return SIZE_MAX;
}

/* What is in the directory of all sessions, and the stamp of each lease file: -1 without one. */
struct listing {
	char **names;
	int64_t *stamps;
	size_t n;
};

static void listing_free(struct listing *l)
{
	for (size_t i = 0; i < l->n; i++)
		free(l->names[i]);
	free(l->names);
	free(l->stamps);
}

/* All or nothing: a kept session whose directory is not in it would be taken for lost, and removed. */
static int list_names(struct listing *l, DIR *dir, const char *path, struct err *err)
{
	struct dirent *e;
	size_t room = 0;
	while ((errno = 0, e = readdir(dir))) {
		if (e->d_name[0] == '.')
			continue;
		if (l->n == room)
			l->names = mem_resize(l->names, room = room ? 2 * room : 16, sizeof(*l->names));
		l->names[l->n++] = mem_strdup(e->d_name);
	}
	return errno ? err_sys(err, errno, "list %s", path) : 0;
}

struct part {
	const struct listing *of;
	int root;
	size_t from, to;
	pthread_t thread;
	bool running;
};

static void *read_part(void *arg)
{
	const struct part *p = arg;
	for (size_t i = p->from; i < p->to; i++)
		p->of->stamps[i] = lease_file_stamp(p->root, p->of->names[i]);
	return NULL;
}

/* Half the time of a look at many sessions is the kernel's, finding their files: it does so for several threads at once. */
static void read_stamps(struct listing *l, int root)
{
	struct part parts[STAMP_THREADS];
	size_t n = l->n / STAMP_THREAD_FILES + 1;
	n = n < STAMP_THREADS ? n : STAMP_THREADS;
	l->stamps = mem_alloc((l->n + 1) * sizeof(*l->stamps));
	for (size_t i = 0; i < n; i++) {
		parts[i] =
		        (struct part){.of = l, .root = root, .from = l->n * i / n, .to = l->n * (i + 1) / n};
		parts[i].running =
		        i + 1 < n && pthread_create(&parts[i].thread, NULL, read_part, &parts[i]) == 0;
		if (!parts[i].running)
			read_part(&parts[i]);
	}
	for (size_t i = 0; i < n; i++)
		if (parts[i].running)
			pthread_join(parts[i].thread, NULL);
}

static int look_at_each(struct scan *scan, struct state *st, const struct listing *l, struct err *err)
{
	struct owners owners;
	int rc = 0;
	owners_fill(&owners, scan);
	for (size_t i = 0; i < l->n && rc == 0; i++) {
		size_t owner = owner_of(&owners, l->names[i]);
		rc = look_at(scan, st, owner == SIZE_MAX ? NULL : &scan->sessions[owner], l->names[i],
		             l->stamps[i], err);
	}
	free(owners.places);
	return rc;
}

static int read_directories(struct scan *scan, struct state *st, struct err *err)
{
	cleanup_free char *path = state_path(st, "sessions");
	struct listing listing = {0};
	DIR *dir = opendir(path);
	if (!dir) /* before the first session there is none */
		return errno == ENOENT ? 0 : err_sys(err, errno, "list %s", path);
	int rc = list_names(&listing, dir, path, err);
	if (rc == 0)
		read_stamps(&listing, dirfd(dir));
	closedir(dir);
	if (rc == 0)
		rc = look_at_each(scan, st, &listing, err);
	listing_free(&listing);
	return rc;
}

/* -- objects -- */

static int by_uuid(const void *a, const void *b)
{
	const struct scan_session *const *x = a, *const *y = b;
	return strcmp((*x)->row.uuid, (*y)->row.uuid);
}

static int of_uuid(const void *key, const void *b)
{
	return strcmp(key, (*(const struct scan_session *const *)b)->row.uuid);
}

/* Directories that were nobody's: that of a session which is adopted is not any more. */
static void claim_directory(struct scan *scan, const char *name)
{
	for (size_t i = 0; i < scan->n_directories; i++) {
		if (strcmp(scan->directories[i], name) != 0)
			continue;
		free(scan->directories[i]);
		scan->directories[i] = scan->directories[--scan->n_directories];
		return;
	}
}

static void add_labelled(struct scan *scan, const struct engine *engine, const cJSON *found)
{
	struct scan_session *s = add_session(scan);
	const char *name = json_text_or(found, "name", "");
	s->row.name = mem_strdup(name);
	s->row.engine = mem_strdup(engine->name);
	s->row.expires_at = json_int(found, "expires_at", 0);
	s->row.state = json_bool(found, "alive", false) ? SESSION_RUNNING : SESSION_STOPPED;
	memcpy(s->row.uuid, json_text_or(found, "uuid", ""), ID_UUID_LEN);
	s->source = SCAN_LABELS;
	s->why = "no row, and no file: from the labels of its objects";
	s->found = found;
	s->found_by = engine;
	claim_directory(scan, name);
}

static void add_orphan(struct scan *scan, const struct engine *engine, const cJSON *found)
{
	scan->orphans = mem_resize(scan->orphans, scan->n_orphans + 1, sizeof(*scan->orphans));
	scan->orphans[scan->n_orphans++] = (struct scan_orphan){engine, found};
}

/* A failed session's row counts: what it left is its own receipt's affair. */
static int sort_unknown(struct scan *scan, struct state *st, const struct engine *engine, const cJSON *found,
                        struct err *err)
{
	int has = store_has(st, json_text_or(found, "uuid", ""), err);
	if (has)
		return has < 0 ? -1 : 0;
	if (engine->adopt && json_bool(found, "adoptable", false) &&
	    json_int(found, "expires_at", 0) > clock_now_ms())
		add_labelled(scan, engine, found);
	else
		add_orphan(scan, engine, found);
	return 0;
}

/* Give each session what its engine has of it; collect the rest in ${unknown}, which has room for all. */
static size_t match(struct scan *scan, const struct engine *engine, const cJSON *sessions,
                    const cJSON **unknown)
{
	size_t n = scan->n_sessions, left = 0;
	cleanup_free struct scan_session **sorted = mem_alloc((n + 1) * sizeof(*sorted));
	const cJSON *one;
	for (size_t i = 0; i < n; i++)
		sorted[i] = &scan->sessions[i];
	qsort(sorted, n, sizeof(*sorted), by_uuid);
	cJSON_ArrayForEach(one, sessions)
	{
		struct scan_session **s =
		        bsearch(json_text_or(one, "uuid", ""), sorted, n, sizeof(*sorted), of_uuid);
		if (s) {
			(*s)->found = one;
			(*s)->found_by = engine;
		} else {
			unknown[left++] = one;
		}
	}
	return left;
}

static int match_objects(struct scan *scan, struct state *st, struct err *err)
{
	for (size_t i = 0; engines[i] && i < SCAN_ENGINES_MAX; i++) {
		const cJSON *sessions = json_at(scan->found[i], "sessions");
		size_t all = (size_t)cJSON_GetArraySize(sessions);
		if (!all)
			continue;
		cleanup_free const cJSON **unknown = mem_alloc(all * sizeof(*unknown));
		size_t n = match(scan, engines[i], sessions, unknown);
		for (size_t k = 0; k < n; k++)
			if (sort_unknown(scan, st, engines[i], unknown[k], err))
				return -1;
	}
	return 0;
}

/* -- all -- */

int scan_open(struct scan *scan, struct state *st, struct err *err)
{
	*scan = (struct scan){0};
	ask_engines(scan, st);
	if (read_rows(scan, st, err) == 0 && read_directories(scan, st, err) == 0 &&
	    match_objects(scan, st, err) == 0)
		return 0;
	scan_close(scan);
	return -1;
}

void scan_close(struct scan *scan)
{
	for (size_t i = 0; i < scan->n_sessions; i++)
		store_row_free(&scan->sessions[i].row);
	for (size_t i = 0; i < scan->n_directories; i++)
		free(scan->directories[i]);
	for (size_t i = 0; i < SCAN_ENGINES_MAX; i++)
		cJSON_Delete(scan->found[i]);
	free(scan->sessions);
	free(scan->orphans);
	free(scan->directories);
	*scan = (struct scan){0};
}
