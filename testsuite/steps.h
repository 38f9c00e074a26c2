/* What a step sees while its scenario plays, and the table of steps. Steps are straight-line code: each blocks until its
 * condition holds or its time is over, and explains itself in ${err}. One scenario plays in one process of its own. */
#ifndef TESTSUITE_STEPS_H
#define TESTSUITE_STEPS_H

#include "testsuite/match.h"
#include "testsuite/scenario.h"
#include "testsuite/schema.h"
#include "testsuite/talk.h"
#include "testsuite/target.h"
#include "testsuite/vars.h"

struct play {
	const struct scenario *sc;
	struct target *target; /* NULL until a `stack` step made one */
	bool own_target;       /* made by a `stack` step: ended and freed with the play */
	int slot;              /* which tester we are */
	struct vars *vars;
	struct talk *talks;      /* list, one per chat */
	struct ws_open *sockets; /* list of open WebSocket connections */
	struct run_open *runs;   /* list of programs in the background */
	char *dir;               /* for the files of this play; made when first used, removed by the caller */
	int64_t deadline;        /* monotonic ms */
	int64_t step_ms;         /* default of `within` */
	char where[256];         /* path of the innermost step that began, "/steps/2" */
};

enum {
	STEP_TALKS = 1,    /* needs the built-in Telegram server's user side */
	STEP_TARGET = 2,   /* needs a target */
	STEP_ALONE = 4,    /* disturbs services that other scenarios use */
	STEP_STACK = 8,    /* brings the target itself */
	STEP_TO = 32,      /* needs a target when it has a `to` */
	STEP_TRUSTED = 16, /* runs programs: never from a chat */
	STEP_CHAT = STEP_TALKS | STEP_TARGET,
};

struct step_kind {
	const char *name;
	const char *scalar;        /* `send: text` stands for `send: {text: …}`; NULL: a map is wanted */
	const struct schema *keys; /* NULL: anything */
	unsigned flags;
	/* ${who} is the step's `as` ("tester" when absent). Returns 0, or -1 with ${err} saying what was expected and what came. */
	int (*run)(struct play *p, const char *who, const cJSON *args, struct err *err);
};

/** The kind called ${name}, or NULL. */
const struct step_kind *step_find(const char *name);
/** Play the ${steps} of a list in order. */
int steps_play(struct play *p, const cJSON *steps, const char *path, struct err *err);
/** Play one step. ${path} is where it stands in the file. */
int step_play(struct play *p, const cJSON *step, const char *path, struct err *err);

/** When this step's time is over: its `within`, else the default; never after the scenario's. Monotonic ms. */
int64_t step_deadline(const struct play *p, const cJSON *args);
int64_t step_left(int64_t deadline); /* ms until then, >= 0 */

/** Expanded text of key ${key}; ${*out} stays NULL when it is absent. Returns 0, or -1 with ${err}. */
int step_text(const struct play *p, const cJSON *args, const char *key, char **out, struct err *err);
/** The same for whole numbers; ${otherwise} when it is absent. */
int step_int(const struct play *p, const cJSON *args, const char *key, int64_t otherwise, int64_t *out,
             struct err *err);

/** The talk of the chat a step is about: `chat`, else the private chat of ${who}. Followed from the first use on. */
int step_talk(struct play *p, const char *who, const cJSON *args, struct talk **talk, struct err *err);

/** The directory of this play, made if missing. */
const char *step_dir(struct play *p, struct err *err);

/** Id of the user called ${who}: tester, person, or a name that begins with stranger. -1 with ${err}. */
int step_user(struct play *p, const char *who, int64_t *id, struct err *err);

/** Send ${signal} to the program in the background called ${name}. */
int step_run_kill(struct play *p, const char *name, int signal, struct err *err);

/** End what the steps left open. */
void step_ws_end(struct play *p);
void step_run_end(struct play *p);

extern const struct step_kind chat_steps[], expect_steps[], http_steps[], ws_steps[], run_steps[],
        service_steps[], flow_steps[];

#endif
