#include "core/metrics.h"

#include "core/file.h"
#include "core/mem.h"
#include "core/proc.h"
#include <dirent.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#define MAX_SERIES 64
#define OTHER "other=\"true\""

struct series {
	struct series *next;
	char *labels; /* NULL: none */
	double value;
	bool used;
};

struct metrics {
	const struct metric *table;
	unsigned n;
	struct series *first; /* of each metric: the unlabelled series, the labelled ones behind it */
	double started_s;
};

/* Seconds since the epoch when this process began. */
static double start_time(void)
{
	char boot[65536], *p;
	unsigned long long btime = 0;
	struct proc_id self = {0};

	proc_identify(getpid(), &self);
	if (file_peek("/proc/stat", boot, sizeof(boot)) > 0 && (p = strstr(boot, "\nbtime ")))
		btime = strtoull(p + 7, NULL, 10);
	return (double)btime + (double)self.start / (double)sysconf(_SC_CLK_TCK);
}

struct metrics *metrics_new(const struct metric *table)
{
	struct metrics *m = mem_alloc(sizeof(*m));

	m->table = table;
	while (table[m->n].name)
		m->n++;
	m->first = mem_alloc(m->n * sizeof(*m->first));
	m->started_s = start_time();
	return m;
}

void metrics_free(struct metrics *m)
{
	if (!m)
		return;
	for (unsigned i = 0; i < m->n; i++) {
		while (m->first[i].next) {
			struct series *s = m->first[i].next;

			m->first[i].next = s->next;
			free(s->labels);
			free(s);
		}
	}
	free(m->first);
	free(m);
}

/* The series with these labels; made if ${make}, unless the metric has too many (a label that somebody outside chooses
 * must not fill the memory). */
static struct series *find(const struct metrics *m, unsigned index, const char *labels, bool make)
{
	struct series *s = &m->first[index];
	unsigned n = 0;

	if (!labels || !*labels)
		return s;
	if (strchr(labels, '\n'))
		labels = OTHER; /* would forge a line */
	for (; s->next; s = s->next, n++)
		if (!strcmp(s->next->labels, labels))
			return s->next;
	if (!make)
		return NULL;
	if (n >= MAX_SERIES && strcmp(labels, OTHER))
		return find(m, index, OTHER, true);
	s->next = mem_alloc(sizeof(*s));
	s->next->labels = mem_strdup(labels);
	return s->next;
}

void metrics_add(struct metrics *m, unsigned index, const char *labels, double delta)
{
	struct series *s = find(m, index, labels, true);

	s->value += delta;
	s->used = true;
}

void metrics_set(struct metrics *m, unsigned index, const char *labels, double value)
{
	struct series *s = find(m, index, labels, true);

	s->value = value;
	s->used = true;
}

double metrics_value(const struct metrics *m, unsigned index, const char *labels)
{
	const struct series *s = find(m, index, labels, false);

	return s ? s->value : 0;
}

/* Text format 0.0.4: \ and newline are escaped. */
static void escape(struct str *out, const char *text)
{
	for (; *text; text++) {
		if (*text == '\n')
			str_add(out, "\\n");
		else if (*text == '\\')
			str_add(out, "\\\\");
		else
			str_addc(out, *text);
	}
}

static void add_head(struct str *out, const char *name, enum metric_type type, const char *help)
{
	str_addf(out, "# HELP %s ", name);
	escape(out, help);
	str_addf(out, "\n# TYPE %s %s\n", name, type == METRIC_COUNTER ? "counter" : "gauge");
}

static void add_line(struct str *out, const char *name, const char *labels, double value)
{
	str_add(out, name);
	if (labels)
		str_addf(out, "{%s}", labels);
	if (isnan(value))
		str_add(out, " NaN\n");
	else if (isinf(value))
		str_add(out, value > 0 ? " +Inf\n" : " -Inf\n");
	else
		str_addf(out, " %.15g\n", value);
}

static long count_fds(void)
{
	DIR *dir = opendir("/proc/self/fd");
	long n = 0;

	if (!dir)
		return 0;
	while (readdir(dir))
		n++;
	closedir(dir);
	return n - 3; /* ".", ".." and the one we look through */
}

static void render_process(const struct metrics *m, struct str *out)
{
	struct rusage use = {0};
	char statm[128];
	long total = 0, resident = 0;

	getrusage(RUSAGE_SELF, &use);
	if (file_peek("/proc/self/statm", statm, sizeof(statm)) > 0)
		sscanf(statm, "%ld %ld", &total, &resident);
	add_head(out, "process_cpu_seconds_total", METRIC_COUNTER, "User and system CPU time.");
	add_line(out, "process_cpu_seconds_total", NULL,
	         (double)(use.ru_utime.tv_sec + use.ru_stime.tv_sec) +
	                 (double)(use.ru_utime.tv_usec + use.ru_stime.tv_usec) / 1e6);
	add_head(out, "process_resident_memory_bytes", METRIC_GAUGE, "Resident memory.");
	add_line(out, "process_resident_memory_bytes", NULL,
	         (double)resident * (double)sysconf(_SC_PAGESIZE));
	add_head(out, "process_open_fds", METRIC_GAUGE, "Open file descriptors.");
	add_line(out, "process_open_fds", NULL, (double)count_fds());
	add_head(out, "process_start_time_seconds", METRIC_GAUGE, "Start of the process since the epoch.");
	add_line(out, "process_start_time_seconds", NULL, m->started_s);
}

void metrics_render_series(const struct metrics *m, struct str *out)
{
	for (unsigned i = 0; i < m->n; i++) {
		const struct metric *d = &m->table[i];

		add_head(out, d->name, d->type, d->help);
		if (m->first[i].used || !m->first[i].next)
			add_line(out, d->name, NULL, m->first[i].value);
		for (const struct series *s = m->first[i].next; s; s = s->next)
			add_line(out, d->name, s->labels, s->value);
	}
}

void metrics_render(const struct metrics *m, struct str *out)
{
	metrics_render_series(m, out);
	render_process(m, out);
}
