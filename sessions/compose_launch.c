#include "compose/image.h"
#include "core/file.h"
#include "core/mem.h"
#include "core/net.h"
#include "core/text.h"
#include "sessions/compose_private.h"
#include "sessions/marker.h"
#include <string.h>
#include <strings.h>

#define UP_MS 600000
#define PORT_TAKEN                                                                                           \
	"another program took a leased port meanwhile (docker ps and ss -ltnp show it): start it again; "    \
	"one that was kept has the ports it had: end that "                                                  \
	"program first, or stop the session and start it anew"

int compose_resumable(const struct session_row *row, struct err *err)
{
	cleanup_free char *base = mem_printf("%s/" COMPOSE_BASE, row->dir ?: ""),
	                  *override = mem_printf("%s/" COMPOSE_OVERRIDE, row->dir ?: "");
	if (path_exists(base) && path_exists(override))
		return 0;
	return err_set(err, ERR_NOT_FOUND, "its compose file %s is gone: stop the session, and start it anew",
	               path_exists(base) ? override : base);
}

/* ${keep_fd}: as provider.h. */
static int call_tool(struct state *st, const struct session_row *row, const char *const *args,
                     int64_t timeout_ms, struct job *job, int keep_fd, struct err *err)
{
	struct provider tool;
	cleanup_free char *base = mem_printf("%s/" COMPOSE_BASE, row->dir),
	                  *override = mem_printf("%s/" COMPOSE_OVERRIDE, row->dir);
	cleanup_free char *path = marker_make(st->install, row->uuid),
	                  *marker = mem_printf(MARKER_KEY "=%s", path);
	const char *const files[] = {base, override, NULL}, *const env[] = {marker, NULL};
	if (compose_resumable(row, err))
		return -1;
	provider_open(st->cfg, st->dir);
	if (provider_find(json_text(row->spec, "provider"), &tool, err))
		return -1;
	struct provider_call call = {.project = json_text(row->spec, "project"),
	                             .files = files,
	                             .directory = row->dir,
	                             .args = args,
	                             .env = env,
	                             .timeout_ms = timeout_ms,
	                             .job = job,
	                             .keep_fd = keep_fd};
	return provider_run(&tool, &call, NULL, err);
}

int compose_tool(struct state *st, const struct session_row *row, const char *const *args, int64_t timeout_ms,
                 struct job *job, struct err *err)
{
	return call_tool(st, row, args, timeout_ms, job, 0, err);
}

/* -- why `up` failed: what people can do about it -- */

/* Names of the services of ${image}; false when an earlier one than ${first} has it, which has named them all. */
static bool services_of(const struct session_row *row, const char *image, const cJSON *first,
                        struct str *names)
{
	const cJSON *check;
	cJSON_ArrayForEach(check, json_at(row->spec, "checks"))
	{
		if (strcmp(json_text_or(check, "image", ""), image) != 0)
			continue;
		if (!names->len && check != first)
			return false;
		str_addf(names, "%s%s", names->len ? ", " : "", check->string);
	}
	return true;
}

static void missing_images(const struct session_row *row, struct str *out)
{
	const cJSON *check;
	cJSON_ArrayForEach(check, json_at(row->spec, "checks"))
	{
		const char *image = json_text(check, "image");
		cleanup_str struct str names = STR_INIT_MAX(400);
		struct err why = {0};
		if (!image || json_bool(check, "build", false) || !services_of(row, image, check, &names))
			continue;
		cleanup_free char *name = docker_escape(image), *path = mem_printf("/images/%s/json", name);
		cleanup_json cJSON *found = docker_get(path, &why);
		if (!found && why.code == ERR_NOT_FOUND)
			str_addf(out,
			         "\nservice %s: image %s is not on this machine and could not be pulled; "
			         "pull it where "
			         "a registry can be reached, load it (docker load -i FILE), or correct its "
			         "name",
			         str_text(&names), image);
	}
}

static const struct {
	const char *sign, *advice;
} advices[] = {
        {"no space left on device", "the disk is full: remove sessions, or see `docker system df`"},
        {"port is already allocated", PORT_TAKEN},
        {"address already in use", PORT_TAKEN},
        {"is already in use by container",
         "a container that is not of this session has that name: remove it, or choose "
         "another session name"},
        {"that name is already in use",
         "a container that is not of this session has that name: remove it, or choose another session name"},
        {"error setting rlimit",
         "Podman asks for more open files or processes than may be had here: set default_ulimits in "
         "/etc/containers/containers.conf (nofile=4096:4096, nproc=4096:4096)"},
        {"is already used on the host or by another config",
         "another network took its subnet meanwhile: start it again, or set SESSION_SUBNET_POOL to a range "
         "nobody "
         "else uses"},
        {"overlaps with other one", "another network took its subnet meanwhile: start it again, or set "
                                    "SESSION_SUBNET_POOL to a range nobody else uses"},
        {"Cannot connect to the Docker daemon",
         "Docker went away: start it (service docker start), then try again"},
        {"Error while fetching server API version",
         "Docker does not answer: start it (service docker start), then try again"},
        {"Couldn't connect to Docker daemon",
         "Docker went away: start it (service docker start), then try again"},
};

static int explain(struct state *st, const struct session_row *row, struct err *err)
{
	cleanup_str struct str more = STR_INIT_MAX(1000);
	for (size_t i = 0; i < ARRAY_LEN(advices); i++)
		if (strcasestr(err->msg, advices[i].sign) && !strstr(str_text(&more), advices[i].advice))
			str_addf(&more, "\n%s", advices[i].advice);
	missing_images(row, &more);
	compose_blame(st, row, &more);
	if (!more.len)
		return -1;
	struct err tool = *err;
	return err_set(err, tool.code, "%.900s%s", tool.msg, str_text(&more));
}

/* -- one wave after the other -- */

static bool all_in(const cJSON *names, const cJSON *some, const cJSON *others)
{
	const cJSON *one;
	cJSON_ArrayForEach(one, names)
	{
		if (!json_has_text(some, one->valuestring) && !json_has_text(others, one->valuestring))
			return false;
	}
	return true;
}

static const cJSON *order_of(const struct session_row *row, const char *service, const char *what)
{
	return json_at(cJSON_GetObjectItemCaseSensitive(json_at(row->spec, "checks"), service), what);
}

/* The services whose time has come: all that must be healthy before is among ${done}, and what else they need is too, or
 * comes with them, where the tool knows the order (podman-compose is not told). */
static cJSON *next_wave(const struct session_row *row, const cJSON *done)
{
	cJSON *wave = json_array();
	const cJSON *one;
	cJSON_ArrayForEach(one, json_at(row->spec, "services"))
	{
		if (!json_has_text(done, one->valuestring) &&
		    all_in(order_of(row, one->valuestring, "after"), done, NULL))
			cJSON_AddItemToArray(wave, cJSON_CreateString(one->valuestring));
	}
	for (int i = 0; i < cJSON_GetArraySize(wave);) {
		const char *service = cJSON_GetStringValue(cJSON_GetArrayItem(wave, i));
		if (all_in(order_of(row, service, "needs"), done, compose_by_podman(row) ? NULL : wave)) {
			i++;
			continue;
		}
		cJSON_DeleteItemFromArray(wave, i);
		i = 0; /* those before it may have needed it */
	}
	return wave;
}

/* Those of ${wave} that others must find healthy. */
static cJSON *awaited(const struct session_row *row, const cJSON *wave)
{
	cJSON *names = json_array();
	const cJSON *one, *check;
	cJSON_ArrayForEach(one, wave) cJSON_ArrayForEach(check, json_at(row->spec, "checks"))
	{
		if (json_has_text(json_at(check, "after"), one->valuestring) &&
		    !json_has_text(names, one->valuestring))
			cJSON_AddItemToArray(names, cJSON_CreateString(one->valuestring));
	}
	return names;
}

/* Our own image is there when a start has prepared, but it is any installation's: another one's `clean`, or a person's `docker image prune`,
 * may take it before a container has it. Returns whether it had to be made again. */
static bool image_was_taken(struct job *job, const struct session_row *row)
{
	cleanup_free char *cache = state_path(job_state(job), COMPOSE_CACHE);
	const cJSON *check;
	cJSON_ArrayForEach(check, json_at(row->spec, "checks"))
	{
		const char *image = json_text_or(check, "image", "");
		struct err ignored = {0};
		if (!strncmp(image, IMAGE_REPOSITORY ":", strlen(IMAGE_REPOSITORY ":")) &&
		    image_present(image, &ignored) == 0)
			return image_ensure(image, cache, job, &ignored) == 0;
	}
	return false;
}

/* ${all} of the session, or a part of it, for which what it needs has been started. The tool has the ${claim} too: should we be killed, it goes on. */
static int up(struct job *job, const struct session_row *row, const cJSON *services, bool all, int claim,
              struct err *err)
{
	const cJSON *one;
	size_t n = 0;
	cleanup_json cJSON *missing = json_array();
	if (compose_by_podman(row)) {
		if (compose_podman_start(job_state(job), row, services, missing, err))
			return -1;
		services = missing;
		all = false;
		if (!missing->child)
			return 0;
	}
	cleanup_free const char **args =
	        mem_alloc(((size_t)cJSON_GetArraySize(services) + 4) * sizeof(*args));
	args[n++] = "up";
	args[n++] = "-d";
	if (!all)
		args[n++] = "--no-deps";
	cJSON_ArrayForEach(one, services) args[n++] = one->valuestring;
	int rc = call_tool(job_state(job), row, args, UP_MS, job, claim, err);
	if (rc && err->code != ERR_CANCELLED && err->code != ERR_TIMEOUT && image_was_taken(job, row))
		rc = call_tool(job_state(job), row, args, UP_MS, job, claim, err);
	if (rc == 0)
		return 0;
	return err->code == ERR_CANCELLED || err->code == ERR_TIMEOUT ? -1
	                                                              : explain(job_state(job), row, err);
}

/* Looking who has the project's name, and then making what has it, is two steps: another installation whose tool comes between them would take our
 * containers for its own and replace them, and put its own into our network. So all that make one tell each other. Who would be refused
 * anyway is so before he claims it: it must not be in the way of whose name it is. */
static int have_name(struct state *st, const struct session_row *row, int *claim, struct err *err)
{
	const char *project = json_text_or(row->spec, "project", "");
	cleanup_free char *what = mem_printf("project-%s", project);
	if (compose_alone(st, row, err))
		return -1;
	if (!net_claim(what, claim))
		return err_set(err, ERR_EXISTS,
		               "another installation on this machine is just starting a session of compose "
		               "project %s: choose another session name or another COMPOSE_PROJECT_NAME",
		               project);
	return compose_alone(st, row, err);
}

/* A service that another must find healthy is waited for by us, not by the tool, which would wait for the engine's first probe. */
int compose_launch(struct job *job, const struct session_row *row, struct err *err)
{
	struct state *st = job_state(job);
	const cJSON *one;
	int all = cJSON_GetArraySize(json_at(row->spec, "services"));
	cleanup_json cJSON *done = json_array();
	cleanup_close int claim = -1; /* until all that has the name is there for others to see */
	if (have_name(st, row, &claim, err) ||
	    (compose_by_podman(row) && compose_podman_objects(st, row, err)))
		return -1;
	while (cJSON_GetArraySize(done) < all) {
		cleanup_json cJSON *wave = next_wave(row, done);
		int n = cJSON_GetArraySize(wave), before = cJSON_GetArraySize(done);
		if (!n)
			return err_set(err, ERR_INVALID, "services of session %s wait for each other",
			               row->name);
		if (up(job, row, wave, n == all, claim, err))
			return -1;
		cleanup_json cJSON *needed = awaited(row, wave);
		if (before + n < all && needed->child && compose_await(st, row, needed, job, err))
			return -1;
		cJSON_ArrayForEach(one, wave)
		        cJSON_AddItemToArray(done, cJSON_CreateString(one->valuestring));
	}
	return 0;
}
