/* crash_matrix [--engine process|compose] [--provider NAME] [--below[=N]] [--op NAME] [--fault TEXT] [--at TEXT] [--every N] [--table FILE] */
#include "core/clock.h"
#include "core/file.h"
#include "core/mem.h"
#include "core/proc.h"
#include "tests/crash/crash.h"
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define CELL_S 300
#define POINTS_MAX 2000
#define REPORT_MAX (256u << 10)

static struct {
	const char *op, *fault, *at, *provider, *table;
	int engine;       /* -1: both */
	int every, below; /* each n-th cell; below the steps, 0: none */
} options = {.engine = -1, .every = 1, .provider = "docker-compose"};

static int tests, failures, turn;
static char work[32]; /* holds the cells and the stand-ins */

static volatile sig_atomic_t told_to_end;

static void on_signal(int sig)
{
	(void)sig;
	told_to_end = 1;
}

/* -- what a cell leaves running -- */

static bool is_stray(pid_t pid)
{
	char path[64], text[512] = "";
	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	int parent = 0;
	if (pid == stranger_process() || file_peek(path, text, sizeof(text)) <= 0)
		return false;
	const char *end = strrchr(text, ')');
	return end && sscanf(end + 1, " %*c %d", &parent) == 1 && parent == getpid() &&
	       (strstr(text, "(crash_matrix)") || strstr(text, "(docker-compose)"));
}

/* Everything whose parent ended is our child. Returns how many had to be killed. */
static int kill_strays(void)
{
	int killed = 0, n;
	do {
		DIR *dir = opendir("/proc");
		struct dirent *e;
		n = 0;
		while (dir && (e = readdir(dir))) {
			pid_t pid = (pid_t)atoi(e->d_name);
			if (!isdigit((unsigned char)*e->d_name) || !is_stray(pid))
				continue;
			if (waitpid(pid, NULL, WNOHANG) == pid)
				continue; /* it had ended */
			kill(pid, SIGKILL);
			waitpid(pid, NULL, 0);
			n++;
		}
		closedir(dir);
		killed += n;
	} while (n);
	return killed;
}

/* -- one cell -- */

static void be_cell(const struct cell *cell, const char *dir)
{
	cleanup_free char *report = mem_printf("%s/report", dir), *errors = mem_printf("%s/stderr", dir);
	cleanup_close int fd = open(errors, O_WRONLY | O_CREAT | O_APPEND, 0600);
	dup2(fd, 2);
	dup2(fd, 1); /* what the helpers of the tests say */
	FILE *out = fopen(report, "we");
	cell_open(dir);
	cell_run(cell, out);
	fclose(out);
}

static pid_t running_cell;

static void on_alarm(int sig)
{
	(void)sig;
	kill(running_cell, SIGKILL);
}

/* Returns whether it ended well. What lost its parent is our child, and is reaped here. */
static bool await_cell(pid_t pid)
{
	int status = 0;
	pid_t ended;
	running_cell = pid;
	signal(SIGALRM, on_alarm);
	alarm(CELL_S);
	while ((ended = waitpid(-1, &status, 0)) != pid)
		if (ended < 0 && errno != EINTR)
			return false;
	alarm(0);
	return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static char *read_text(const char *dir, const char *name)
{
	cleanup_free char *path = mem_printf("%s/%s", dir, name);
	char *text = NULL;
	struct err err = {0};
	return file_read(path, REPORT_MAX, &text, NULL, &err) ? mem_strdup("") : text;
}

static void show(const struct cell *cell, bool good, const char *text, int64_t ms)
{
	printf("%sok %d - %s: %s, %s: %s (%lld ms)\n", good ? "" : "not ", ++tests,
	       cell->engine == ON_PROCESS ? "process" : "compose", cell->op->name, cell->point.what,
	       cell->fault < 0 ? "unhurt" : faults[cell->fault].name, (long long)ms);
	if (good)
		return;
	failures++;
	cleanup_free char *copy = mem_strdup(text);
	char *rest = copy, *line;
	while ((line = strsep(&rest, "\n")))
		if (*line && !strstr(line, "\"level\":\"info\""))
			printf("# %s\n", line);
}

/* Run ${cell} in a process of its own. Its points, when it is recorded, are in ${*points}. */
static void run_cell(const struct cell *cell, char **points)
{
	cleanup_free char *dir = mem_printf("%s/c", work);
	struct err err = {0};
	int64_t began = clock_mono_ms();
	if (dir_make(dir, 0700, &err)) {
		fprintf(stderr, "%s\n", err.msg);
		exit(1);
	}
	fflush(stdout);
	pid_t pid = fork();
	if (pid == 0) {
		be_cell(cell, dir);
		_exit(0);
	}
	bool ended = await_cell(pid);
	int strays = kill_strays(), left = -1;
	cleanup_free char *report = read_text(dir, "report"), *errors = read_text(dir, "stderr"),
	                  *text = NULL;
	if (points)
		*points = read_text(dir, "points");
	int64_t ms = clock_mono_ms() - began;
	const char *lines = strchr(report, '\n');
	if (ended)
		left = atoi(report);
	text = mem_printf("%s%s%s%s", ended ? "" : "the cell itself broke\n", lines ? lines + 1 : "",
	                  strays && ended ? "processes that nobody knew of\n" : "", errors);
	left = !ended ? 1 : left >= 0 ? left + strays : left;
	if (!ended && cell->engine == ON_COMPOSE)
		engine_sweep();
	if (left != -1)
		show(cell, left == 0, text, ms);
	if (left != -1 && cell->fault >= 0)
		table_add(cell, left, text);
	if (tree_remove(dir, &err))
		fprintf(stderr, "%s\n", err.msg);
}

/* -- all of them -- */

static bool wanted(const char *text, const char *pattern)
{
	return !pattern || strstr(text, pattern);
}

static void hurt(struct cell *cell)
{
	static const unsigned below = BIT(AT_SQL) | BIT(AT_SPAWN) | BIT(AT_INNER);
	int every = BIT(cell->point.source) & below ? options.below : options.every;
	if (!wanted(cell->point.what, options.at) || !every)
		return;
	for (size_t f = 0; f < fault_count; f++) {
		if (!(faults[f].engines & BIT(cell->engine)) || !(faults[f].at & BIT(cell->point.source)) ||
		    !wanted(faults[f].name, options.fault) || told_to_end || turn++ % every)
			continue;
		cell->fault = (int)f;
		run_cell(cell, NULL);
	}
}

/* Find the points of an operation by watching it once, and hurt it at each. */
static void hurt_everywhere(enum engine_kind engine, const struct op *op)
{
	struct cell cell = {.engine = engine, .op = op, .fault = -1, .point = {.what = "before it begins"}};
	int seen[SOURCE_COUNT] = {0};
	cleanup_free char *points = NULL;
	run_cell(&cell, &points);
	hurt(&cell);
	char *rest = points, *line;
	while ((line = strsep(&rest, "\n"))) {
		int source;
		if (sscanf(line, "%d %63[^\n]", &source, cell.point.what) != 2)
			continue;
		cell.point.source = (enum source)source;
		cell.point.n = ++seen[source];
		hurt(&cell);
	}
}

static void run_engine(enum engine_kind engine)
{
	if (engine == ON_COMPOSE)
		engine_open();
	strangers_plant(engine);
	for (size_t i = 0; i < op_count; i++)
		if (wanted(ops[i].name, options.op) && !told_to_end)
			hurt_everywhere(engine, &ops[i]);
	strangers_remove();
	if (engine == ON_COMPOSE)
		engine_close();
}

/* -- a machine of its own, as far as that goes -- */

static void loopback_up(void)
{
	struct ifreq r = {.ifr_flags = IFF_UP | IFF_RUNNING};
	cleanup_close int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	snprintf(r.ifr_name, sizeof(r.ifr_name), "lo");
	if (ioctl(fd, SIOCSIFFLAGS, &r))
		perror("lo");
}

static void isolate(void)
{
	if (unshare(CLONE_NEWNET | CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
	    prctl(PR_SET_CHILD_SUBREAPER, 1)) {
		perror("a network and mounts of its own (it needs root)");
		exit(1);
	}
	loopback_up();
	snprintf(work, sizeof(work), "/tmp/cfm.XXXXXX");
	cleanup_free char *tools = mkdtemp(work) ? mem_printf("%s/bin", work) : NULL;
	struct err err = {0};
	if (!tools || dir_make(tools, 0700, &err))
		exit(1);
	tools_open(tools);
	setenv("COMPOSE_PROVIDER", options.provider, 1);
	cleanup_free char *cache = mem_printf("%s/cache", work);
	setenv("CRASH_CACHE", cache, 1);
	if (!strcmp(options.provider, "docker-compose-v2") && getenv("CODEFOUNDRY_TEST_COMPOSE_V2"))
		setenv("DOCKER_CONFIG", getenv("CODEFOUNDRY_TEST_COMPOSE_V2"), 1);
}

static void parse(int argc, char **argv)
{
	static const struct option list[] = {
	        {"engine", 1, NULL, 'e'}, {"provider", 1, NULL, 'p'}, {"below", 2, NULL, 'b'},
	        {"op", 1, NULL, 'o'},     {"fault", 1, NULL, 'f'},    {"at", 1, NULL, 'a'},
	        {"every", 1, NULL, 'n'},  {"table", 1, NULL, 't'},    {NULL, 0, NULL, 0}};
	int c;
	while ((c = getopt_long(argc, argv, "", list, NULL)) != -1) {
		switch (c) {
		case 'e':
			options.engine = !strcmp(optarg, "compose") ? ON_COMPOSE : ON_PROCESS;
			break;
		case 'p':
			options.provider = optarg;
			break;
		case 'b':
			options.below = optarg && atoi(optarg) > 0 ? atoi(optarg) : 1;
			break;
		case 'o':
			options.op = optarg;
			break;
		case 'f':
			options.fault = optarg;
			break;
		case 'a':
			options.at = optarg;
			break;
		case 'n':
			options.every = atoi(optarg) > 0 ? atoi(optarg) : 1;
			break;
		case 't':
			options.table = optarg;
			break;
		default:
			exit(2);
		}
	}
}

int main(int argc, char **argv)
{
	int rc = role_main(argc, argv);
	if (rc >= 0)
		return rc;
	parse(argc, argv);
	sigaction(SIGTERM, &(struct sigaction){.sa_handler = on_signal}, NULL);
	sigaction(SIGINT, &(struct sigaction){.sa_handler = on_signal}, NULL);
	isolate();
	for (int engine = ON_PROCESS; engine < ENGINE_KINDS; engine++)
		if ((options.engine < 0 || options.engine == engine) && !told_to_end)
			run_engine((enum engine_kind)engine);
	printf("1..%d\n", tests);
	struct err err = {0};
	FILE *table = options.table ? fopen(options.table, "we") : NULL;
	if (table) {
		table_write(table);
		fclose(table);
	}
	if (tree_remove(work, &err))
		fprintf(stderr, "%s\n", err.msg);
	return failures || !tests || told_to_end;
}
