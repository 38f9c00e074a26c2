#include "compose/docker.h"

#include "compose/docker_http.h"
#include "compose/podman.h"
#include "core/clock.h"
#include "core/mem.h"
#include "core/str.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PING_MS 3000
#define INFO_MS 10000
#define LOAD_TIMEOUT_MS (5 * 60 * 1000)
#define GONE_TIMEOUT_MS 10000

/* ---- calls ---- */

static bool is_success(const struct http_reply *reply)
{
	return reply->status / 100 == 2 || reply->status == 304;
}

static cJSON *get_within(const char *path, int64_t timeout_ms, struct err *err)
{
	struct http_request req = {.total_ms = timeout_ms, .connect_ms = timeout_ms};
	struct http_reply reply = {0};
	cJSON *j = NULL;

	if (docker_request(&req, path, &reply, err))
		return NULL;
	if (is_success(&reply))
		j = docker_json(&reply, err);
	else
		docker_refusal(&reply, err);
	http_reply_free(&reply);
	return j;
}

cJSON *docker_get(const char *path, struct err *err)
{
	return get_within(path, 0, err);
}

cJSON *docker_inspect(const char *id, struct err *err)
{
	if (docker_check_id(id, err))
		return NULL;
	cleanup_free char *path = mem_printf("/containers/%s/json", id);
	cJSON *container = docker_get(path, err);

	if (docker_is_podman())
		podman_container(container, clock_now_ms());
	return container;
}

int docker_call(const char *method, const char *path, const cJSON *body, int64_t timeout_ms, cJSON **reply,
                struct err *err)
{
	cleanup_free char *text = body ? json_print(body) : NULL;
	struct http_request req = {.method = method,
	                           .total_ms = timeout_ms,
	                           .body = text,
	                           .body_len = text ? strlen(text) : 0,
	                           .content_type = text ? "application/json" : NULL};
	struct http_reply got = {0};
	int rc = 0;

	if (docker_request(&req, path, &got, err))
		return -1;
	if (!is_success(&got))
		rc = docker_refusal(&got, err);
	/* some answer with plain text or a stream of JSON: that is no value for the caller */
	if (!rc && reply)
		*reply = got.len ? json_parse(got.body, got.len, &(struct err){0}) : NULL;
	http_reply_free(&got);
	return rc;
}

/* What stands behind the name: "Docker/20.10.24 (linux)". */
static void version_of(const char *server, char version[32])
{
	const char *from = strchr(server, '/');

	snprintf(version, 32, "%.*s", from ? (int)strcspn(from + 1, " ") : 1, from ? from + 1 : "?");
}

int docker_ping(int64_t ms, char version[32], struct err *err)
{
	struct http_request req = {.total_ms = ms, .connect_ms = ms};
	struct http_reply reply = {0};

	if (docker_request(&req, "/_ping", &reply, err))
		return -1;
	int rc = is_success(&reply) ? 0 : docker_refusal(&reply, err);
	if (version)
		version_of(reply.server, version);
	http_reply_free(&reply);
	return rc;
}

/* As images name it. */
static const char *architecture(const char *machine)
{
	return !strcmp(machine, "x86_64") ? "amd64" : !strcmp(machine, "aarch64") ? "arm64" : machine;
}

/* Whoever hangs does not answer the ping; to tell all of itself takes Podman half a second. */
cJSON *docker_info(struct err *err)
{
	if (docker_ping(PING_MS, NULL, err))
		return NULL;
	cleanup_json cJSON *info = get_within("/info", INFO_MS, err);
	if (!info)
		return NULL;
	if (!json_text(info, "ServerVersion") || !json_text(info, "DockerRootDir")) {
		err_set(err, ERR_ENGINE, "what answers as Docker does not say who it is");
		return NULL;
	}
	cJSON *out = json_object();
	json_add_text(out, "engine", docker_name());
	json_add_text(out, "version", json_text(info, "ServerVersion"));
	json_add_text(out, "api", docker_api() + 1);
	json_add_text(out, "os", json_text(info, "OSType"));
	json_add_text(out, "arch", architecture(json_text_or(info, "Architecture", "")));
	json_add_text(out, "driver", json_text(info, "Driver"));
	json_add_text(out, "cgroup", json_text(info, "CgroupVersion"));
	json_add_text(out, "root", json_text(info, "DockerRootDir"));
	return out;
}

/* ---- objects ---- */

static const struct {
	const char *name, *list, *one;
	const char *removal; /* query */
	const char *inside;  /* of the listing's answer: the array; NULL: the answer is one */
	const char *id;      /* key */
} kinds[DOCKER_KINDS] = {
        [DOCKER_CONTAINER] = {"container", "/containers/json?all=1&", "/containers", "?force=1&v=1", NULL,
                              "Id"},
        [DOCKER_NETWORK] = {"network", "/networks?", "/networks", "", NULL, "Id"},
        [DOCKER_VOLUME] = {"volume", "/volumes?", "/volumes", "?force=1", "Volumes", "Name"},
        [DOCKER_IMAGE] = {"image", "/images/json?", "/images", "", NULL, "Id"},
};

const char *docker_kind_name(enum docker_kind kind)
{
	return kinds[kind].name;
}

/* A container linked to others has their paths as further names: its own has no second slash. */
static const char *own_name(const cJSON *names)
{
	for (const cJSON *n = names ? names->child : NULL; n; n = n->next)
		if (cJSON_IsString(n) && n->valuestring[0] == '/' && !strchr(n->valuestring + 1, '/'))
			return n->valuestring + 1;
	return "";
}

static cJSON *ports_of(const cJSON *given)
{
	cJSON *ports = json_array();

	for (const cJSON *p = given ? given->child : NULL; p; p = p->next) {
		cJSON *port = json_object();

		json_add_text(port, "ip", json_text_or(p, "IP", ""));
		json_add_int(port, "host", json_int(p, "PublicPort", 0));
		json_add_int(port, "container", json_int(p, "PrivatePort", 0));
		json_add_text(port, "protocol", json_text_or(p, "Type", "tcp"));
		cJSON_AddItemToArray(ports, port);
	}
	return ports;
}

/* One without a tag has null, or "<none>:<none>". */
static cJSON *tags_of(const cJSON *given)
{
	cJSON *tags = json_array();

	for (const cJSON *t = given ? given->child : NULL; t; t = t->next)
		if (cJSON_IsString(t) && t->valuestring[0] != '<')
			cJSON_AddItemToArray(tags, cJSON_CreateString(t->valuestring));
	return tags;
}

static const char *name_of(enum docker_kind kind, const cJSON *given)
{
	if (kind == DOCKER_CONTAINER)
		return own_name(json_at(given, "Names"));
	return json_text_or(given, kind == DOCKER_IMAGE ? "RepoTags.0" : "Name", "");
}

static cJSON *object_of(enum docker_kind kind, const cJSON *given)
{
	static const char digest[] = "sha256:";
	cJSON *o = json_object();
	const cJSON *labels = json_at(given, "Labels");
	const char *id = json_text_or(given, kinds[kind].id, "");
	bool container = kind == DOCKER_CONTAINER;

	json_add_text(o, "id", id + (strncmp(id, digest, strlen(digest)) ? 0 : strlen(digest)));
	json_add_text(o, "name", name_of(kind, given));
	json_add(o, "labels", cJSON_IsObject(labels) ? cJSON_Duplicate(labels, true) : json_object());
	if (kind == DOCKER_IMAGE)
		json_add(o, "tags", tags_of(json_at(given, "RepoTags")));
	if (container) {
		json_add_text(o, "state", json_text_or(given, "State", ""));
		json_add_text(o, "status", json_text_or(given, "Status", ""));
		json_add_text(o, "image", podman_image(json_text_or(given, "Image", "")));
		json_add_int(o, "created", json_int(given, "Created", 0));
		json_add(o, "ports", ports_of(json_at(given, "Ports")));
	}
	return o;
}

/* Podman (4.3) finds no image by two labels, and of networks and volumes what has any of them: it is asked for the last one, which is the session's, and the
 * others are looked at here. An empty list it refuses. */
static char *filters_of(enum docker_kind kind, const char *const labels[])
{
	cleanup_json cJSON *filters = json_object();
	cJSON *list = json_array();

	for (const char *const *l = labels; l && *l; l++)
		if (kind == DOCKER_CONTAINER || !l[1])
			cJSON_AddItemToArray(list, cJSON_CreateString(*l));
	if (list->child)
		json_add(filters, "label", list);
	else
		cJSON_Delete(list);
	cleanup_free char *text = json_print(filters);
	return docker_escape(text);
}

/* What is removed must have all of the labels. */
static bool has_all(const cJSON *object, const char *const wanted[])
{
	const cJSON *labels = json_at(object, "labels");

	for (const char *const *l = wanted; l && *l; l++) {
		cleanup_free char *key = mem_strndup(*l, strcspn(*l, "="));
		const cJSON *value = cJSON_GetObjectItemCaseSensitive(labels, key);
		const char *want = strchr(*l, '=');
		if (!value || (want && strcmp(cJSON_IsString(value) ? value->valuestring : "", want + 1)))
			return false;
	}
	return true;
}

cJSON *docker_list(enum docker_kind kind, const char *const labels[], struct err *err)
{
	cleanup_free char *filters = filters_of(kind, labels);
	cleanup_free char *path = mem_printf("%sfilters=%s", kinds[kind].list, filters);
	cleanup_json cJSON *answer = docker_get(path, err);
	const cJSON *given = kinds[kind].inside ? json_at(answer, kinds[kind].inside) : answer;

	if (!answer)
		return err_wrap(err, "list %ss", kinds[kind].name), NULL;
	/* no volumes: null */
	if (!cJSON_IsArray(given) && !(kinds[kind].inside && (!given || cJSON_IsNull(given)))) {
		err_set(err, ERR_ENGINE, "list %ss: what answers as Docker sent no list", kinds[kind].name);
		return NULL;
	}
	cJSON *out = json_array();
	for (const cJSON *g = given ? given->child : NULL; g; g = g->next) {
		cJSON *object = object_of(kind, g);

		if (has_all(object, labels))
			cJSON_AddItemToArray(out, object);
		else
			cJSON_Delete(object);
	}
	return out;
}

/* Somebody else removes it at this moment: wait for that. */
static bool is_gone_soon(const char *id)
{
	cleanup_free char *path = mem_printf("/containers/%s/wait?condition=removed", id);
	struct err why = {0};

	return !docker_call("POST", path, NULL, GONE_TIMEOUT_MS, NULL, &why) || why.code == ERR_NOT_FOUND;
}

/* Podman 4.3 asks nobody whether a network is in use that is named by its id: the containers in it, who may be others', lose it. By
 * its name, which only one has, it is refused. 0 when it is gone. */
static int remove_network_of_podman(const char *id, const cJSON *network, struct err *err)
{
	const char *name = json_text_or(network, "Name", "");
	if (docker_check_id(name, err))
		return -1;
	cleanup_free char *path = mem_printf("/networks/%s", name);
	return strcmp(json_text_or(network, "Id", ""), id) ? 0
	                                                   : docker_call("DELETE", path, NULL, 0, NULL, err);
}

int docker_image_used(const char *image, struct err *err)
{
	cleanup_free char *filter = mem_printf("{\"ancestor\":[\"%s\"]}", image),
	                  *query = docker_escape(filter),
	                  *path = mem_printf("/containers/json?all=1&filters=%s", query);
	cleanup_json cJSON *list = docker_get(path, err);
	return list ? list->child != NULL : -1;
}

/* A build that failed leaves a container of Podman's builder, which is in no listing, and the image that it came to, in use by it. By force such an
 * image is removed, unless a container is in a listing that would go with it. 0, or -1 with what was said before. */
static int remove_unfinished_image(const char *id, struct err *err)
{
	struct err ignored = {0};
	cleanup_free char *path = mem_printf("/images/%s?force=1", id);

	if (docker_image_used(id, &ignored) || docker_call("DELETE", path, NULL, 0, NULL, &ignored))
		return -1;
	err_clear(err);
	return 0;
}

static int remove_one(enum docker_kind kind, const char *id, struct err *err)
{
	cleanup_free char *path = mem_printf("%s/%s", kinds[kind].one, id);
	cleanup_free char *removal = mem_printf("%s%s", path, kinds[kind].removal);
	cleanup_json cJSON *network = kind == DOCKER_NETWORK ? docker_get(path, err) : NULL;

	if (kind == DOCKER_NETWORK && !network)
		return -1;
	if (network && docker_is_podman())
		return remove_network_of_podman(id, network, err);
	int rc = docker_call("DELETE", removal, NULL, 0, NULL, err);
	if (rc && kind == DOCKER_IMAGE && err->code == ERR_BUSY && docker_is_podman())
		rc = remove_unfinished_image(id, err);
	return rc;
}

int docker_remove(enum docker_kind kind, const char *id, struct err *err)
{
	if (docker_check_id(id, err))
		return err_wrap(err, "remove %s", kinds[kind].name);
	if (!remove_one(kind, id, err) || err->code == ERR_NOT_FOUND)
		return 0;
	if (kind == DOCKER_CONTAINER && err->code == ERR_BUSY && strstr(err->msg, "in progress") &&
	    is_gone_soon(id))
		return 0;
	/* a network in use is refused with 403, a volume with 409 */
	if (err->code == ERR_FAILED && strstr(err->msg, "has active endpoints"))
		err->code = ERR_BUSY;
	return err_wrap(err, "remove %s %.64s", kinds[kind].name, id);
}

/* ---- images ---- */

/* The answer is a stream of JSON objects, one per line: progress, and perhaps what went wrong. */
static int check_progress(char *text, struct err *err)
{
	char *rest = text, *line;

	while ((line = strsep(&rest, "\n"))) {
		cleanup_json cJSON *j = *line ? json_parse(line, strlen(line), err) : NULL;
		const char *why = json_text(j, "error");

		if (why)
			return err_set(err, ERR_FAILED, "%s: %s", docker_name(), why);
	}
	return 0;
}

int docker_load(const char *archive_path, int64_t timeout_ms, struct err *err)
{
	cleanup_close int fd = open(archive_path, O_RDONLY | O_CLOEXEC);
	struct http_request req = {.method = "POST",
	                           .content_type = "application/x-tar",
	                           .body_fd = fd,
	                           .total_ms = timeout_ms > 0 ? timeout_ms : LOAD_TIMEOUT_MS};
	struct http_reply reply = {0};
	int rc;

	if (fd < 0)
		return err_sys(err, errno, "load image: %s", archive_path);
	if (docker_request(&req, "/images/load?quiet=1", &reply, err))
		return err_wrap(err, "load image %s", archive_path);
	rc = is_success(&reply) ? check_progress(reply.body, err) : docker_refusal(&reply, err);
	http_reply_free(&reply);
	if (rc && strstr(err->msg, "no space left on device"))
		err_wrap(err, "Docker's disk is full: remove sessions or images, see `docker system df`");
	return rc ? err_wrap(err, "load image %s", archive_path) : 0;
}
