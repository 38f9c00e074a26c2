#include "cli/doctor.h"
#include "cli/doctor_private.h"
#include "cli/plane.h"
#include "compose/docker.h"
#include "core/mem.h"
#include "sessions/engine.h"
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const char *const state_names[] = {
        [STATE_OK] = "ok", [STATE_WARN] = "warn", [STATE_BAD] = "bad", [STATE_UNUSED] = "unused"};

void doctor_found(struct doctor *d, const char *check, enum doctor_state state, const char *fmt, ...)
{
	char found[sizeof(((struct err *)0)->msg)];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(found, sizeof(found), fmt, ap);
	va_end(ap);
	d->last = json_object();
	json_add_text(d->last, "check", check);
	json_add_text(d->last, "state", state_names[state]);
	json_add_text(d->last, "found", found);
	cJSON_AddItemToArray(d->checks, d->last);
	d->bad += state == STATE_BAD;
}

void doctor_advise(struct doctor *d, const char *fmt, ...)
{
	char advice[512];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(advice, sizeof(advice), fmt, ap);
	va_end(ap);
	json_add_text(d->last, "advice", advice);
}

enum doctor_state doctor_needed(const struct doctor *d)
{
	return d->compose ? STATE_BAD : STATE_UNUSED;
}

static void check_engine(struct doctor *d)
{
	const char *wanted = config_text(d->cfg, "ENGINE");
	struct err err = {0};
	const struct engine *engine = engine_chosen(d->cfg, &err);
	if (!engine) {
		d->engine = wanted;
		d->compose = !strcmp(wanted, "compose");
		doctor_found(d, "engine", STATE_BAD, "%s", err.msg);
		return;
	}
	d->engine = engine->name;
	d->compose = !strcmp(engine->name, "compose");
	const char *why = strcmp(wanted, "auto") ? "ENGINE says so"
	                  : d->compose           ? "ENGINE=auto, and this machine has "
	                                         : "ENGINE=auto, and this machine has neither Docker nor a "
	                                           "socket of Podman";
	doctor_found(d, "engine", STATE_OK, "%s: sessions are %s (%s%s)", engine->name,
	             d->compose ? "containers" : "plain processes", why,
	             d->compose && !strcmp(wanted, "auto") ? docker_name() : "");
}

static void check_plane(struct doctor *d)
{
	if (!d->st)
		return;
	struct err err = {0};
	struct plane plane;
	cleanup_free char *dir = plane_dir(d->st->dir);
	cleanup_json cJSON *reply = NULL;
	int rc = supervisor_ask(dir, "status", NULL, 5000, &reply, &err);
	if (rc && err.code != ERR_NOT_FOUND) {
		doctor_found(d, "control plane", STATE_BAD, "%s", err.msg);
		return;
	}
	if (rc == 0) {
		const cJSON *parts = json_at(reply, "services"), *part;
		int ready = 0;
		cJSON_ArrayForEach(part, parts) ready += !strcmp(json_text_or(part, "state", ""), "ready");
		bool all = ready == cJSON_GetArraySize(parts);
		doctor_found(d, "control plane", all ? STATE_OK : STATE_WARN, "up: %d of %d parts are ready",
		             ready, cJSON_GetArraySize(parts));
		if (!all)
			doctor_advise(d, "`codefoundry status` shows which are not");
		return;
	}
	doctor_found(d, "control plane", STATE_OK, "down: `codefoundry up` starts it");
	err_clear(&err);
	rc = plane_make(&plane, d->cfg, d->st->dir, &err) || plane_check_ports(&plane, d->cfg, &err);
	plane_free(&plane);
	if (rc)
		doctor_found(d, "its ports", STATE_BAD, "%s", err.msg);
	else
		doctor_found(d, "its ports", STATE_OK, "are free");
}

cJSON *doctor_examine(const struct config *cfg)
{
	static void (*const checks[])(struct doctor *) = {
	        check_engine,        doctor_check_state, doctor_check_docker, doctor_check_tools,
	        doctor_check_image,  doctor_check_disk,  doctor_check_memory, doctor_check_cgroup,
	        doctor_check_leases, check_plane,        doctor_check_clock,
	};
	struct doctor d = {.cfg = cfg, .checks = json_array(), .engine = "none"};
	for (size_t i = 0; i < ARRAY_LEN(checks); i++)
		checks[i](&d);
	cJSON *result = json_object();
	json_add_text(result, "engine", d.engine);
	json_add_int(result, "bad", d.bad);
	json_add(result, "checks", d.checks);
	state_close(d.st);
	cJSON_Delete(d.docker);
	return result;
}
