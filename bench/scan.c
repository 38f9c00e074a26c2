/* How long the look takes that precedes every reap, and that the worker has twice a minute: with many rows, and with many containers.
 * What is measured runs in a child, so that whatever ends it somebody is left to remove the containers. */
#include "bench/containers.h"
#include "compose/docker.h"
#include "compose/override.h"
#include "core/clock.h"
#include "core/file.h"
#include "core/mem.h"
#include "sessions/lease_file.h"
#include "sessions/reap.h"
#include "sessions/session.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define ROWS 10000
#define CONTAINERS 1000
#define LOOKS 7
#define PORT_LOW 20000

struct run {
	const struct bench *b;
	struct config *cfg;
	struct state *st;
	char *image, *dir; /* of the state that has containers */
	size_t containers;
};

static void must(int rc, const struct err *err)
{
	if (rc)
		give_up("%s", err->msg);
}

static void open_state(struct run *r, const char *dir)
{
	static const struct setting *const tables[] = {state_settings, worker_settings, provider_settings,
	                                               session_settings, NULL};
	struct err err = {0};
	setenv("STATE_DIR", dir, 1);
	must(config_load(&r->cfg, tables, NULL, false, &err) || state_open(&r->st, r->cfg, &err), &err);
}

/* -- what is looked at -- */

static void name_of(size_t i, char *name, size_t size)
{
	snprintf(name, size, "s%zu", i);
}

/* Sessions that were stopped and kept, each with a lease. */
static void make_rows(struct run *r, size_t n, const char *engine)
{
	struct err err = {0};
	int64_t now = clock_now_ms();
	must(db_begin(r->st->db, &err), &err);
	for (size_t i = 0; i < n; i++) {
		char uuid[ID_UUID_LEN + 1], name[24];
		id_uuid(uuid);
		name_of(i, name, sizeof(name));
		cleanup_free char *dir = state_path(r->st, "sessions/%s", name);
		must(db_run(r->st->db, &err,
		            "INSERT INTO sessions (uuid, name, owner, engine, state, spec, dir, created_at, "
		            "started_at, stopped_at,"
		            " expires_at, hard_expires_at, idle_ms, used_at) VALUES (?, ?, 'cli:bench', ?, "
		            "'stopped',"
		            " '{\"services\":[\"telegram\",\"gateway\",\"telegram-bot\",\"test-runner\"]}', "
		            "?, ?6, ?6, ?6, ?5, ?5, 3600000, ?6)",
		            "ttttii", uuid, name, engine, dir, now + 86400000, now) ||
		             db_run(r->st->db, &err,
		                    "INSERT INTO leases (kind, value, session, purpose, taken_at) VALUES "
		                    "('port', ?, ?, 'web', ?)",
		                    "iti", (int64_t)(PORT_LOW + i), uuid, now),
		     &err);
	}
	must(db_commit(r->st->db, &err), &err);
}

/* Their directories; the program's own way would sync each. */
static void make_files(struct run *r)
{
	cleanup_query struct query q = QUERY_INIT;
	struct err err = {0};
	must(db_query(r->st->db, &q, &err, "SELECT uuid, dir, generation FROM sessions", ""), &err);
	while (query_next(&q, &err) > 0) {
		cleanup_free char *path = mem_printf("%s/" LEASE_FILE, query_text(&q, 1));
		struct timespec times[2] = {
		        {.tv_nsec = UTIME_NOW},
		        {.tv_sec = 1,
		         .tv_nsec = (long)lease_file_stamp_of(query_text(&q, 0), query_int(&q, 2))}};
		must(dir_make(query_text(&q, 1), 0700, &err), &err);
		cleanup_close int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
		if (fd < 0 || futimens(fd, times))
			give_up("%s: %s", path, strerror(errno));
	}
}

static void make_container(struct run *r, const char *uuid, const char *name)
{
	struct err err = {0};
	char expires[24];
	cleanup_free char *path = mem_printf("/containers/create?name=cfb%d-%s-web", (int)getppid(), name);
	cleanup_json cJSON *body = json_object();
	cJSON *labels = json_object();
	snprintf(expires, sizeof(expires), "%lld", (long long)clock_now_ms() / 1000 + 86400);
	json_add_text(labels, LABEL_INSTALL, r->st->install);
	json_add_text(labels, LABEL_SESSION, uuid);
	json_add_text(labels, LABEL_NAME, name);
	json_add_text(labels, LABEL_EXPIRES, expires);
	json_add_text(labels, LABEL_SERVICE, "web");
	json_add_text(body, "Image", r->image);
	json_add(body, "Labels", labels);
	must(docker_call("POST", path, body, 0, NULL, &err), &err);
}

static void make_containers(struct run *r)
{
	cleanup_query struct query q = QUERY_INIT;
	struct err err = {0};
	must(db_query(r->st->db, &q, &err, "SELECT uuid, name FROM sessions", ""), &err);
	while (query_next(&q, &err) > 0)
		make_container(r, query_text(&q, 0), query_text(&q, 1));
}

/* -- looking -- */

static double now_ms(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1000 + (double)t.tv_nsec / 1e6;
}

static void print_looks(const struct run *r, const char *what, double goal_ms)
{
	double took[LOOKS], cpu[LOOKS];
	for (size_t i = 0; i < LOOKS; i++) {
		struct reap_plan plan;
		struct err err = {0};
		int64_t used = process_cpu_ns(getpid());
		double began = now_ms();
		must(reap_look(r->st, true, &plan, &err), &err);
		took[i] = now_ms() - began;
		cpu[i] = (double)(process_cpu_ns(getpid()) - used) / 1e6;
		if (reap_due(&plan))
			give_up("the look found something to do: %s %s", plan.list[0].what,
			        plan.list[0].reason);
		reap_free(&plan);
	}
	double middle = median(took, LOOKS);
	printf("  %-44s %8.1f ms  %8.1f ms  %5.1f-%.1f ms  (goal %.0f ms)\n", what, middle,
	       median(cpu, LOOKS), took[0], took[LOOKS - 1], goal_ms);
}

static void measure(void *arg)
{
	struct run *r = arg;
	cleanup_free char *rows = new_dir(r->b, "scan-rows");
	char what[64];
	printf("  %-44s %11s  %11s  %s\n", "one look", "median", "CPU", "lowest-highest");
	open_state(r, rows);
	make_rows(r, ROWS, "process");
	make_files(r);
	snprintf(what, sizeof(what), "%d kept sessions, their files and leases", ROWS);
	print_looks(r, what, 50);
	state_close(r->st);
	config_free(r->cfg);
	if (!r->image)
		return;
	open_state(r, r->dir);
	make_rows(r, r->containers, "compose");
	make_files(r);
	make_containers(r);
	snprintf(what, sizeof(what), "%zu labelled containers", r->containers);
	print_looks(r, what, 500);
	state_close(r->st);
	config_free(r->cfg);
}

/* -- the end -- */

/* Of this run; returns how many there were. */
static size_t remove_containers(const struct run *r)
{
	cleanup_free char *path = mem_printf("%s/install", r->dir), *install = NULL;
	struct err err = {0};
	size_t n = 0;
	if (file_read(path, 256, &install, NULL, &err))
		return 0; /* it was not got to */
	install[strcspn(install, "\n")] = '\0';
	cleanup_free char *label = mem_printf(LABEL_INSTALL "=%s", install);
	const char *const labels[] = {label, NULL};
	cleanup_json cJSON *list = docker_list(DOCKER_CONTAINER, labels, &err);
	const cJSON *one;
	if (!list)
		give_up("containers with label %s may be left: %s", label, err.msg);
	cJSON_ArrayForEach(one, list)
	{
		must(docker_remove(DOCKER_CONTAINER, json_text_or(one, "id", ""), &err), &err);
		n++;
	}
	return n;
}

static char *make_image(const struct bench *b)
{
	const char *const build[] = {b->program, "--env", "/dev/null", "image", "build", NULL},
	                  *const show[] = {b->program, "--env", "/dev/null", "image", "show", "--json", NULL};
	struct err err = {0};
	cleanup_free char *text = NULL;
	cleanup_json cJSON *info = docker_info(&err);
	if (!info || bench_run(build, NULL, &err) || bench_run(show, &text, &err)) {
		printf("scan: without containers: %s\n", err.msg);
		return NULL;
	}
	cleanup_json cJSON *image = json_parse(text, strlen(text), &err);
	return mem_strdup(json_text_or(image, "reference", ""));
}

void bench_scan(const struct bench *b)
{
	const char *wanted = getenv("BENCH_SCAN_CONTAINERS");
	struct run r = {.b = b, .containers = wanted ? (size_t)atoi(wanted) : CONTAINERS};
	setenv("STATE_DIR", b->dir, 1);
	r.image = make_image(b);
	r.dir = new_dir(b, "scan-containers");
	bool well = bench_guarded(measure, &r);
	size_t removed = remove_containers(&r);
	if (well && r.image && removed != r.containers)
		give_up("%zu of %zu containers were there to be removed", removed, r.containers);
	free(r.image);
	free(r.dir);
	if (!well)
		give_up("it was ended early; %zu containers were removed, and nothing of it is left",
		        removed);
}
