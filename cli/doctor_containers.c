/* What the doctor asks of containers: engine, compose tool, image. */
#include "cli/doctor_private.h"
#include "compose/docker.h"
#include "compose/image.h"
#include "compose/provider.h"
#include "core/file.h"
#include "core/mem.h"
#include <string.h>

void doctor_check_docker(struct doctor *d)
{
	struct err err = {0};
	const char *socket = docker_socket(&err);
	d->docker = socket ? docker_info(&err) : NULL;
	if (!d->docker) {
		doctor_found(d, "docker", doctor_needed(d), "%s", err.msg);
		return;
	}
	doctor_found(d, "docker", STATE_OK, "%s %s (API %s, %s/%s, %s) at %s",
	             json_text_or(d->docker, "engine", "?"), json_text_or(d->docker, "version", "?"),
	             json_text_or(d->docker, "api", "?"), json_text_or(d->docker, "os", "?"),
	             json_text_or(d->docker, "arch", "?"), json_text_or(d->docker, "driver", "?"), socket);
	if (docker_is_podman() && !path_exists("/run/systemd/system"))
		doctor_advise(d, "without systemd Podman runs no healthcheck after the start: that a service "
		                 "fell ill later is "
		                 "not seen");
}

void doctor_check_tools(struct doctor *d)
{
	cleanup_json cJSON *tools = provider_probe(config_text(d->cfg, "COMPOSE_PROVIDER"));
	const cJSON *tool;
	bool any = false;
	cJSON_ArrayForEach(tool, tools) any |= json_bool(tool, "chosen", false);
	cJSON_ArrayForEach(tool, tools)
	{
		const char *name = json_text_or(tool, "name", "?"), *version = json_text(tool, "version");
		const char *why = json_text(tool, "why");
		if (json_bool(tool, "chosen", false))
			doctor_found(d, name, STATE_OK, "%s: chosen", version ? version : "?");
		else if (json_bool(tool, "usable", false))
			doctor_found(d, name, STATE_UNUSED, "%s: would do too", version ? version : "?");
		else
			doctor_found(d, name, any ? STATE_UNUSED : doctor_needed(d), "%s%s%s",
			             version ? version : "", version ? ": " : "",
			             why ? why : "cannot be used");
	}
	if (!any && d->compose)
		doctor_advise(d, "one of these tools is needed, or ENGINE=process");
}

void doctor_check_image(struct doctor *d)
{
	struct err err = {0};
	cleanup_free char *cache = d->st ? state_path(d->st, "cache") : NULL;
	cleanup_free char *reference = cache ? image_reference(cache, &err) : NULL;
	if (!cache) {
		doctor_found(d, "image", doctor_needed(d), "not looked for: there is no state directory");
		return;
	}
	if (!reference) {
		doctor_found(d, "image", doctor_needed(d), "%s", err.msg);
		return;
	}
	int there = d->docker ? image_present(reference, &err) : 0;
	if (!d->docker)
		doctor_found(d, "image", STATE_UNUSED, "%s: only %s knows whether it is there", reference,
		             docker_name());
	else if (there < 0)
		doctor_found(d, "image", doctor_needed(d), "%s: %s", reference, err.msg);
	else if (there)
		doctor_found(d, "image", STATE_OK, "%s is there", reference);
	else
		doctor_found(d, "image", d->compose ? STATE_OK : STATE_UNUSED,
		             "%s is not there yet: the first session makes it", reference);
}
