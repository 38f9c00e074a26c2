#include "tests/crash/promise.h"
#include "core/net.h"
#include "sessions/supervise.h"
#include "tests/crash/crash.h"
#include <dirent.h>

#define SERVICES 2 /* of a session of processes, besides its supervisor */

/* One look: what is listed, and what was found. */
struct look {
	struct test_state *t;
	struct str *what;
	struct session_row *rows;
	size_t n;
	int leftovers;
};

static void left(struct look *l, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void left(struct look *l, const char *fmt, ...)
{
	va_list ap;
	char text[300];
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	l->leftovers++;
	str_addf(l->what, "%s\n", text);
}

static const struct session_row *listed(const struct look *l, const char *uuid, const char *name)
{
	for (size_t i = 0; i < l->n; i++)
		if (uuid ? !strcmp(l->rows[i].uuid, uuid) : !strcmp(l->rows[i].name, name))
			return &l->rows[i];
	return NULL;
}

/* -- outside the database -- */

static void look_processes(struct look *l)
{
	cleanup_free struct marker_proc *list = NULL;
	cleanup_json cJSON *groups = json_array();
	const cJSON *group;
	struct err err = {0};
	int n = marker_find(l->t->st->install, NULL, &list, &err);
	for (int i = 0; i < n; i++) {
		const struct session_row *row = listed(l, list[i].session, NULL);
		if (!row || row->state != SESSION_RUNNING)
			left(l, "process %d of session %.8s", (int)list[i].id.pid, list[i].session);
	}
	cgroup_find(l->t->st->install, groups);
	cJSON_ArrayForEach(group, groups)
	{
		const struct session_row *row = listed(l, group->valuestring, NULL);
		if (!row || row->state != SESSION_RUNNING)
			left(l, "control group %s", group->valuestring);
	}
}

static void look_objects(struct look *l)
{
	struct err err = {0};
	for (enum docker_kind kind = DOCKER_CONTAINER; kind < DOCKER_KINDS; kind++) {
		cleanup_json cJSON *list = compose_objects(l->t->st, NULL, kind, &err);
		const cJSON *one;
		if (!list)
			left(l, "%s", err.msg);
		cJSON_ArrayForEach(one, list)
		{
			const char *uuid = cJSON_GetStringValue(
			        cJSON_GetObjectItemCaseSensitive(json_at(one, "labels"), LABEL_SESSION));
			if (!uuid || !listed(l, uuid, NULL))
				left(l, "%s %s", docker_kind_name(kind), json_text_or(one, "name", "?"));
		}
	}
}

static void look_ports(struct look *l)
{
	int64_t low, high;
	struct err err = {0};
	config_range(l->t->cfg, "SESSION_PORT_RANGE", &low, &high);
	for (int64_t port = low; port <= high; port++) {
		int64_t leased = 0;
		if (net_probe("127.0.0.1", (int)port, &err) == 0)
			continue;
		assert_ok(db_get_int(l->t->st->db, &leased, err,
		                     "SELECT count(*) FROM leases WHERE value = ?", "i", port));
		if (!leased)
			left(l, "port %lld is held", (long long)port);
	}
}

/* Every file has a place: those of listed sessions, and what an installation keeps. */
static void look_files(struct look *l, const char *below)
{
	static const char *const kept[] = {"install", "codefoundry.db",     "codefoundry.db-wal",
	                                   "bell",    "codefoundry.db-shm", "sessions.lock",
	                                   "jobs",    "worker.lock",        "cache",
	                                   "files",   "fault-gateway",      "sessions"};
	cleanup_free char *path = state_path(l->t->st, "%s", below);
	DIR *dir = opendir(path);
	struct dirent *e;
	while (dir && (e = readdir(dir))) {
		bool known = e->d_name[0] == '.';
		for (size_t i = 0; !*below && i < ARRAY_LEN(kept); i++)
			known |= !strcmp(e->d_name, kept[i]);
		size_t len = strlen(e->d_name);
		known |= !strcmp(below, "jobs") && len > 4 && !strcmp(e->d_name + len - 4, ".log");
		known |= !strcmp(below, "cache") && !strstr(e->d_name, ".tmp");
		known |= !strcmp(below, "sessions") && listed(l, NULL, e->d_name);
		if (!known)
			left(l, "file %s/%s", below, e->d_name);
	}
	if (dir)
		closedir(dir);
}

/* -- inside -- */

static void look_rows(struct look *l)
{
	static const struct {
		const char *what, *sql;
	} queries[] = {
	        {"leases without a session",
	         "SELECT count(*) FROM leases WHERE session NOT IN (SELECT uuid FROM sessions WHERE state <> "
	         "'failed')"},
	        {"steps without a session",
	         "SELECT count(*) FROM session_steps WHERE session NOT IN (SELECT uuid FROM sessions)"},
	        {"open receipts", "SELECT count(*) FROM receipts WHERE ok = 0"},
	        {"open jobs", "SELECT count(*) FROM jobs WHERE state IN ('queued','running')"},
	        {"jobs that failed without a reason", "SELECT count(*) FROM jobs WHERE state = 'failed' AND "
	                                              "(error IS NULL OR error LIKE '%without "
	                                              "saying why%')"},
	        {"jobs that complain of a locked database as SQLite does",
	         "SELECT count(*) FROM jobs WHERE error LIKE '%database is locked%'"},
	};
	for (size_t i = 0; i < ARRAY_LEN(queries); i++) {
		int64_t n = count(l->t, queries[i].sql);
		if (n)
			left(l, "%lld %s", (long long)n, queries[i].what);
	}
}

/* -- whole -- */

/* The restart of one service that could not start it again says so, and how to do it later. */
static bool said_so(struct test_state *t)
{
	return count(t,
	             "SELECT count(*) FROM jobs WHERE state = 'failed' AND error LIKE "
	             "'%may be stopped now; once the cause is gone: codefoundry session restart demo %'") > 0;
}

static void look_for(struct look *l, const struct session_row *row, enum docker_kind kind)
{
	struct err err = {0};
	cleanup_json cJSON *list = compose_objects(l->t->st, row->uuid, kind, &err);
	int n = cJSON_GetArraySize(list);
	if (n != 1) {
		left(l, "session %s has %d %ss", row->name, n, docker_kind_name(kind));
		return;
	}
	const char *state = json_text_or(list->child, "state", "");
	bool runs = !strcmp(state, "running"), ended = !strcmp(state, "exited");
	cleanup_free char *killed = cell_path(ENGINE_KILLED);
	if (kind == DOCKER_CONTAINER &&
	    !(row->state == SESSION_RUNNING ? runs || (ended && (path_exists(killed) || said_so(l->t)))
	                                    : ended))
		left(l, "session %s is %s, its container %s", row->name, lifecycle_state_name(row->state),
		     state);
}

static void look_whole(struct look *l, const struct session_row *row)
{
	cleanup_free struct marker_proc *list = NULL;
	struct err err = {0};
	int64_t leases = 0, rows = 0;
	if (row->state != SESSION_RUNNING && row->state != SESSION_STOPPED)
		left(l, "session %s is %s", row->name, lifecycle_state_name(row->state));
	assert_ok(store_count(l->t->st, row->uuid, &rows, &leases, err));
	if (!leases)
		left(l, "session %s has no leases", row->name);
	if (!path_exists(row->dir))
		left(l, "session %s has no files", row->name);
	if (strcmp(row->engine, "process") != 0) {
		for (enum docker_kind kind = DOCKER_CONTAINER; kind <= DOCKER_VOLUME; kind++)
			look_for(l, row, kind);
		return;
	}
	int n = marker_find(l->t->st->install, row->uuid, &list, &err);
	if (row->state == SESSION_RUNNING && (n < SERVICES + 1 || !supervise_running(row->dir)))
		left(l, "session %s runs with %d processes", row->name, n);
}

int promise_leftovers(struct test_state *t, struct str *what)
{
	static const char *const places[] = {"", "jobs", "cache", "sessions"};
	struct look l = {.t = t, .what = what};
	assert_ok(store_rows(t->st, STORE_ALIVE, 0, &l.rows, &l.n, err));
	look_processes(&l);
	if (docker.image[0])
		look_objects(&l);
	look_ports(&l);
	for (size_t i = 0; i < ARRAY_LEN(places); i++)
		look_files(&l, places[i]);
	look_rows(&l);
	for (size_t i = 0; i < l.n; i++)
		look_whole(&l, &l.rows[i]);
	store_rows_free(l.rows, l.n);
	return l.leftovers + strangers_missing(what);
}

char *promise_state(struct test_state *t)
{
	char *state = NULL;
	assert_ok(db_get_text(t->st->db, &state, err,
	                      "SELECT state FROM sessions WHERE name = 'demo' AND state <> 'failed'", ""));
	return state ? state : mem_strdup("");
}
