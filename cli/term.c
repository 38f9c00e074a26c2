#include "cli/term.h"
#include "core/clock.h"
#include "core/mem.h"
#include "core/str.h"
#include "core/text.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define TERM_COLUMNS 12
#define BAR_WIDTH 20
#define LAST_LEAST 16 /* columns that are worth cutting the last cell for */

/* Whether standard output is a terminal that wants colour. */
static bool wants_colour(void)
{
	const char *term = getenv("TERM"), *no = getenv("NO_COLOR");
	return isatty(STDOUT_FILENO) && !(no && *no) && term && strcmp(term, "dumb") != 0;
}

/* Columns of the terminal, 80 when unknown. */
static int terminal_width(void)
{
	struct winsize w;
	if ((ioctl(STDOUT_FILENO, TIOCGWINSZ, &w) == 0 || ioctl(STDERR_FILENO, TIOCGWINSZ, &w) == 0) &&
	    w.ws_col > 20)
		return w.ws_col;
	return 80;
}

static bool ends_in(const char *text, const char *end)
{
	size_t n = strlen(text), m = strlen(end);
	return n >= m && !strcmp(text + n - m, end);
}

/* The cell's text; the caller frees it. */
static char *cell(const struct term_column *column, const cJSON *row)
{
	const cJSON *item = json_at(row, column->path);
	char buf[48];
	if (cJSON_IsString(item)) {
		char *text = mem_strdup(item->valuestring);
		text_blank(text, "");
		return text;
	}
	if (!cJSON_IsNumber(item))
		return mem_strdup(cJSON_IsBool(item) ? (cJSON_IsTrue(item) ? "yes" : "no") : "–");
	int64_t v = json_int(row, column->path, 0);
	if (!strcmp(column->path, "pid") && !v)
		return mem_strdup("–");
	if (ends_in(column->path, "_ms"))
		return mem_strdup(clock_duration(v, buf, sizeof(buf)));
	if (ends_in(column->path, "_at"))
		return mem_strdup(!v ? "–"
		                  : v > clock_now_ms()
		                          ? clock_left(v - clock_now_ms(), buf, sizeof(buf))
		                          : clock_duration(clock_now_ms() - v, buf, sizeof(buf)));
	return mem_printf("%lld", (long long)v);
}

static size_t width_of(const char *text)
{
	return text_columns(text, strlen(text));
}

/* Bytes of ${text} that fit into ${room} columns. */
static size_t fitting(const char *text, size_t room)
{
	size_t n = strlen(text);
	while (n && (text_columns(text, n) > room || ((unsigned char)text[n] & 0xc0) == 0x80))
		n--;
	return n;
}

static void print_row(const struct term_column *columns, size_t n, const size_t *widths, const cJSON *row,
                      int room)
{
	for (size_t c = 0; c < n; c++) {
		cleanup_free char *text = row ? cell(&columns[c], row) : mem_strdup(columns[c].title);
		if (c + 1 < n)
			printf("%s%*s", text, (int)(widths[c] - width_of(text)) + 2, "");
		else if (room > 1 && width_of(text) > (size_t)room)
			printf("%.*s…\n", (int)fitting(text, (size_t)room - 1), text);
		else
			printf("%s\n", text);
	}
}

static size_t widest(const struct term_column *column, const cJSON *rows)
{
	size_t width = width_of(column->title);
	const cJSON *row;
	cJSON_ArrayForEach(row, rows)
	{
		cleanup_free char *text = cell(column, row);
		width = width_of(text) > width ? width_of(text) : width;
	}
	return width;
}

/* Columns left for the last one of ${n}. */
static int room_for_last(size_t n, const size_t *widths, int width)
{
	for (size_t c = 0; c + 1 < n; c++)
		width -= (int)widths[c] + 2;
	return width;
}

/* Take the rightmost spare column out. Returns how many are left, ${n} when none is spare. */
static size_t drop_spare(struct term_column *columns, size_t *widths, size_t n)
{
	for (size_t c = n; c-- > 0;) {
		if (!columns[c].spare)
			continue;
		memmove(columns + c, columns + c + 1, (n - c - 1) * sizeof(*columns));
		memmove(widths + c, widths + c + 1, (n - c - 1) * sizeof(*widths));
		return n - 1;
	}
	return n;
}

void term_table(const struct term_column *columns, size_t n, const cJSON *rows)
{
	struct term_column shown[TERM_COLUMNS];
	size_t widths[TERM_COLUMNS] = {0}, before;
	const cJSON *row;
	int width = isatty(STDOUT_FILENO) ? terminal_width() : 1 << 20;
	n = n < TERM_COLUMNS ? n : TERM_COLUMNS;
	memcpy(shown, columns, n * sizeof(*columns));
	for (size_t c = 0; c < n; c++)
		widths[c] = widest(&columns[c], rows);
	do {
		int last = (int)(widths[n - 1] < LAST_LEAST ? widths[n - 1] : LAST_LEAST);
		before = n;
		if (room_for_last(n, widths, width) < last)
			n = drop_spare(shown, widths, n);
	} while (n < before);
	int room = room_for_last(n, widths, width);
	printf("%s", wants_colour() ? "\033[1m" : "");
	print_row(shown, n, widths, NULL, room);
	printf("%s", wants_colour() ? "\033[0m" : "");
	cJSON_ArrayForEach(row, rows) print_row(shown, n, widths, row, room);
}

const char *term_size(const cJSON *bytes, char *buf, size_t size)
{
	double n = cJSON_IsNumber(bytes) ? bytes->valuedouble : 0;
	if (n <= 0)
		snprintf(buf, size, "–");
	else if (n < 1 << 30)
		snprintf(buf, size, "%.1f MiB", n / (1 << 20));
	else
		snprintf(buf, size, "%.1f GiB", n / (1 << 30));
	return buf;
}

void term_json(const cJSON *j)
{
	cleanup_free char *text = json_print_pretty(j);
	puts(text);
}

void term_progress_start(struct term_progress *p, bool quiet)
{
	*p = (struct term_progress){.started = clock_mono_ms(), .quiet = quiet};
}

static void draw(struct term_progress *p, const struct job_event *event)
{
	cleanup_str struct str bar = STR_INIT;
	char took[48];
	for (int i = 0; i < BAR_WIDTH; i++)
		str_add(&bar, i < event->percent * BAR_WIDTH / 100 ? "█" : "░");
	clock_duration(clock_mono_ms() - p->started, took, sizeof(took));
	int room = terminal_width() - BAR_WIDTH - 10 - (int)strlen(took);
	int keep = (int)fitting(event->text, room > 0 ? (size_t)room : 0);
	fprintf(stderr, "\r\033[K%s %3d%% %s  %.*s", str_text(&bar), event->percent, took, keep, event->text);
	fflush(stderr);
	p->drawn = true;
}

void term_progress_event(void *progress, const struct job_event *event)
{
	struct term_progress *p = progress;
	bool terminal = isatty(STDERR_FILENO);
	if (p->quiet)
		return;
	if (!strcmp(event->type, "progress") && terminal) {
		draw(p, event);
	} else if (!strcmp(event->type, "progress")) {
		fprintf(stderr, "%3d%% %s: %s\n", event->percent, event->stage ? event->stage : "",
		        event->text);
	} else if (!strcmp(event->type, "log")) {
		fprintf(stderr, "%s     %s\n", p->drawn ? "\r\033[K" : "", event->text);
		p->drawn = false;
	}
}

void term_progress_end(struct term_progress *p)
{
	if (p->drawn)
		fprintf(stderr, "\r\033[K");
	p->drawn = false;
}
