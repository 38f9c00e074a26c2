#include "testsuite/steps.h"
#include "core/clock.h"
#include "core/file.h"
#include "core/mem.h"
#include "core/text.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct step_kind *const tables[] = {chat_steps, expect_steps,  http_steps, ws_steps,
                                                 run_steps,  service_steps, flow_steps, NULL};

const struct step_kind *step_find(const char *name)
{
	for (size_t t = 0; tables[t]; t++)
		for (const struct step_kind *k = tables[t]; k->name; k++)
			if (strcmp(k->name, name) == 0)
				return k;
	return NULL;
}

/* The key of ${step} that names its kind, and the kind; NULL for both when there is none. */
static const cJSON *args_of(const cJSON *step, const struct step_kind **kind)
{
	const cJSON *item;
	cJSON_ArrayForEach(item, step)
	{
		*kind = step_find(item->string);
		if (*kind)
			return item;
	}
	return NULL;
}

static int needs_met(const struct play *p, const struct step_kind *kind, struct err *err)
{
	if ((kind->flags & (STEP_TALKS | STEP_TARGET)) && !p->target)
		return err_set(err, ERR_STATE, "there is no stack yet: a `stack` step must come first");
	return 0;
}

int step_play(struct play *p, const cJSON *step, const char *path, struct err *err)
{
	const struct step_kind *kind = NULL;
	const cJSON *args = args_of(step, &kind);
	if (!args) /* the file was checked: our bug */
		return err_set(err, ERR_INVALID, "a step without anything to do");
	const char *who = json_text(step, "as");
	snprintf(p->where, sizeof(p->where), "%s", path);
	if (clock_mono_ms() >= p->deadline)
		return err_set(err, ERR_TIMEOUT, "the scenario's time is over");
	if (needs_met(p, kind, err))
		return -1;
	return kind->run(p, who ? who : "tester", args, err);
}

int steps_play(struct play *p, const cJSON *steps, const char *path, struct err *err)
{
	int i = 0;
	const cJSON *step;
	cJSON_ArrayForEach(step, steps)
	{
		char here[256];
		snprintf(here, sizeof(here), "%s/%d", path, i++);
		if (step_play(p, step, here, err))
			return -1;
	}
	return 0;
}

int64_t step_deadline(const struct play *p, const cJSON *args)
{
	const cJSON *within = cJSON_GetObjectItemCaseSensitive(args, "within");
	int64_t at = clock_mono_ms() + (within ? scenario_duration(within) : p->step_ms);
	return at < p->deadline ? at : p->deadline;
}

int64_t step_left(int64_t deadline)
{
	int64_t left = deadline - clock_mono_ms();
	return left > 0 ? left : 0;
}

int step_text(const struct play *p, const cJSON *args, const char *key, char **out, struct err *err)
{
	const cJSON *value = cJSON_GetObjectItemCaseSensitive(args, key);
	*out = NULL;
	if (!value)
		return 0;
	*out = vars_expand_value(p->vars, value, err);
	return *out ? 0 : -1;
}

int step_int(const struct play *p, const cJSON *args, const char *key, int64_t otherwise, int64_t *out,
             struct err *err)
{
	cleanup_free char *text = NULL;
	if (step_text(p, args, key, &text, err))
		return -1;
	*out = otherwise;
	if (!text)
		return 0;
	return text_int(text, out)
	               ? err_set(err, ERR_INVALID, "'%s' wants a whole number, not \"%.80s\"", key, text)
	               : 0;
}

const char *step_dir(struct play *p, struct err *err)
{
	return dir_make(p->dir, 0700, err) ? NULL : p->dir;
}

int step_user(struct play *p, const char *who, int64_t *id, struct err *err)
{
	char name[80];
	snprintf(name, sizeof(name), "%s_id", who);
	const char *known = vars_get(p->vars, name);
	if (known) {
		*id = strtoll(known, NULL, 10);
		return 0;
	}
	if (strcmp(who, "tester") == 0)
		*id = target_tester(p->target, p->slot);
	else if (strcmp(who, "person") == 0)
		*id = target_person(p->target);
	else if (strncmp(who, "stranger", 8) == 0)
		*id = target_stranger(p->target);
	else
		return err_set(err, ERR_INVALID,
		               "nobody is called '%.40s': as tester, person, or a name that begins with "
		               "stranger",
		               who);
	if (*id <= 0)
		return err_set(err, ERR_STATE, "this stack has no user for '%s'", who);
	vars_set_int(p->vars, name, *id);
	return 0;
}
