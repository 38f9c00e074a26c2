/* Steps about other steps and about variables. */
#include "core/bell.h"
#include "core/clock.h"
#include "core/mem.h"
#include "testsuite/steps.h"
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TRY_EVERY_MS 20

static const struct schema wait_keys[] = {
        {.key = "until", .shape = SHAPE_STEP, .required = true},
        {.key = "within", .shape = SHAPE_DURATION},
        {.key = NULL},
};

/* What a condition looks at (a file, a port, a program's output) has no event to wait for, but most of it changes with a ring of the
 * stack's bell; the timer catches the rest. */
static int wait_run(struct play *p, const char *who, const cJSON *args, struct err *err)
{
	(void)who;
	char path[300];
	struct err why = {0}, ignored = {0};
	struct bell *bell = NULL;
	int64_t deadline = step_deadline(p, args);
	snprintf(path, sizeof(path), "%s/wait/until", p->where);
	const char *state_dir = p->target ? target_state_dir(p->target) : NULL;
	if (state_dir && bell_open(&bell, state_dir, &ignored))
		bell = NULL;
	int rc;
	for (;;) {
		err_clear(&why);
		rc = step_play(p, cJSON_GetObjectItemCaseSensitive(args, "until"), path, &why);
		if (rc == 0 || why.code == ERR_INVALID || step_left(deadline) == 0)
			break;
		if (bell)
			bell_wait(bell, TRY_EVERY_MS);
		else
			poll(NULL, 0, TRY_EVERY_MS);
	}
	bell_close(bell);
	return rc ? err_set(err, why.code, "waited in vain: %s", why.msg) : 0;
}

static const struct schema repeat_keys[] = {
        {.key = "times", .shape = SHAPE_COUNT},
        {.key = "over", .shape = SHAPE_TEXT},
        {.key = "steps", .shape = SHAPE_STEPS, .required = true},
        {.key = NULL},
};

static int repeat_once(struct play *p, const cJSON *args, const char *path, int64_t i, const char *item,
                       struct err *err)
{
	vars_set_int(p->vars, "i", i + 1);
	vars_set(p->vars, "item", item);
	if (steps_play(p, cJSON_GetObjectItemCaseSensitive(args, "steps"), path, err))
		return err_wrap(err, "round %lld%s%s", (long long)i + 1, *item ? " of " : "", item);
	return 0;
}

static int repeat_run(struct play *p, const char *who, const cJSON *args, struct err *err)
{
	(void)who;
	char path[300];
	cleanup_free char *over = NULL;
	int64_t times;
	snprintf(path, sizeof(path), "%s/repeat/steps", p->where);
	if (step_int(p, args, "times", 0, &times, err) || step_text(p, args, "over", &over, err))
		return -1;
	if (!over && !times)
		return err_set(err, ERR_INVALID, "repeat wants 'times' or 'over'");
	if (over && !*over)
		return err_set(err, ERR_FAILED, "nothing to repeat over");
	int64_t i = 0;
	for (; !over && i < times; i++)
		if (repeat_once(p, args, path, i, "", err))
			return -1;
	char *rest = over, *line;
	while ((line = strsep(&rest, "\n")))
		if (repeat_once(p, args, path, i++, line, err))
			return -1;
	return 0;
}

static int set_run(struct play *p, const char *who, const cJSON *args, struct err *err)
{
	(void)who;
	const cJSON *item;
	cJSON_ArrayForEach(item, args)
	{
		cleanup_free char *value = vars_expand_value(p->vars, item, err);
		if (!value)
			return -1;
		vars_set(p->vars, item->string, value);
	}
	return 0;
}

static const struct schema check_keys[] = {
        MATCH_KEYS,
        {.key = "text", .shape = SHAPE_TEXT, .required = true},
        {.key = NULL},
};

static int check_run(struct play *p, const char *who, const cJSON *args, struct err *err)
{
	(void)who;
	cleanup_free char *text = NULL;
	cleanup_str struct str why = STR_INIT, shown = STR_INIT;
	if (step_text(p, args, "text", &text, err))
		return -1;
	int met = match_text(p->vars, args, text, &why, err);
	if (met)
		return met > 0 ? 0 : -1;
	match_quote(&shown, text, 600);
	return err_set(err, ERR_FAILED, "the text %s: %s", str_text(&why), str_text(&shown));
}

const struct step_kind flow_steps[] = {
        {"wait", NULL, wait_keys, 0, wait_run},
        {"repeat", NULL, repeat_keys, 0, repeat_run},
        {"set", NULL, NULL, 0, set_run},
        {"check", NULL, check_keys, 0, check_run},
        {.name = NULL},
};
