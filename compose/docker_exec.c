#include "compose/docker.h"

#include "compose/docker_frames.h"
#include "compose/docker_http.h"
#include "compose/podman.h"
#include "core/clock.h"
#include "core/file.h"
#include "core/mem.h"
#include "core/str.h"
#include <errno.h>
#define ERR_STATE openssl_ERR_STATE /* it has a type of that name */
#include <openssl/evp.h>
#undef ERR_STATE
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define KILL_WAIT_MS 2000 /* for what was killed to be gone */
#define INSPECT_MS 2000   /* for the engine to answer about it */
#define ASK_LEAST_MS 5
#define ASK_MOST_MS 100

struct exec {
	struct docker_frames frames;
	struct str out;
	char path[128]; /* "/exec/<id>" */
	int64_t deadline, give_up;
	bool killed; /* it was not over in time */
	bool late;   /* the deadline was seen */
	bool garbled;
};

void docker_output_free(struct docker_output *out)
{
	free(out->text);
	*out = (struct docker_output){0};
}

static cJSON *inspect(const struct exec *e, struct err *err)
{
	cleanup_free char *path = mem_printf("%s/json", e->path);
	cJSON *info = NULL;

	if (docker_call("GET", path, NULL, INSPECT_MS, &info, err))
		return NULL;
	if (!info)
		err_set(err, ERR_ENGINE, "Docker does not say what became of the program");
	return info;
}

/* ---- killing ---- */

/* Whether ${pid} is a process of ${container} on this machine, from whose view its number is ${*inner}. */
static bool is_of_container(pid_t pid, const char *container, int *inner)
{
	char path[64], text[8192];

	snprintf(path, sizeof(path), "/proc/%d/cgroup", (int)pid);
	if (strlen(container) < 64 || file_peek(path, text, sizeof(text)) < 0 || !strstr(text, container))
		return false;
	snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	const char *numbers = file_peek(path, text, sizeof(text)) > 0 ? strstr(text, "\nNSpid:") : NULL;
	*inner = 0;
	for (const char *p = numbers ? numbers + 7 : ""; *p && *p != '\n'; p++)
		if ((*p == '\t' || *p == ' ') && p[1] >= '0' && p[1] <= '9')
			*inner = atoi(p + 1);
	return true;
}

/* For users who may talk to the engine but not send signals to root's processes. */
static void kill_from_inside(const char *container, int inner, int sig)
{
	cleanup_json cJSON *body = json_object(), *made = NULL, *start = json_object();
	cleanup_free char *group = mem_printf("-%d", inner), *option = mem_printf("-%d", sig), *create = NULL,
	                  *run = NULL;
	const char *argv[] = {"kill", option, group};
	struct err err;

	json_add(body, "Cmd", cJSON_CreateStringArray(argv, ARRAY_LEN(argv)));
	json_add_bool(start, "Detach", true);
	create = mem_printf("/containers/%s/exec", container);
	if (docker_call("POST", create, body, INSPECT_MS, &made, &err) || !json_text(made, "Id"))
		return;
	run = mem_printf("/exec/%s/start", json_text(made, "Id"));
	docker_call("POST", run, start, INSPECT_MS, NULL, &err);
}

/* runc gives each program a session of its own: its process group is what it started. */
static void kill_program(const cJSON *info, int sig)
{
	pid_t pid = (pid_t)json_int(info, "Pid", 0);
	const char *container = json_text_or(info, "ContainerID", "");
	int inner;

	if (pid <= 1 || !is_of_container(pid, container, &inner))
		return;
	if (kill(-pid, sig) && errno == EPERM && inner > 1)
		kill_from_inside(container, inner, sig);
}

/* Asked while we wait: whether to wait on. Past the deadline the program is killed, once, and gets some time to be gone. */
static bool exec_go_on(void *arg)
{
	struct exec *e = arg;
	int64_t now = clock_mono_ms();
	struct err err;

	if (now < e->deadline)
		return true;
	if (e->late)
		return now < e->give_up;
	e->late = true;
	e->give_up = now + KILL_WAIT_MS;
	cleanup_json cJSON *info = inspect(e, &err);
	e->killed = !info || json_bool(info, "Running", false);
	if (!e->killed)
		return false; /* over, but something it started holds the output open */
	if (info)
		kill_program(info, SIGKILL);
	return true;
}

/* ---- running ---- */

static void take_output(void *arg, int stream, const char *data, size_t len, bool first)
{
	struct exec *e = arg;
	size_t room = e->out.max - e->out.len;

	(void)stream, (void)first;
	str_addn(&e->out, data, len < room ? len : room);
}

static bool take_frames(void *arg, const char *data, size_t len)
{
	struct exec *e = arg;

	e->garbled = docker_frames_feed(&e->frames, data, len) != 0;
	return !e->garbled;
}

static int create(struct exec *e, const char *container, const char *const argv[], struct err *err)
{
	cleanup_json cJSON *body = json_object(), *made = NULL;
	cleanup_free char *path = mem_printf("/containers/%s/exec", container);
	cJSON *cmd = json_array();
	int64_t left = e->deadline - clock_mono_ms();

	for (const char *const *a = argv; *a; a++)
		cJSON_AddItemToArray(cmd, cJSON_CreateString(*a));
	json_add(body, "Cmd", cmd);
	json_add_bool(body, "AttachStdout", true);
	json_add_bool(body, "AttachStderr", true);
	if (docker_call("POST", path, body, left > INSPECT_MS ? left : INSPECT_MS, &made, err)) {
		if (err->code == ERR_BUSY)
			err->code = ERR_STATE;
		return -1;
	}
	const char *id = json_text_or(made, "Id", "");
	if (docker_check_id(id, err))
		return err_set(err, ERR_ENGINE, "Docker gave the program no id");
	snprintf(e->path, sizeof(e->path), "/exec/%.100s", id);
	return 0;
}

/* Newer engines refuse what cannot be run; older ones have that as its output. The exit code tells it from other refusals. */
static int take_refusal(struct exec *e, const struct http_reply *reply, struct err *err)
{
	struct err why;
	cleanup_json cJSON *info = inspect(e, &why);

	docker_refusal(reply, err);
	if (err->code == ERR_BUSY)
		err->code = ERR_STATE;
	if (err->code != ERR_FAILED || !cJSON_IsNumber(json_at(info, "ExitCode")))
		return -1;
	take_output(e, DOCKER_STDERR, err->msg, strlen(err->msg), true);
	return 0;
}

static int start(struct exec *e, struct err *err)
{
	static const char body[] = "{\"Detach\":false,\"Tty\":false}";
	cleanup_free char *path = mem_printf("%s/start", e->path);
	struct http_request req = {.method = "POST",
	                           .content_type = "application/json",
	                           .body = body,
	                           .body_len = sizeof(body) - 1,
	                           .on_data = take_frames,
	                           .go_on = exec_go_on,
	                           .arg = e,
	                           .total_ms = HTTP_NO_LIMIT};
	struct http_reply reply = {0};
	int rc = docker_request(&req, path, &reply, err);

	if (rc && err->code == ERR_CANCELLED)
		rc = 0;
	else if (!rc && e->garbled)
		rc = err_set(err, ERR_ENGINE, "what Docker sent is no output");
	else if (!rc && reply.status / 100 != 2)
		rc = take_refusal(e, &reply, err);
	http_reply_free(&reply);
	return rc;
}

/* The engine hears of the program's end on another way than we of its output's (containerd keeps that open until the program is
 * over, whatever it closes itself): one may be some milliseconds behind the other. */
static int finish(struct exec *e, int *exit_code, struct err *err)
{
	int wait_ms = ASK_LEAST_MS;

	*exit_code = -1;
	for (;;) {
		cleanup_json cJSON *info = inspect(e, err);

		if (!info)
			return e->killed ? 0 : -1;
		if (!json_bool(info, "Running", false)) {
			if (!e->killed)
				*exit_code = (int)json_int(info, "ExitCode", -1);
			return 0;
		}
		if (!exec_go_on(e))
			return 0;
		poll(NULL, 0, wait_ms);
		wait_ms = wait_ms * 2 < ASK_MOST_MS ? wait_ms * 2 : ASK_MOST_MS;
	}
}

int docker_exec(const char *container, const char *const argv[], int64_t timeout_ms, size_t max,
                struct docker_output *out, struct err *err)
{
	struct exec e = {.frames = {.take = take_output, .arg = &e},
	                 .out = STR_INIT_MAX(max),
	                 .deadline = clock_mono_ms() + timeout_ms};
	int rc;

	*out = (struct docker_output){0};
	if (docker_check_id(container, err))
		return -1;
	rc = create(&e, container, argv, err);
	rc = rc ? rc : start(&e, err);
	rc = rc ? rc : finish(&e, &out->exit_code, err);
	if (rc) {
		str_free(&e.out);
		*out = (struct docker_output){0};
		return err_wrap(err, "run %s in %s", argv[0], container);
	}
	out->len = e.out.len;
	out->text = str_take(&e.out);
	return 0;
}

/* ---- programs that the docker program started ---- */

/* Whether it was started with the detach keys ${keys}, which Docker tells in base64. */
static bool has_keys(const cJSON *info, const char *keys)
{
	size_t len = strlen(keys);
	cleanup_free char *text = mem_alloc(len / 3 * 4 + 5), *said = podman_keys(keys);
	const char *told = json_text_or(info, "DetachKeys", "");

	EVP_EncodeBlock((unsigned char *)text, (const unsigned char *)keys, (int)len);
	return !strcmp(told, text) || !strcmp(told, said);
}

/* Find it among what runs in ${container} beside its own program. */
static bool find_by_keys(struct exec *e, const char *container, const char *keys)
{
	cleanup_free char *path = mem_printf("/containers/%s/json", container);
	struct err ignored;
	cleanup_json cJSON *box = docker_get(path, &ignored);
	const cJSON *id;

	cJSON_ArrayForEach(id, json_at(box, "ExecIDs"))
	{
		if (!cJSON_IsString(id))
			continue;
		snprintf(e->path, sizeof(e->path), "/exec/%.100s", id->valuestring);
		cleanup_json cJSON *info = inspect(e, &ignored);
		if (info && has_keys(info, keys))
			return true;
	}
	return false;
}

void docker_exec_end(const char *container, const char *keys, int sig)
{
	struct exec e = {0};
	int64_t give_up = clock_mono_ms() + KILL_WAIT_MS, worst = give_up + KILL_WAIT_MS;
	int sent = 0;
	struct err ignored;

	if (docker_check_id(container, &ignored) || !find_by_keys(&e, container, keys))
		return;
	for (;;) {
		cleanup_json cJSON *info = inspect(&e, &ignored);
		int64_t now = clock_mono_ms();
		int next = now < give_up ? sig : SIGKILL;

		if (!json_bool(info, "Running", false) || now >= worst)
			return;
		if (sent != next)
			kill_program(info, next);
		sent = next;
		poll(NULL, 0, ASK_MOST_MS);
	}
}
