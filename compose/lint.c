#include "compose/lint.h"
#include "core/mem.h"
#include "core/text.h"
#include <string.h>

#define VALUE_MAX 200
#define VERDICT_BYTES 1500 /* of an error's 2048: who adds context needs room */

static const struct {
	const char *id;
	bool open; /* may be allowed */
} ids[LINT_RULES] = {
        [LINT_HOST_NETWORK] = {"host-network", true},
        [LINT_SHARED_NETWORK] = {"shared-network", true},
        [LINT_HOST_PID] = {"host-pid", true},
        [LINT_HOST_IPC] = {"host-ipc", true},
        [LINT_HOST_UTS] = {"host-uts", true},
        [LINT_HOST_USERNS] = {"host-userns", true},
        [LINT_HOST_CGROUP] = {"host-cgroup", true},
        [LINT_CGROUP_PARENT] = {"cgroup-parent", true},
        [LINT_PRIVILEGED] = {"privileged", true},
        [LINT_DEVICES] = {"devices", true},
        [LINT_CAPABILITY] = {"capability", true},
        [LINT_UNCONFINED] = {"unconfined", true},
        [LINT_ENGINE_SOCKET] = {"engine-socket", true},
        [LINT_HOST_BIND] = {"host-bind", true},
        [LINT_PROJECT_BIND] = {"project-bind", false},
        [LINT_SHARED_VOLUME] = {"shared-volume", true},
        [LINT_BUILD_OUTSIDE] = {"build-outside", true},
        [LINT_BUILD_PRIVILEGED] = {"build-privileged", true},
        [LINT_EXTERNAL_LINK] = {"external-link", true},
        [LINT_HOST_PROGRAM] = {"host-program", false},
        [LINT_EXTERNAL_NETWORK] = {"external-network", true},
        [LINT_NETWORK_DRIVER] = {"network-driver", false},
        [LINT_EXTERNAL_VOLUME] = {"external-volume", true},
        [LINT_VOLUME_DRIVER] = {"volume-driver", true},
        [LINT_HOST_MOUNT] = {"host-mount", true},
        [LINT_EXTERNAL_SECRET] = {"external-secret", false},
        [LINT_ODD_NAME] = {"odd-name", false},
        [LINT_FIXED_SUBNET] = {"fixed-subnet", true},
        [LINT_FIXED_ADDRESS] = {"fixed-address", true},
        [LINT_BRIDGE_NAME] = {"bridge-name", false},
        [LINT_HOST_PORT] = {"host-port", false},
        [LINT_CONTAINER_NAME] = {"container-name", false},
        [LINT_OBJECT_NAME] = {"object-name", false},
        [LINT_PROJECT_NAME] = {"project-name", false},
        [LINT_IMAGE_NAME] = {"image-name", false},
};

static const char *const actions[] = {
        [LINT_REWRITTEN] = "rewritten",
        [LINT_REFUSED] = "refused",
        [LINT_ALLOWED] = "allowed",
        [LINT_TOLD] = "told",
};

const char *lint_id(enum lint_rule rule)
{
	return ids[rule].id;
}

/* -- findings -- */

static char *shortened(const char *value)
{
	char *text = mem_strdup(value);
	size_t len = strlen(text);
	text_blank(text, "");
	if (len <= VALUE_MAX)
		return text;
	text[text_utf8_prefix(text, VALUE_MAX)] = '\0';
	char *cut = mem_printf("%s…", text);
	mem_cleanup_free(&text);
	return cut;
}

void lint_add(cJSON *findings, const struct lint_finding *f)
{
	cleanup_free char *value = f->value ? shortened(f->value) : NULL,
	                  *name = f->name ? shortened(f->name) : NULL;
	cJSON *one = json_object();
	if (f->section)
		json_add_text(one, "section", f->section);
	if (name)
		json_add_text(one, "name", name);
	json_add_text(one, "key", f->key);
	if (value && *value)
		json_add_text(one, "value", value);
	json_add_text(one, "rule", lint_id(f->rule));
	json_add_text(one, "reason", f->reason);
	json_add_text(one, "advice", f->advice);
	json_add_text(one, "action", actions[f->action]);
	cJSON_AddItemToArray(findings, one);
}

static bool has_action(const cJSON *finding, enum lint_action action)
{
	return !strcmp(json_text_or(finding, "action", ""), actions[action]);
}

int lint_count(const cJSON *findings, enum lint_action action)
{
	const cJSON *one;
	int n = 0;
	cJSON_ArrayForEach(one, findings) n += has_action(one, action);
	return n;
}

/* -- what is allowed -- */

bool lint_allowed(const cJSON *allow, enum lint_rule rule)
{
	return ids[rule].open && json_has_text(allow, lint_id(rule));
}

static int cannot_allow(const char *id, struct err *err)
{
	cleanup_str struct str open = STR_INIT;
	const char *names[LINT_RULES + 1] = {NULL};
	bool known = false;
	for (size_t i = 0, n = 0; i < LINT_RULES; i++) {
		known |= !strcmp(ids[i].id, id);
		if (!ids[i].open)
			continue;
		str_addf(&open, "%s%s", n ? ", " : "", ids[i].id);
		names[n++] = ids[i].id;
	}
	const char *near = known ? NULL : text_nearest(id, names);
	return err_set(err, ERR_USAGE, "%s '%.40s'%s%s%s; what can be: %s",
	               known ? "nobody can allow" : "there is nothing to allow that is called", id,
	               near ? ", did you mean " : "", near ? near : "", near ? "?" : "", str_text(&open));
}

static int allow_one(cJSON *allow, const char *id, struct err *err)
{
	for (size_t i = 0; i < LINT_RULES; i++) {
		if (!ids[i].open || strcmp(ids[i].id, id) != 0)
			continue;
		if (!json_has_text(allow, id))
			cJSON_AddItemToArray(allow, cJSON_CreateString(id));
		return 0;
	}
	return cannot_allow(id, err);
}

int lint_allow(cJSON *allow, const char *list, struct err *err)
{
	cleanup_free char *copy = mem_strdup(list);
	char *rest = copy, *id;
	while ((id = strsep(&rest, ", ")))
		if (*id && allow_one(allow, id, err))
			return -1;
	return 0;
}

cJSON *lint_policy(const struct config *cfg, const cJSON *asked, struct err *err)
{
	cleanup_json cJSON *allow = json_array();
	const cJSON *one;
	const char *set = config_text(cfg, "COMPOSE_ALLOW");
	if (set && lint_allow(allow, set, err)) {
		err->code = ERR_CONFIG;
		err_wrap(err, "COMPOSE_ALLOW");
		return NULL;
	}
	cJSON_ArrayForEach(one, asked)
	{
		if (lint_allow(allow, cJSON_IsString(one) ? one->valuestring : "?", err)) {
			err_wrap(err, "--allow");
			return NULL;
		}
	}
	return TAKE(allow);
}

/* -- for people -- */

char *lint_place(const cJSON *finding)
{
	const char *section = json_text(finding, "section");
	if (!section)
		return mem_strdup("the project");
	/* "services", "networks": one of them */
	return mem_printf("%.*s %s", (int)strlen(section) - 1, section, json_text_or(finding, "name", ""));
}

char *lint_what(const cJSON *finding)
{
	const char *value = json_text(finding, "value");
	return mem_printf("%s%s%s", json_text_or(finding, "key", ""), value ? " " : "", value ? value : "");
}

static bool is_open(const char *id)
{
	for (size_t i = 0; i < LINT_RULES; i++)
		if (!strcmp(ids[i].id, id))
			return ids[i].open;
	return false;
}

char *lint_advice(const cJSON *finding)
{
	const char *advice = json_text_or(finding, "advice", ""), *id = json_text_or(finding, "rule", "");
	return has_action(finding, LINT_REFUSED) && is_open(id)
	               ? mem_printf("%s, or take it as it is: --allow=%s", advice, id)
	               : mem_strdup(advice);
}

static void add_refusal(struct str *out, const cJSON *finding, const char *file)
{
	const char *own = json_text_or(finding, "file", file);
	cleanup_free char *place = lint_place(finding), *what = lint_what(finding),
	                  *advice = lint_advice(finding);
	str_addf(out, "%s%s%s: %s %s; %s", strcmp(own, file) ? own : "", strcmp(own, file) ? ": " : "", place,
	         what, json_text_or(finding, "reason", ""), advice);
}

int lint_verdict(const cJSON *findings, const char *file, struct err *err)
{
	int refused = lint_count(findings, LINT_REFUSED), told = 0;
	cleanup_str struct str text = STR_INIT;
	const cJSON *one;
	if (!refused)
		return 0;
	cJSON_ArrayForEach(one, findings)
	{
		if (!has_action(one, LINT_REFUSED))
			continue;
		cleanup_str struct str line = STR_INIT;
		add_refusal(&line, one, file);
		if (told && text.len + line.len > VERDICT_BYTES)
			break;
		str_addf(&text, "%s%s", refused > 1 ? "\n  " : "", str_text(&line));
		told++;
	}
	if (refused == 1)
		return err_set(err, ERR_INVALID, "%s: %s", file, str_text(&text));
	if (told < refused)
		str_addf(&text, "\n  and %d more: `codefoundry compose lint` lists them all", refused - told);
	return err_set(err, ERR_INVALID, "%s: %d things in it reach out of a session%s", file, refused,
	               str_text(&text));
}
