#include "core/db.h"
#include "core/file.h"
#include "core/mem.h"
#include "core/proc.h"
#include "sessions/step.h"
#include "tests/crash/crash.h"
#include <fcntl.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

static char *cell_dir;
static struct plan plan;
static bool armed, striking;
static enum source spawns = AT_SPAWN;

/* -- files of the cell -- */

void cell_open(const char *dir)
{
	free(cell_dir);
	cell_dir = mem_strdup(dir);
}

char *cell_path(const char *name)
{
	return mem_printf("%s/%s", cell_dir, name);
}

void cell_note(const char *name, const char *text)
{
	cleanup_free char *path = cell_path(name);
	struct err err = {0};
	if (file_write(path, text, strlen(text), 0600, &err))
		fprintf(stderr, "%s\n", err.msg);
}

void cell_numbers(const char *name, int64_t *a, int64_t *b)
{
	cleanup_free char *path = cell_path(name);
	char text[100];
	long long first = 0, second = 0;
	if (file_peek(path, text, sizeof(text)) > 0)
		sscanf(text, "%lld %lld", &first, &second);
	*a = first;
	*b = second;
}

/* -- the plan -- */

void hurt_write(const struct plan *p)
{
	cleanup_free char *text =
	        mem_printf("%d %d %d %d %lld", p->record, p->source, p->n, p->fault, (long long)p->job);
	cell_note("plan", text);
}

bool hurt_read(struct plan *p)
{
	cleanup_free char *path = cell_path("plan");
	char text[100];
	int record = 0, source = 0;
	long long job = 0;
	*p = (struct plan){0};
	if (file_peek(path, text, sizeof(text)) <= 0 ||
	    sscanf(text, "%d %d %d %d %lld", &record, &source, &p->n, &p->fault, &job) != 5)
		return false;
	p->record = record;
	p->source = (enum source)source;
	p->job = job;
	return true;
}

/* Counted over all processes of the cell: the length of a file to which each adds a byte. */
static int next(enum source source)
{
	cleanup_free char *name = mem_printf("seen-%d", source), *path = cell_path(name);
	cleanup_close int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	return fd >= 0 && write(fd, "x", 1) == 1 ? (int)lseek(fd, 0, SEEK_CUR) : 0;
}

static void write_down(enum source source, const char *what)
{
	cleanup_free char *path = cell_path("points"), *line = mem_printf("%d %s\n", source, what);
	cleanup_close int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	if (fd < 0 || write(fd, line, strlen(line)) < 0)
		perror(path);
}

int hurt_reached(enum source source, const char *what)
{
	cleanup_free char *path = cell_path("plan");
	if (!armed || striking)
		return 0;
	if (plan.record) {
		write_down(source, what);
		return 0;
	}
	/* whoever removes the plan is the one who strikes */
	if (plan.source != source || next(source) != plan.n || unlink(path))
		return 0;
	striking = true;
	int rc = faults[plan.fault].strike();
	striking = false;
	return rc;
}

/* -- hooks -- */

static void on_step(const char *step, bool done)
{
	cleanup_free char *what = mem_printf("%s, %s", step, done ? "after" : "before");
	hurt_reached(AT_STEP, what);
}

/* What a disk that is full, or was made read-only, says to every statement that writes. */
static int broken;

static bool writes(const char *sql)
{
	static const char *const words[] = {"INSERT", "UPDATE", "DELETE", "BEGIN", "COMMIT"};
	for (size_t i = 0; i < ARRAY_LEN(words); i++)
		if (!strncasecmp(sql, words[i], strlen(words[i])))
			return true;
	return false;
}

void hurt_database(int code)
{
	broken = code;
}

static int on_sql(const char *sql)
{
	char what[48];
	if (striking || !strcmp(sql, "ROLLBACK"))
		return SQLITE_OK;
	snprintf(what, sizeof(what), "%s", sql);
	int rc = hurt_reached(AT_SQL, what);
	return rc ? rc : broken && writes(sql) ? broken : SQLITE_OK;
}

static int on_spawn(const char *program)
{
	const char *name = strrchr(program, '/');
	return hurt_reached(spawns, name ? name + 1 : program);
}

void hurt_arm(enum role role)
{
	if (!(armed = hurt_read(&plan)))
		return;
	spawns = role == ROLE_SUPERVISOR ? AT_INNER : AT_SPAWN;
	proc_hook = role == ROLE_OTHER ? NULL : on_spawn;
	step_hook = role == ROLE_OPERATION ? on_step : NULL;
	db_hook = role == ROLE_OPERATION ? on_sql : NULL;
}
