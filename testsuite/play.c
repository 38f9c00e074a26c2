#include "testsuite/play.h"
#include "core/clock.h"
#include "core/id.h"
#include "core/log.h"
#include "core/mem.h"
#include "core/proc.h"
#include "testsuite/steps.h"
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void forget_talks(struct play *p)
{
	while (p->talks) {
		struct talk *next = p->talks->next;
		talk_free(p->talks);
		p->talks = next;
	}
}

static void set_if(struct play *p, const char *name, const char *value, bool secret)
{
	if (!value)
		return;
	vars_set(p->vars, name, value);
	if (secret)
		log_secret(value);
}

void play_set_target(struct play *p, struct target *t, bool own)
{
	forget_talks(p);
	if (p->own_target)
		target_free(p->target);
	p->target = t;
	p->own_target = own;
	set_if(p, "session", target_name(t), false);
	set_if(p, "state_dir", target_state_dir(t), false);
	set_if(p, "bot_token", target_bot_token(t), true);
	set_if(p, "key", target_key(t), true);
	set_if(p, "gateway_token", target_env(t, "GATEWAY_TOKEN"), true);
	vars_set_int(p->vars, "tester_id", target_tester(t, p->slot));
	vars_set_int(p->vars, "person_id", target_person(t));
	vars_set_int(p->vars, "stranger_id", target_stranger(t));
}

static int first_vars(struct play *p, struct err *err)
{
	char hex[9], here[PATH_MAX] = "", uuid[ID_UUID_LEN + 1];
	id_random_hex(hex, 4);
	id_uuid(uuid);
	vars_set(p->vars, "random", hex);
	vars_set(p->vars, "uuid", uuid);
	vars_set(p->vars, "dir", p->dir);
	vars_set(p->vars, "program", proc_self());
	char beside[PATH_MAX];
	snprintf(beside, sizeof(beside), "%s", proc_self());
	vars_set(p->vars, "program_dir", dirname(beside));
	if (realpath(p->sc->file, here))
		vars_set(p->vars, "here", dirname(here));
	const cJSON *item;
	cJSON_ArrayForEach(item, cJSON_GetObjectItemCaseSensitive(p->sc->tree, "vars"))
	{
		cleanup_free char *value = vars_expand_value(p->vars, item, err);
		if (!value)
			return -1;
		vars_set(p->vars, item->string, value);
	}
	return 0;
}

/* "step 3 (start.yml:12): …", with the step's label when it has one. */
static char *explain(const struct play *p, const struct err *err)
{
	int top = -1;
	if (sscanf(p->where, "/steps/%d", &top) != 1)
		return log_redact(err->msg);
	const char *file = strrchr(p->sc->file, '/'), *label = NULL;
	label = json_text(cJSON_GetArrayItem(p->sc->steps, top), "label");
	cleanup_free char *text =
	        mem_printf("step %d (%s:%d)%s%s: %s", top + 1, file ? file + 1 : p->sc->file,
	                   scenario_line(p->sc, p->where), label ? " " : "", label ? label : "", err->msg);
	return log_redact(text);
}

static void end(struct play *p)
{
	step_ws_end(p);
	step_run_end(p);
	forget_talks(p);
	if (p->own_target)
		target_free(p->target);
	vars_free(p->vars);
}

cJSON *play_scenario(const struct scenario *sc, const struct play_options *o)
{
	int64_t begun = clock_mono_ms(), timeout = sc->timeout_ms ? sc->timeout_ms : o->timeout_ms;
	struct play p = {.sc = sc,
	                 .slot = o->slot,
	                 .vars = vars_new(),
	                 .dir = (char *)o->dir,
	                 .deadline = begun + timeout,
	                 .step_ms = o->step_ms};
	struct err err = {0};
	cJSON *outcome = json_object();
	if (o->target)
		play_set_target(&p, o->target, false);
	int rc = first_vars(&p, &err) || steps_play(&p, sc->steps, "/steps", &err);
	cleanup_free char *message = rc ? explain(&p, &err) : NULL;
	end(&p);
	json_add_text(outcome, "status", rc ? "failed" : "passed");
	json_add_int(outcome, "duration_ms", clock_mono_ms() - begun);
	if (message)
		json_add_text(outcome, "message", message);
	return outcome;
}
