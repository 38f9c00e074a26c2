/* The crash matrix: every operation on a session, hurt at every recorded step and in between by every fault, and then recovered
 * as a user's machine would be; what is left over is counted. Odd rule: this one program is also everything that is hurt (the
 * process of the job, the worker, the supervisor and its services, the compose tool); what is to happen to them stands in the
 * cell's file `plan`, and happens once. */
#ifndef TESTS_CRASH_H
#define TESTS_CRASH_H

#include "core/json.h"
#include "core/str.h"
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

/* What is counted: a fault strikes when one of these is reached for the n-th time. */
enum source {
	AT_BEGIN,       /* before the operation is begun */
	AT_STEP,        /* sessions/step.h, both ends of each */
	AT_SERVICE,     /* a service of the process engine is started */
	AT_SERVICE_END, /* or told to end */
	AT_EVENT,       /* the engine tells of a container */
	AT_TOOL,        /* the compose tool is called: instead of its work, and after it */
	AT_SQL,         /* a statement is run */
	AT_SPAWN,       /* a child is started by the operation */
	AT_INNER,       /* and by a session's supervisor */
	SOURCE_COUNT
};
#define BIT(source) (1u << (source))

/* -- hook.c: in every process of a cell -- */

struct plan {
	bool record; /* only write down what is reached */
	enum source source;
	int n;     /* from 1 */
	int fault; /* index in faults[] */
	int64_t job;
};

/** From now on cells' files are those of ${dir}. */
void cell_open(const char *dir);
/** A file of the cell, which holds the state directory and is not part of it. The caller frees it. */
char *cell_path(const char *name);
void cell_note(const char *name, const char *text);
/** The first two numbers in a file of the cell; 0 where there is none. */
void cell_numbers(const char *name, int64_t *a, int64_t *b);

void hurt_write(const struct plan *plan);
/** Read the cell's plan, for this process; false when there is none (any more). */
bool hurt_read(struct plan *plan);
/** ${what} is reached. Strikes when it is time and nobody else did. Returns what the fault makes of it: 0 to go on. */
int hurt_reached(enum source source, const char *what);
enum role { ROLE_OPERATION, ROLE_SUPERVISOR, ROLE_OTHER };
/** Read the plan and let what this process reaches count: an operation's steps, statements and children, a supervisor's children. */
void hurt_arm(enum role role);
/** From now on statements of this process that write fail with ${code} of SQLite. */
void hurt_database(int code);

/* -- fault.c -- */

enum runner { BY_ITSELF, BY_WORKER, IN_TERMINAL };

struct fault {
	const char *name;
	unsigned engines; /* BIT(ON_PROCESS) | BIT(ON_COMPOSE) */
	unsigned at;      /* BIT(enum source)… */
	enum runner runner;
	bool reap_first; /* before a worker sees it */
	bool deaf;       /* the services ignore SIGTERM */
	bool short_busy; /* the database is locked for longer than its users wait */
	/** In whichever process the point was reached in. Returns what the hook is to return. */
	int (*strike)(void);
	/** In the cell, when the operation is over. May be NULL. */
	void (*mend)(void);
};
extern const struct fault faults[];
extern const size_t fault_count;

/** Hold a write lock on the database until killed. */
int locker_main(void);

/* -- engine.c: a dockerd of the matrix's own -- */

enum engine_kind { ON_PROCESS, ON_COMPOSE, ENGINE_KINDS };

void engine_open(void);               /* the first time */
void engine_start(void);              /* and again after engine_kill; waits until it answers */
#define ENGINE_KILLED "engine-killed" /* a file of the cell: it ends all containers when it comes back */
void engine_kill(void);               /* kill -9 */
void engine_fill(void);               /* its disk */
void engine_empty(void);
void engine_close(void);
const char *engine_image(void);
/** Remove what this one installation of the test left, after a cell that broke. */
void engine_sweep(void);

/* -- strangers.c: what was there before and must be there afterwards -- */

#define STRANGE_INSTALL "00000000-0000-4000-8000-000000000000"

void strangers_plant(enum engine_kind engine);
/** Append what is missing of them to ${what}. */
int strangers_missing(struct str *what);
void strangers_remove(void);
pid_t stranger_process(void);
/** Id of a container of theirs, for who wants to put it somewhere. */
const char *stranger_container(void);

/* -- cell.c -- */

enum start { FROM_NOTHING, FROM_RUNNING, FROM_STOPPED, FROM_EXPIRED, FROM_ORPHANED };

struct op {
	const char *name, *kind, *args; /* args NULL: those of a start */
	enum start start;
	const char *goal; /* the session's state when the job is done; "" gone, NULL any */
};
extern const struct op ops[];
extern const size_t op_count;

struct point {
	enum source source;
	int n;
	char what[64];
};

struct cell {
	enum engine_kind engine;
	const struct op *op;
	struct point point;
	int fault; /* -1: run it unhurt and write down the points */
};

/** Run it in this process, which ends with it. Writes the report to ${out}: a number of leftovers (-1: the point was not
 * reached), and lines about them. */
void cell_run(const struct cell *cell, FILE *out);

/* -- roles.c -- */

/** What this program is when it is not the matrix itself: returns an exit code, or -1 when it is. */
int role_main(int argc, char **argv);
/** Make the folder of the compose tools' stand-ins and put it first in PATH. */
void tools_open(const char *dir);

/* -- table.c -- */

void table_add(const struct cell *cell, int leftovers, const char *text);
void table_write(FILE *out);

#endif
