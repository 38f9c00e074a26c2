/* Runs test programs that write TAP and adds them up: a line per program, what failed with its output, and one last line
 * `N passed, N failed` (`, N skipped`). A program that crashes, hangs, stops before its plan is fulfilled or tests nothing has
 * failed, whatever it printed before. Programs without arguments run two at a time with -j 2, those behind -- one after the other. cmocka 1.1.5 writes TAP to stdout, a plan per group, and a skip as "not ok 3 # SKIP". */
#include "core/clock.h"
#include "core/mem.h"
#include "core/proc.h"
#include "core/str.h"
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define TIMEOUT_MS 600000
#define MAX_OUTPUT (16u << 20)
#define SHOWN_STDERR 4000

struct count {
	long passed, failed, skipped;
};

/* One program's TAP while it is read line by line. */
struct reading {
	struct count n;
	long planned;
	struct str pending;  /* lines that belong to the next result */
	struct str failures; /* what is shown */
	bool last_failed;    /* lines that follow belong to a failed result */
};

static bool starts(const char *line, const char *word)
{
	size_t n = strlen(word);
	return strncmp(line, word, n) == 0 && (line[n] == '\0' || isspace((unsigned char)line[n]));
}

static void add_line(struct str *out, const char *line)
{
	str_addf(out, "      %s\n", line);
}

static void read_result(struct reading *r, const char *line, bool ok)
{
	const char *directive = strchr(line, '#');
	bool skip = directive &&
	            (strstr(directive, "# SKIP") == directive || strstr(directive, "# skip") == directive);
	r->last_failed = !ok && !skip;
	if (skip)
		r->n.skipped++;
	else if (ok)
		r->n.passed++;
	else
		r->n.failed++;
	if (r->last_failed)
		str_addf(&r->failures, "    %s\n%s", line, str_text(&r->pending));
	str_cut(&r->pending, 0);
}

static void read_line(struct reading *r, const char *line)
{
	long plan;
	char rest;
	if (starts(line, "not ok"))
		read_result(r, line, false);
	else if (starts(line, "ok"))
		read_result(r, line, true);
	else if (sscanf(line, "1..%ld%c", &plan, &rest) == 1)
		r->planned += plan;
	else if (starts(line, "Bail out!"))
		r->n.failed++, r->last_failed = true, add_line(&r->failures, line);
	else if ((*line == '#' || *line == ' ') && r->last_failed)
		add_line(&r->failures, line);
	else if (*line && *line != '#' && *line != ' ' && !starts(line, "TAP"))
		add_line(&r->pending, line);
}

static void read_output(struct reading *r, char *text)
{
	char *line, *rest = text;
	while ((line = strsep(&rest, "\n"))) {
		line[strcspn(line, "\r")] = '\0';
		read_line(r, line);
	}
}

/* What the plan and the exit code say that the lines did not. */
static void read_end(struct reading *r, const struct proc_result *p)
{
	long seen = r->n.passed + r->n.failed + r->n.skipped;
	bool failed_before = r->n.failed > 0;
	if (r->planned > seen) {
		str_addf(&r->failures, "    %ld of %ld tests did not run\n", r->planned - seen, r->planned);
		r->n.failed += r->planned - seen;
	}
	if (p->timed_out)
		str_addf(&r->failures, "    did not end within %d s\n", TIMEOUT_MS / 1000);
	else if (p->status > 128)
		str_addf(&r->failures, "    died of signal %d\n", p->status - 128);
	else if (p->status && !failed_before)
		str_addf(&r->failures, "    ended with %d\n", p->status);
	else if (seen == 0)
		str_add(&r->failures, "    tested nothing\n");
	if (p->cut)
		str_add(&r->failures, "    wrote too much\n");
	if (r->failures.len && r->n.failed == 0)
		r->n.failed++;
	str_addf(&r->failures, "%s", r->failures.len ? str_text(&r->pending) : "");
}

static void show(const char *name, const struct reading *r, const struct proc_result *p, int64_t ms)
{
	char took[32];
	printf("%s %s: %ld passed", r->n.failed ? "FAIL" : "ok  ", name, r->n.passed);
	if (r->n.failed)
		printf(", %ld failed", r->n.failed);
	if (r->n.skipped)
		printf(", %ld skipped", r->n.skipped);
	printf(" (%s)\n", clock_duration(ms, took, sizeof(took)));
	if (!r->n.failed)
		return;
	fputs(str_text(&r->failures), stdout);
	if (p && p->err_len) {
		size_t from = p->err_len > SHOWN_STDERR ? p->err_len - SHOWN_STDERR : 0;
		printf("    stderr:\n%s%s", p->errs + from, p->errs[p->err_len - 1] == '\n' ? "" : "\n");
	}
}

static void run(const char *const *argv, struct count *total)
{
	static const char *const env[] = {"CMOCKA_MESSAGE_OUTPUT=TAP", NULL};
	struct reading r = {.pending = STR_INIT, .failures = STR_INIT};
	struct proc_result p = {0};
	struct err err = {0};
	int64_t begun = clock_mono_ms();
	struct proc_spec spec = PROC_SPEC_INIT;
	spec.argv = argv;
	spec.env = env;
	if (proc_run(&spec, NULL, TIMEOUT_MS, MAX_OUTPUT, &p, &err)) {
		r.n.failed = 1;
		str_addf(&r.failures, "    %s\n", err.msg);
	} else {
		read_output(&r, p.out);
		read_end(&r, &p);
	}
	cleanup_str struct str name = STR_INIT;
	for (size_t i = 0; argv[i]; i++)
		str_addf(&name, "%s%s", i ? " " : "", argv[i]);
	show(str_text(&name), &r, p.out ? &p : NULL, clock_mono_ms() - begun);
	total->passed += r.n.passed;
	total->failed += r.n.failed;
	total->skipped += r.n.skipped;
	proc_result_free(&p);
	str_free(&r.pending);
	str_free(&r.failures);
	fflush(stdout);
}

/* -- some at a time -- */

/* Seen by all workers; locked with the file, which the kernel gives back when one of them dies. */
struct shared {
	int next, lock;
	struct count total;
};

static void locked(struct shared *s, int how)
{
	if (lockf(s->lock, how, 0))
		perror("tap_sum: lock");
}

static char *take(struct shared *s, char **programs, int n)
{
	locked(s, F_LOCK);
	char *program = s->next < n ? programs[s->next++] : NULL;
	locked(s, F_ULOCK);
	return program;
}

static void add(struct count *total, const struct count *more)
{
	total->passed += more->passed;
	total->failed += more->failed;
	total->skipped += more->skipped;
}

/* What a program prints is held back until it is over, then written at once. Each of those that run at the same time is told a
 * number of its own, by which they take different ports. */
static void work(struct shared *s, char **programs, int n, int slot)
{
	char number[16], *program;
	snprintf(number, sizeof(number), "%d", slot);
	setenv("CODEFOUNDRY_TEST_SLOT", number, 1);
	while ((program = take(s, programs, n))) {
		struct count own = {0};
		char *text = NULL;
		size_t len = 0;
		FILE *out = stdout;
		stdout = open_memstream(&text, &len);
		run((const char *const[]){program, NULL}, &own);
		fclose(stdout);
		stdout = out;
		locked(s, F_LOCK);
		fwrite(text, 1, len, stdout);
		fflush(stdout);
		add(&s->total, &own);
		locked(s, F_ULOCK);
		free(text);
	}
}

static int run_together(char **programs, int n, int jobs, struct count *total)
{
	struct shared *s = mmap(NULL, sizeof(*s), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (s == MAP_FAILED || (s->lock = memfd_create("tap_sum", MFD_CLOEXEC)) < 0)
		return perror("tap_sum"), -1;
	fflush(stdout);
	for (int slot = 0; slot < jobs; slot++) {
		pid_t pid = fork();
		if (pid < 0)
			return perror("tap_sum: fork"), -1;
		if (pid)
			continue;
		work(s, programs, n, slot);
		_exit(0);
	}
	int status;
	while (wait(&status) > 0)
		s->total.failed += status != 0;
	add(total, &s->total);
	return 0;
}

int main(int argc, char **argv)
{
	struct count total = {0};
	bool some = argc > 2 && !strcmp(argv[1], "-j");
	int first = some ? 3 : 1, i = first, jobs = some ? atoi(argv[2]) : 1;
	if (argc < 2 || jobs < 1) {
		fprintf(stderr, "usage: tap_sum [-j JOBS] PROGRAM… [-- PROGRAM ARGUMENT…]…\n");
		return 2;
	}
	while (i < argc && strcmp(argv[i], "--") != 0)
		i++;
	if (run_together(argv + first, i - first, jobs, &total))
		return 1;
	while (i < argc) {
		char **command = &argv[++i];
		while (i < argc && strcmp(argv[i], "--") != 0)
			i++;
		argv[i] = NULL;
		if (*command)
			run((const char *const *)command, &total);
	}
	printf("%ld passed, %ld failed", total.passed, total.failed);
	if (total.skipped)
		printf(", %ld skipped", total.skipped);
	printf("\n");
	return total.failed || !total.passed ? 1 : 0;
}
