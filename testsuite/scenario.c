#include "testsuite/scenario.h"
#include "core/file.h"
#include "core/mem.h"
#include "core/yaml.h"
#include "testsuite/steps.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct schema file_schema[] = {
        {.key = "name", .shape = SHAPE_TEXT, .required = true},
        {.key = "title", .shape = SHAPE_TEXT, .required = true},
        {.key = "tags", .shape = SHAPE_TEXTS},
        {.key = "timeout", .shape = SHAPE_DURATION},
        {.key = "alone", .shape = SHAPE_FLAG},
        {.key = "vars", .shape = SHAPE_MAP},
        {.key = "steps", .shape = SHAPE_STEPS, .required = true},
        {.key = NULL},
};

int64_t scenario_duration(const cJSON *v)
{
	static const struct {
		const char *unit;
		double ms;
	} units[] = {{"ms", 1}, {"s", 1000}, {"m", 60000}, {"min", 60000}};
	if (cJSON_IsNumber(v))
		return v->valuedouble >= 0 && v->valuedouble < 1e9 ? (int64_t)(v->valuedouble * 1000) : -1;
	if (!cJSON_IsString(v))
		return -1;
	char *end;
	double n = strtod(v->valuestring, &end);
	while (*end == ' ')
		end++;
	for (size_t i = 0; end != v->valuestring && i < ARRAY_LEN(units); i++)
		if (strcmp(end, units[i].unit) == 0 && isfinite(n) && n >= 0 && n < 1e9)
			return (int64_t)(n * units[i].ms);
	return -1;
}

struct checking {
	struct scenario *sc;
	bool trusted, stack;
};

static int step_flags(struct checking *c, const struct step_kind *kind, const cJSON *args, struct err *err)
{
	bool target =
	        (kind->flags & STEP_TARGET) || ((kind->flags & STEP_TO) && cJSON_HasObjectItem(args, "to"));
	if ((kind->flags & STEP_TRUSTED) && !c->trusted)
		return err_set(err, ERR_DENIED, "step '%s' is allowed only in files given by path",
		               kind->name);
	if (kind->flags & STEP_STACK)
		c->stack = true;
	c->sc->needs_target |= target && !c->stack;
	c->sc->talks |= (kind->flags & STEP_TALKS) && !c->stack;
	c->sc->alone |= (kind->flags & STEP_ALONE) && !c->stack;
	return 0;
}

/* `send: text` becomes `send: {text: text}`. */
static int write_out(cJSON *step, const struct step_kind *kind, struct err *err)
{
	cJSON *args = cJSON_GetObjectItemCaseSensitive(step, kind->name);
	if (cJSON_IsObject(args))
		return 0;
	if (!kind->scalar)
		return kind->keys ? err_set(err, ERR_INVALID, "step '%s' wants a map of keys", kind->name)
		                  : 0;
	cJSON *map = json_object();
	json_add(map, kind->scalar, cJSON_Duplicate(args, true));
	cJSON_ReplaceItemInObjectCaseSensitive(step, kind->name, map);
	return 0;
}

/* The one key of a step that is not `as` or `label`. */
static int kind_of(struct schema_walk *w, const cJSON *step, const struct step_kind **kind, struct err *err)
{
	const cJSON *item;
	*kind = NULL;
	cJSON_ArrayForEach(item, step)
	{
		size_t len = schema_down(w, item->string);
		const struct step_kind *k = step_find(item->string);
		bool common = strcmp(item->string, "as") == 0 || strcmp(item->string, "label") == 0;
		if (common && !cJSON_IsString(item))
			return err_set(err, ERR_INVALID, "'%s' wants a text", item->string);
		if (!common && !k)
			return err_set(err, ERR_INVALID, "no step is called '%.64s'", item->string);
		if (k && *kind)
			return err_set(err, ERR_INVALID, "one step cannot be both '%s' and '%s'",
			               (*kind)->name, k->name);
		if (k)
			*kind = k;
		schema_up(w, len);
	}
	return *kind ? 0 : err_set(err, ERR_INVALID, "a step without anything to do");
}

static int check_step(struct schema_walk *w, cJSON *step, struct err *err)
{
	const struct step_kind *kind = NULL;
	if (!cJSON_IsObject(step))
		return err_set(err, ERR_INVALID, "a step is a map such as `send: /start`");
	if (kind_of(w, step, &kind, err) || !kind)
		return -1;
	size_t len = schema_down(w, kind->name);
	if (write_out(step, kind, err))
		return -1;
	cJSON *args = cJSON_GetObjectItemCaseSensitive(step, kind->name);
	if (step_flags(w->arg, kind, args, err) ||
	    (kind->keys && schema_check(w, args, kind->keys, kind->name, err)))
		return -1;
	schema_up(w, len);
	return 0;
}

/* The name becomes part of paths, reports and database rows. */
static int check_name(const char *name, struct err *err)
{
	size_t n = strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-_");
	if (n >= 1 && n <= 64 && name[n] == '\0')
		return 0;
	return err_set(err, ERR_INVALID, "'name' wants 1 to 64 of a-z, 0-9, - and _, not \"%.80s\"", name);
}

static int check_file(struct scenario *sc, bool trusted, struct err *err)
{
	struct checking c = {.sc = sc, .trusted = trusted};
	struct schema_walk w = {.step = check_step, .arg = &c};
	sc->needs_target = sc->talks = sc->alone = false;
	if (schema_check(&w, sc->tree, file_schema, "scenario", err) ||
	    check_name(json_text_or(sc->tree, "name", ""), err))
		return err_wrap(err, "%s:%d", sc->file, scenario_line(sc, w.path));
	sc->name = mem_strdup(json_text(sc->tree, "name"));
	sc->title = mem_strdup(json_text_or(sc->tree, "title", sc->name));
	sc->steps = cJSON_GetObjectItemCaseSensitive(sc->tree, "steps");
	sc->alone |= json_bool(sc->tree, "alone", false);
	const cJSON *timeout = cJSON_GetObjectItemCaseSensitive(sc->tree, "timeout");
	sc->timeout_ms = timeout ? scenario_duration(timeout) : 0;
	return 0;
}

int scenario_parse(struct scenario **out, const char *text, size_t len, const char *file, bool trusted,
                   struct err *err)
{
	if (len > SCENARIO_MAX_BYTES)
		return err_set(err, ERR_LIMIT, "%s: a scenario may have %u bytes, this has %zu", file,
		               SCENARIO_MAX_BYTES, len);
	struct scenario *sc = mem_alloc(sizeof(*sc));
	sc->file = mem_strdup(file);
	sc->text = mem_strndup(text, len);
	sc->len = len;
	sc->tree = yaml_parse(text, len, file, err);
	if (!sc->tree || check_file(sc, trusted, err)) {
		scenario_free(sc);
		return -1;
	}
	*out = sc;
	return 0;
}

int scenario_load(struct scenario **out, const char *path, struct err *err)
{
	cleanup_free char *text = NULL;
	size_t len;
	if (file_read(path, SCENARIO_MAX_BYTES, &text, &len, err))
		return err_wrap(err, "scenario file %s", path);
	return scenario_parse(out, text, len, path, true, err);
}

void scenario_free(struct scenario *sc)
{
	if (!sc)
		return;
	cJSON_Delete(sc->tree);
	free(sc->name);
	free(sc->title);
	free(sc->file);
	free(sc->text);
	free(sc);
}

int scenario_line(const struct scenario *sc, const char *path)
{
	return yaml_line(sc->text, sc->len, path);
}
