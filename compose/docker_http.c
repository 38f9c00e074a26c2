#include "compose/docker_http.h"

#include "compose/docker.h"
#include "compose/podman.h"
#include "core/mem.h"
#include "core/str.h"
#include "core/text.h"
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#define MAX_JSON ((size_t)32 << 20)
#define VERSION_TIMEOUT_MS 3000

/* ---- one request ---- */

static int64_t patience_ms;             /* 0: each request has its own */
static _Thread_local struct err silent; /* why nothing more is asked while patience is short */

void docker_patience(int64_t ms)
{
	patience_ms = ms;
	silent = (struct err){0};
}

/* The version in use, once the engine has refused DOCKER_API as too old; "" until then. */
static _Thread_local char agreed[16];

const char *docker_api(void)
{
	return *agreed ? agreed : DOCKER_API;
}

static int send_request(struct http_request *req, const char *socket, const char *version, const char *path,
                        struct http_reply *reply, struct err *err)
{
	cleanup_free char *url = mem_printf("http://docker%s%s%s", *version ? "/" : "", version, path);

	req->url = url;
	req->unix_socket = socket;
	int rc = http_fetch(req, reply, err);
	req->url = NULL;
	if (rc)
		return docker_explain(socket, err);
	docker_heard(reply->server);
	return 0;
}

/* What the engine says of a client older than it serves (Docker 29 begins at 1.44). */
static bool refuses_version(const struct http_reply *reply)
{
	return reply->status == 400 && strstr(reply->body, "client version") &&
	       strstr(reply->body, "is too old");
}

static int agree(const char *socket, struct err *err)
{
	struct http_request req = {.total_ms = VERSION_TIMEOUT_MS, .connect_ms = VERSION_TIMEOUT_MS};
	struct http_reply reply = {0};

	if (send_request(&req, socket, "", "/version", &reply, err))
		return -1;
	cleanup_json cJSON *version = docker_json(&reply, err);
	http_reply_free(&reply);
	const char *least = json_text_or(version, "MinAPIVersion", "");
	if (!version)
		return -1;
	if (!*least || strlen(least) > 8 || strspn(least, "0123456789.") != strlen(least))
		return err_set(err, ERR_ENGINE, "Docker refuses API %s and names none that it serves",
		               DOCKER_API);
	snprintf(agreed, sizeof(agreed), "v%s", least);
	return 0;
}

int docker_request(struct http_request *req, const char *path, struct http_reply *reply, struct err *err)
{
	const char *socket = docker_socket(err);

	if (!socket)
		return -1;
	if (patience_ms && silent.code) {
		*err = silent;
		return -1;
	}
	req->total_ms = req->total_ms ? req->total_ms : DOCKER_TIMEOUT_MS;
	if (patience_ms && req->total_ms > patience_ms)
		req->total_ms = req->connect_ms = patience_ms;
	req->max_body = req->max_body || req->on_data ? req->max_body : MAX_JSON;
	if (send_request(req, socket, docker_api(), path, reply, err)) {
		if (err->code == ERR_ENGINE)
			silent = *err;
		return -1;
	}
	if (!refuses_version(reply) || *agreed)
		return 0;
	http_reply_free(reply);
	if (agree(socket, err))
		return -1;
	return send_request(req, socket, agreed, path, reply, err);
}

struct http_call *docker_start(struct http_client *client, struct http_request *req, const char *path,
                               http_done *done, void *arg, struct err *err)
{
	const char *socket = docker_socket(err);

	if (!socket)
		return NULL;
	cleanup_free char *url = mem_printf("http://docker/%s%s", docker_api(), path);
	req->url = url;
	req->unix_socket = socket;
	struct http_call *call = http_start(client, req, done, arg);
	req->url = NULL;
	return call;
}

/* ---- what it answered ---- */

int docker_refusal(const struct http_reply *reply, struct err *err)
{
	cleanup_json cJSON *j = json_parse(reply->body, reply->len, err);
	cleanup_free char *text = mem_strdup(json_text_or(j, "message", reply->body));
	enum err_code code = reply->status == 404   ? ERR_NOT_FOUND
	                     : reply->status == 409 ? ERR_BUSY
	                                            : podman_cause(json_text_or(j, "cause", ""));
	bool too_new = reply->status == 400 && strstr(text, "client version");

	text_blank(text, "\n");
	if (too_new)
		return err_set(err, ERR_ENGINE, "Docker 20.10 or newer is needed: %s", text);
	if (!*text)
		return err_set(err, code, "%s answered %ld", docker_name(), reply->status);
	return err_set(err, code, "%s: %s", docker_name(), text);
}

cJSON *docker_json(const struct http_reply *reply, struct err *err)
{
	cJSON *j = json_parse(reply->body, reply->len, err);

	if (!j)
		err_set(err, ERR_ENGINE, "what answers as Docker sent no JSON: %s", err->msg);
	return j;
}

int docker_check_id(const char *id, struct err *err)
{
	static const char allowed[] = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_.-";

	if (id && isalnum((unsigned char)*id) && id[strspn(id, allowed)] == '\0' && strlen(id) < 256)
		return 0;
	return err_set(err, ERR_INVALID, "\"%.80s\" is no id or name of Docker", id ? id : "");
}

char *docker_escape(const char *text)
{
	struct str out = STR_INIT;

	str_add_url(&out, text, strlen(text));
	return str_take(&out);
}
