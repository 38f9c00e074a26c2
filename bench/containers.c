/* Sessions of containers beside the compose tool alone: the same files, the same image, alternating rounds. What is measured runs in a
 * child, so that whatever ends it (a failure, Ctrl-C, the time limit of make) somebody is left to remove what it made. */
#include "bench/containers.h"
#include "compose/docker.h"
#include "compose/override.h"
#include "core/clock.h"
#include "core/file.h"
#include "core/json.h"
#include "core/mem.h"
#include "jobs/job.h"
#include "jobs/state.h"
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#define SINGLE_ROUNDS 5
#define PORT_LOW 28000
#define PORT_HIGH 28199
#define EVENTS_MAX 10000
#define MIB 1048576.0

enum side { OURS, BARE, SIDES };
enum figure { START, TOOL_UP, STOP, AT_ONCE, AT_ONCE_STOP, FIGURES };

struct series {
	double ms[SIDES][SINGLE_ROUNDS], cpu[SIDES][SINGLE_ROUNDS];
	size_t n;
};

struct run {
	const struct bench *b;
	struct provider tool;
	char *state, *prefix, *label; /* label: of the peers' objects, in place of our installation's */
	size_t at_once;
	struct bare bare[AT_ONCE_MAX];
	double *up_ms; /* [AT_ONCE_MAX], shared with children */
	struct series figures[FIGURES];
	double noticed_ms[SINGLE_ROUNDS], before_ms[SINGLE_ROUNDS], nine_ms;
};

/* -- ours -- */

static int ours(const struct run *r, char **out, const char *const *args, struct err *err)
{
	const char *argv[12] = {r->b->program, "--env", "/dev/null"};
	for (size_t n = 3; *args && n < ARRAY_LEN(argv) - 1; n++)
		argv[n] = *args++;
	return bench_run(argv, out, err);
}
#define OURS_RUN(r, out, err, ...) ours(r, out, (const char *const[]){__VA_ARGS__, NULL}, err)

static char *session_name(size_t k)
{
	return mem_printf("s%zu", k);
}

static int ours_up(struct run *r, size_t k, struct err *err)
{
	cleanup_free char *name = session_name(k);
	return OURS_RUN(r, NULL, err, "session", "start", name);
}

static int ours_down(struct run *r, size_t k, struct err *err)
{
	cleanup_free char *name = session_name(k);
	return OURS_RUN(r, NULL, err, "session", "stop", name);
}

static int peer_up(struct run *r, size_t k, struct err *err)
{
	return bare_up(&r->bare[k], &r->tool, &r->up_ms[k], err);
}

static int peer_down(struct run *r, size_t k, struct err *err)
{
	return bare_down(&r->bare[k], &r->tool, err);
}

/* -- time and CPU of some at once -- */

static double children_cpu_ms(void)
{
	struct rusage u;
	getrusage(RUSAGE_CHILDREN, &u);
	return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1000 +
	       (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1000;
}

typedef int act(struct run *r, size_t k, struct err *err);

/* Do ${what} for each of ${n} at once; the time until the last is done goes into ${s}. */
static void together(struct run *r, act *what, size_t n, struct series *s, enum side side)
{
	pid_t pids[AT_ONCE_MAX], parent = getpid();
	double cpu = children_cpu_ms();
	int64_t began = clock_mono_ms();
	bool failed = false;
	fflush(stdout);
	for (size_t k = 0; k < n; k++) {
		pids[k] = fork();
		if (pids[k] < 0)
			give_up("fork: %s", strerror(errno));
		if (pids[k] > 0)
			continue;
		struct err err = {0};
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		int rc = getppid() == parent ? what(r, k, &err) : -1;
		if (rc)
			fprintf(stderr, "bench: %s\n", err.msg);
		_exit(rc ? 1 : 0);
	}
	for (size_t k = 0; k < n; k++) {
		int status = 0;
		failed |= waitpid(pids[k], &status, 0) < 0 || status != 0;
	}
	if (failed)
		give_up("one of %zu at once failed", n);
	s->ms[side][s->n] = (double)(clock_mono_ms() - began);
	s->cpu[side][s->n] = children_cpu_ms() - cpu;
}

/* -- what the job says of its stages -- */

struct stages {
	int64_t queued, start, wait, done;
};

static void note_stage(void *arg, const struct job_event *event)
{
	struct stages *s = arg;
	const char *stage = event->stage ? event->stage : "";
	if (!strcmp(event->type, "state") && !strcmp(stage, "queued"))
		*s = (struct stages){.queued = event->at};
	else if (!strcmp(event->type, "progress") && !strcmp(stage, "start"))
		s->start = event->at;
	else if (!strcmp(event->type, "progress") && !strcmp(stage, "wait") && !s->wait)
		s->wait = event->at;
	else if (!strcmp(event->type, "progress") && !strcmp(stage, "done"))
		s->done = event->at;
}

/* Of the last job, which is the start of s0. */
static struct stages last_stages(void)
{
	static const struct setting *const tables[] = {state_settings, NULL};
	struct stages s = {0};
	struct config *cfg = NULL;
	struct state *st = NULL;
	struct err err = {0};
	if (config_load(&cfg, tables, NULL, false, &err) || state_open(&st, cfg, &err) ||
	    jobs_events(st, 0, 0, EVENTS_MAX, note_stage, &s, &err))
		give_up("%s", err.msg);
	state_close(st);
	config_free(cfg);
	return s;
}

/* -- one round -- */

static void single_ours(struct run *r, size_t round)
{
	struct series *up = &r->figures[TOOL_UP];
	together(r, ours_up, 1, &r->figures[START], OURS);
	struct stages s = last_stages();
	up->ms[OURS][round] = (double)(s.wait - s.start);
	r->noticed_ms[round] = (double)(s.done - s.wait);
	r->before_ms[round] = (double)(s.start - s.queued);
	together(r, ours_down, 1, &r->figures[STOP], OURS);
}

static void single_bare(struct run *r, size_t round)
{
	together(r, peer_up, 1, &r->figures[START], BARE);
	r->figures[TOOL_UP].ms[BARE][round] = r->up_ms[0];
	together(r, peer_down, 1, &r->figures[STOP], BARE);
}

static void several_ours(struct run *r, size_t round)
{
	(void)round;
	together(r, ours_up, r->at_once, &r->figures[AT_ONCE], OURS);
	together(r, ours_down, r->at_once, &r->figures[AT_ONCE_STOP], OURS);
}

static void several_bare(struct run *r, size_t round)
{
	(void)round;
	together(r, peer_up, r->at_once, &r->figures[AT_ONCE], BARE);
	together(r, peer_down, r->at_once, &r->figures[AT_ONCE_STOP], BARE);
}

/* Who goes first changes from round to round. */
static void rounds(struct run *r, size_t n, void (*first)(struct run *, size_t),
                   void (*second)(struct run *, size_t), enum figure from, enum figure to)
{
	for (size_t i = 0; i < n; i++) {
		(i % 2 ? second : first)(r, i);
		(i % 2 ? first : second)(r, i);
		for (enum figure f = from; f <= to; f++)
			r->figures[f].n++;
	}
}

/* -- what is left -- */

static size_t left_with(const char *label, const char *value)
{
	cleanup_free char *filter = mem_printf("%s=%s", label, value);
	const char *const labels[] = {filter, NULL};
	size_t left = 0;
	for (enum docker_kind kind = DOCKER_CONTAINER; kind < DOCKER_KINDS; kind++) {
		struct err err = {0};
		cleanup_json cJSON *list = docker_list(kind, labels, &err);
		if (!list)
			give_up("%s", err.msg);
		left += (size_t)cJSON_GetArraySize(list);
	}
	return left;
}

static char *install_of(const struct run *r)
{
	cleanup_free char *path = mem_printf("%s/install", r->state);
	struct err err = {0};
	char *text = NULL;
	if (file_read(path, 256, &text, NULL, &err))
		return NULL; /* nothing was made yet */
	text[strcspn(text, "\n")] = '\0';
	return text;
}

static size_t left(const struct run *r)
{
	cleanup_free char *install = install_of(r);
	return left_with(LABEL_INSTALL, r->label) + (install ? left_with(LABEL_INSTALL, install) : 0);
}

/* Whatever was made, by its names. */
static void tidy(struct run *r)
{
	struct err ignored = {0};
	fprintf(stderr, "bench: removing what was started\n");
	for (size_t k = 0; k < r->at_once; k++) {
		ours_down(r, k, &ignored);
		peer_down(r, k, &ignored);
	}
}

/* -- the report -- */

static const struct {
	const char *name;
	double goal; /* ratio; 0: none */
} rows[FIGURES] = {
        [START] = {"start, until healthy", 1.10},    [TOOL_UP] = {"  of it the compose tool's `up`", 0},
        [STOP] = {"stop, until nothing is left", 0}, [AT_ONCE] = {"%zu at once, until all are healthy", 1.15},
        [AT_ONCE_STOP] = {"%zu at once stopped", 0},
};

/* The middle of the rounds' own ratios, lowest and highest: what else the machine did meanwhile is in both halves of a round. */
static void print_ratios(const struct series *s)
{
	double ratios[SINGLE_ROUNDS];
	for (size_t i = 0; i < s->n; i++)
		ratios[i] = s->ms[OURS][i] / s->ms[BARE][i];
	double middle = median(ratios, s->n); /* which sorts them */
	printf(" %7.2f  %4.2f-%4.2f", middle, ratios[0], ratios[s->n - 1]);
}

/* Of a copy: the rounds stay in their order for the ratios. */
static double middle_ms(const struct series *s, enum side side)
{
	double values[SINGLE_ROUNDS];
	memcpy(values, s->ms[side], sizeof(values));
	return median(values, s->n);
}

static void print_row(struct run *r, enum figure f)
{
	struct series *s = &r->figures[f];
	cleanup_free char *several = mem_printf("%zu%s", r->at_once, strchr(rows[f].name, ' '));
	const char *name = rows[f].name[0] == '%' ? several : rows[f].name;
	char goal[16] = "";
	if (rows[f].goal > 0)
		snprintf(goal, sizeof(goal), "%.2f", rows[f].goal);
	printf("  %-40s %6.0f ms %6.0f ms", name, middle_ms(s, OURS), middle_ms(s, BARE));
	print_ratios(s);
	printf(" %6s", goal);
	if (f == TOOL_UP)
		printf("\n");
	else
		printf("   %6.0f ms %6.0f ms\n", median(s->cpu[OURS], s->n), median(s->cpu[BARE], s->n));
}

static void print_alone(const char *name, double value, const char *unit, const char *goal)
{
	printf("  %-40s %6.0f %s", name, value, unit);
	if (*goal)
		printf(" %35s", goal);
	printf("\n");
}

static void report(struct run *r)
{
	cleanup_free char *title = mem_printf("%s %s", r->tool.name, r->tool.version);
	printf("sessions of containers beside bare %s; medians of %d, at once of %d\n", title, SINGLE_ROUNDS,
	       ROUNDS);
	printf("  %-40s %9s %9s %7s %10s %6s   %19s\n", "", "ours", "bare", "ratio", "lo-hi", "goal",
	       "CPU: ours, bare");
	for (enum figure f = 0; f < FIGURES; f++)
		print_row(r, f);
	print_alone("before the compose tool is called", median(r->before_ms, SINGLE_ROUNDS), "ms", "");
	print_alone("ready noticed after `up` has ended", median(r->noticed_ms, SINGLE_ROUNDS), "ms", "100");
	print_alone("the nine scenarios in a session", r->nine_ms, "ms", "10000");
}

/* -- one compose tool -- */

/* A session to take the peers' files from; it also fills the cache and runs the scenarios. */
static void prime(struct run *r)
{
	struct err err = {0};
	cleanup_free char *dir = mem_printf("%s/sessions/s0", r->state), *shown = NULL,
	                  *project = mem_printf("%s-s0", r->prefix);
	if (ours_up(r, 0, &err) || OURS_RUN(r, &shown, &err, "session", "show", "s0", "--json"))
		give_up("%s", err.msg);
	cleanup_json cJSON *session = json_parse(shown, strlen(shown), &err);
	cleanup_free char *install = install_of(r);
	const struct bare_template from = {.dir = dir,
	                                   .project = project,
	                                   .port_low = PORT_LOW,
	                                   .port_high = PORT_HIGH,
	                                   .install = install ? install : "?",
	                                   .uuid = json_text_or(session, "uuid", "?")};
	for (size_t k = 0; k < r->at_once; k++)
		bare_write(&r->bare[k], &from, r->label, k);
	int64_t began = clock_mono_ms();
	if (OURS_RUN(r, NULL, &err, "test", "run", "--session", "s0"))
		give_up("%s", err.msg);
	r->nine_ms = (double)(clock_mono_ms() - began);
	if (ours_down(r, 0, &err))
		give_up("%s", err.msg);
}

static void measure(struct run *r)
{
	rounds(r, SINGLE_ROUNDS, single_ours, single_bare, START, STOP);
	rounds(r, ROUNDS, several_ours, several_bare, AT_ONCE, AT_ONCE_STOP);
	report(r);
	size_t n = left(r);
	printf("  left behind: %zu\n", n);
	if (n)
		give_up("%zu containers, networks or volumes were left", n);
}

static void measure_all(void *arg)
{
	prime(arg);
	measure(arg);
}

static void run_guarded(struct run *r)
{
	if (bench_guarded(measure_all, r))
		return;
	tidy(r);
	size_t n = left(r);
	give_up("ended early; %zu containers, networks or volumes are left", n);
}

/* For the program, and for us: both look into the environment. */
static void set_environment(const struct run *r)
{
	static const char *const unset[] = {"TELEGRAM_BOT_TOKEN", "COMPOSE_FILE", "COMPOSE_PROFILES",
	                                    "CODEFOUNDRY_IMAGE",  "SESSION_NAME", "SESSION_MAX_PER_USER"};
	char range[32];
	snprintf(range, sizeof(range), "%d-%d", PORT_LOW, PORT_HIGH);
	const char *const set[][2] = {{"STATE_DIR", r->state},
	                              {"ENGINE", "compose"},
	                              {"COMPOSE_PROVIDER", r->tool.name},
	                              {"COMPOSE_PROJECT_NAME", r->prefix},
	                              {"SESSION_PORT_RANGE", range},
	                              {"SESSION_SUBNET_POOL", "10.198.0.0/17"},
	                              {"SESSION_MAX_COUNT", "20"}};
	for (size_t i = 0; i < ARRAY_LEN(unset); i++)
		unsetenv(unset[i]);
	for (size_t i = 0; i < ARRAY_LEN(set); i++)
		setenv(set[i][0], set[i][1], 1);
}

static void compare(const struct bench *b, const struct provider *tool)
{
	const char *wanted = getenv("BENCH_AT_ONCE");
	int at_once = wanted ? atoi(wanted) : 3;
	struct run r = {.b = b, .tool = *tool, .state = new_dir(b, "containers")};
	r.prefix = mem_printf("cfb%d", (int)getpid());
	r.label = mem_printf("bench-%d", (int)getpid());
	r.at_once = at_once < 1 ? 1 : at_once > AT_ONCE_MAX ? AT_ONCE_MAX : (size_t)at_once;
	r.up_ms = mmap(NULL, AT_ONCE_MAX * sizeof(*r.up_ms), PROT_READ | PROT_WRITE,
	               MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (r.up_ms == MAP_FAILED)
		give_up("no memory to share");
	for (size_t k = 0; k < r.at_once; k++)
		bare_name(&r.bare[k], b, r.prefix, k);
	set_environment(&r);
	run_guarded(&r);
	for (size_t k = 0; k < r.at_once; k++)
		bare_free(&r.bare[k]);
	munmap(r.up_ms, AT_ONCE_MAX * sizeof(*r.up_ms));
	free(r.state);
	free(r.prefix);
	free(r.label);
}

static void print_image(const struct bench *b)
{
	struct run r = {.b = b};
	struct err err = {0};
	cleanup_free char *text = NULL;
	if (OURS_RUN(&r, &text, &err, "image", "show", "--json"))
		give_up("%s", err.msg);
	cleanup_json cJSON *info = json_parse(text, strlen(text), &err);
	printf("image: %.1f MiB compressed (goal 16), %.1f MiB unpacked (goal 35)\n",
	       (double)json_int(info, "compressed_bytes", 0) / MIB,
	       (double)json_int(info, "layer_bytes", 0) / MIB);
}

void bench_containers(const struct bench *b)
{
	static const char *const tools[] = {PROVIDER_V1, PROVIDER_V2};
	cleanup_free char *build = mem_strndup(b->program, (size_t)(strrchr(b->program, '/') - b->program)),
	                  *v2 = mem_printf("%s/compose-v2", build), *absolute = realpath(v2, NULL);
	struct err err = {0};
	cleanup_json cJSON *info = docker_info(&err);
	if (!info) {
		printf("containers: %s\n", err.msg);
		return;
	}
	if (absolute)
		setenv("DOCKER_CONFIG", absolute, 1);
	for (size_t i = 0; i < ARRAY_LEN(tools); i++) {
		struct provider tool;
		if (provider_find(tools[i], &tool, &err))
			printf("containers: %s\n", err.msg);
		else
			compare(b, &tool);
	}
	print_image(b);
}
