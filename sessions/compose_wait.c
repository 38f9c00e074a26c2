/* Readiness of containers. The engine says when one starts, ends, or becomes healthy (events). Its first health probe waits
 * a full interval, so each service's own healthcheck is also run right away: healthy is what that test says, whoever
 * runs it. Without a healthcheck: running for 2 s, or ended with 0 when it is a one-shot. */
#include "compose/override.h"
#include "compose/stack.h"
#include "core/clock.h"
#include "core/http_client.h"
#include "core/mem.h"
#include "sessions/compose_private.h"
#include "sessions/lease.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STEADY_MS 2000     /* running that long counts where nothing else tells */
#define PROBE_FIRST_MS 100 /* between probes, doubled each time */
#define PROBE_MAX_MS 2000
#define PROBE_LIMIT_MS 5000
#define ASK_MS 1000
#define RESTARTS_MAX 3 /* a service that came up that often does not become healthy by itself */
#define LAST_LINES 10

struct watch {
	char *id, *service;
	const cJSON *check;
	bool healthy;
	int64_t pid, since_ms; /* running as this process since then */
	int64_t next_ms;       /* look again then at the latest */
	int probes;
};

struct vigil {
	struct state *st;
	const struct session_row *row;
	struct job *job;
	struct watch *list;
	size_t n;
	int64_t deadline_ms, wake_ms;
};

/* -- what is watched -- */

static void vigil_free(struct vigil *v)
{
	for (size_t i = 0; i < v->n; i++) {
		free(v->list[i].id);
		free(v->list[i].service);
	}
	free(v->list);
}
#define cleanup_vigil __attribute__((cleanup(vigil_free)))

static int vigil_open(struct vigil *v, const cJSON *services, struct err *err)
{
	cleanup_json cJSON *containers = compose_objects(v->st, v->row->uuid, DOCKER_CONTAINER, err);
	if (!containers)
		return -1;
	v->list = mem_alloc(((size_t)cJSON_GetArraySize(containers) + 1) * sizeof(*v->list));
	const cJSON *name, *c;
	cJSON_ArrayForEach(name, services)
	{
		size_t before = v->n;
		cJSON_ArrayForEach(c, containers)
		{
			const cJSON *label =
			        cJSON_GetObjectItemCaseSensitive(json_at(c, "labels"), LABEL_SERVICE);
			if (!cJSON_IsString(label) || strcmp(label->valuestring, name->valuestring) != 0)
				continue;
			v->list[v->n++] =
			        (struct watch){.id = mem_strdup(json_text_or(c, "id", "")),
			                       .service = mem_strdup(name->valuestring),
			                       .check = cJSON_GetObjectItemCaseSensitive(
			                               json_at(v->row->spec, "checks"), name->valuestring)};
		}
		if (v->n == before)
			return err_set(err, ERR_FAILED, "service %s has no container", name->valuestring);
	}
	return 0;
}

/* -- one container -- */

static int failed(const struct watch *w, struct err *err, const char *fmt, ...)
        __attribute__((format(printf, 3, 4)));
static int failed(const struct watch *w, struct err *err, const char *fmt, ...)
{
	cleanup_str struct str text = STR_INIT_MAX(1500);
	struct err ignored = {0};
	char why[160];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(why, sizeof(why), fmt, ap);
	va_end(ap);
	str_addf(&text, "service %s failed: %s", w->service, why);
	cleanup_json cJSON *lines = docker_logs(w->id, LAST_LINES, false, &ignored);
	const cJSON *line;
	cJSON_ArrayForEach(line, lines) str_addf(&text, "\n  %.300s", line->valuestring);
	return err_set(err, ERR_FAILED, "%s", str_text(&text));
}

int compose_ask_role(struct state *st, const struct session_row *row, const char *role)
{
	static const struct {
		const char *role, *key;
	} asked[] = {{"telegram", "TELEGRAM_PORT"},
	             {"gateway", "GATEWAY_HEALTH_PORT"},
	             {"telegram-bot", "BOT_PORT"}};
	struct err ignored = {0};
	cleanup_json cJSON *leases = lease_list(st, row->uuid, &ignored);
	for (size_t i = 0; role && i < ARRAY_LEN(asked); i++) {
		int port = strcmp(asked[i].role, role) ? 0 : lease_port_of(leases, asked[i].key);
		if (!port)
			continue;
		cleanup_free char *url = mem_printf("http://127.0.0.1:%d/health", port);
		struct http_request req = {.url = url, .connect_ms = ASK_MS, .total_ms = ASK_MS};
		struct http_reply reply = {0};
		int rc = http_fetch(&req, &reply, &ignored);
		long status = rc == 0 ? reply.status : 0;
		http_reply_free(&reply);
		return status == 200;
	}
	return -1;
}

/* Run the container's own test. Returns whether it passed. */
static bool run_test(const struct watch *w, const cJSON *test)
{
	const char *argv[64] = {"/bin/sh", "-c", NULL};
	size_t n = 0;
	const cJSON *first = cJSON_GetArrayItem(test, 0), *one;
	bool shell = cJSON_IsString(first) && !strcmp(first->valuestring, "CMD-SHELL");
	if (shell)
		n = 2;
	for (one = first ? first->next : NULL; one && n + 1 < ARRAY_LEN(argv); one = one->next)
		argv[n++] = cJSON_IsString(one) ? one->valuestring : "";
	argv[n] = NULL;
	struct docker_output out = {0};
	struct err ignored = {0};
	bool passed =
	        docker_exec(w->id, argv, PROBE_LIMIT_MS, 4096, &out, &ignored) == 0 && out.exit_code == 0;
	docker_output_free(&out);
	return passed;
}

static bool has_test(const cJSON *test)
{
	const char *first = cJSON_GetStringValue(cJSON_GetArrayItem(test, 0));
	return first && strcmp(first, "NONE") != 0;
}

/* Ask it ourselves when it is time to. */
static void probe(struct vigil *v, struct watch *w, const cJSON *test, int64_t now)
{
	if (now < w->next_ms)
		return;
	int asked = compose_ask_role(v->st, v->row, json_text(w->check, "role"));
	w->healthy = asked >= 0 ? asked == 1 : run_test(w, test);
	int64_t pause = (int64_t)PROBE_FIRST_MS << (w->probes < 5 ? w->probes : 5);
	w->probes++;
	w->next_ms = clock_mono_ms() + (pause < PROBE_MAX_MS ? pause : PROBE_MAX_MS);
}

static int judge_running(struct vigil *v, struct watch *w, const cJSON *container, struct err *err)
{
	const cJSON *test = json_at(container, "Config.Healthcheck.Test");
	int64_t now = clock_mono_ms(), pid = json_int(container, "State.Pid", 0);
	const char *health = json_text_or(container, "State.Health.Status", "none");
	if (pid != w->pid) {
		w->pid = pid;
		w->since_ms = now;
		w->next_ms = 0;
		w->healthy = false;
	}
	if (!has_test(test)) {
		w->healthy = now - w->since_ms >= STEADY_MS;
		w->next_ms = w->since_ms + STEADY_MS;
		return 0;
	}
	if (!strcmp(health, "unhealthy")) {
		const cJSON *log = json_at(container, "State.Health.Log");
		const cJSON *last = cJSON_GetArrayItem(log, cJSON_GetArraySize(log) - 1);
		const char *said = json_text_or(last, "Output", "");
		return failed(w, err, "its healthcheck fails%s%.100s", *said ? ": " : " and says nothing",
		              said);
	}
	w->healthy = w->healthy || !strcmp(health, "healthy");
	if (!w->healthy)
		probe(v, w, test, now);
	return 0;
}

static int judge(struct vigil *v, struct watch *w, struct err *err)
{
	cleanup_json cJSON *container = docker_inspect(w->id, err);
	if (!container)
		return err->code == ERR_NOT_FOUND ? failed(w, err, "its container was removed by somebody")
		                                  : -1;
	const char *status = json_text_or(container, "State.Status", "?");
	int64_t code = json_int(container, "State.ExitCode", 0);
	w->next_ms = INT64_MAX == w->next_ms ? 0 : w->next_ms;
	if (!strcmp(status, "running"))
		return judge_running(v, w, container, err);
	if (!strcmp(status, "exited") || !strcmp(status, "dead")) {
		w->healthy = code == 0 && json_bool(w->check, "oneshot", false);
		return w->healthy ? 0 : failed(w, err, "it ended with exit code %lld", (long long)code);
	}
	w->healthy = false;
	w->next_ms = INT64_MAX; /* created, restarting, paused: an event will tell */
	if (!strcmp(status, "restarting") && json_int(container, "RestartCount", 0) >= RESTARTS_MAX)
		return failed(w, err, "it ends with exit code %lld again and again", (long long)code);
	return 0;
}

/* Say what became of ${w}, unless it is well. */
static void blame(const struct watch *w, struct str *out)
{
	struct err why = {0};
	cleanup_json cJSON *container = docker_inspect(w->id, &why);
	const char *status = json_text_or(container, "State.Status", "?");
	int64_t code = json_int(container, "State.ExitCode", 0);
	if (code && (!strcmp(status, "exited") || !strcmp(status, "dead") || !strcmp(status, "restarting")))
		failed(w, &why, "it ended with exit code %lld", (long long)code);
	else if (!strcmp(json_text_or(container, "State.Health.Status", ""), "unhealthy"))
		failed(w, &why, "its healthcheck fails");
	else
		return;
	str_addf(out, "\n%s", why.msg);
}

void compose_blame(struct state *st, const struct session_row *row, struct str *out)
{
	struct err ignored = {0};
	cleanup_json cJSON *containers = compose_objects(st, row->uuid, DOCKER_CONTAINER, &ignored);
	const cJSON *c;
	cJSON_ArrayForEach(c, containers)
	{
		const cJSON *service = cJSON_GetObjectItemCaseSensitive(json_at(c, "labels"), LABEL_SERVICE);
		cleanup_free char *id = mem_strdup(json_text_or(c, "id", "")),
		                  *name = mem_strdup(cJSON_IsString(service) ? service->valuestring : "?");
		blame(&(struct watch){.id = id, .service = name}, out);
	}
}

/* -- all of them -- */

/* Returns how many are not healthy, or -1 with what failed. Those that were are looked at again: one may end while others
 * are waited for. */
static int look(struct vigil *v, struct str *waiting, struct err *err)
{
	int left = 0;
	v->wake_ms = v->deadline_ms;
	for (size_t i = 0; i < v->n; i++) {
		struct watch *w = &v->list[i];
		if (judge(v, w, err))
			return -1;
		if (w->healthy)
			continue;
		str_addf(waiting, "%s%s", left++ ? ", " : "", w->service);
		v->wake_ms = w->next_ms < v->wake_ms ? w->next_ms : v->wake_ms;
	}
	return left;
}

/* Our own probes are events too, which tell nothing. */
static bool uninteresting(void *arg, const cJSON *event)
{
	(void)arg;
	const char *action = json_text_or(event, "Action", "");
	return !strncmp(action, "exec_", 5) || strcmp(json_text_or(event, "Type", ""), "container") != 0;
}

static bool still_time(void *arg)
{
	struct vigil *v = arg;
	struct err ignored = {0};
	return clock_mono_ms() < v->wake_ms && !(v->job && job_check(v->job, &ignored));
}

static int timed_out(const struct vigil *v, const char *waiting, struct err *err)
{
	int64_t seconds = config_int(v->st->cfg, "SESSION_START_TIMEOUT");
	for (size_t i = 0; i < v->n; i++)
		if (!v->list[i].healthy) {
			failed(&v->list[i], err,
			       "not healthy after %lld s (SESSION_START_TIMEOUT), still waiting for %.80s",
			       (long long)seconds, waiting);
			err->code = ERR_TIMEOUT;
			return -1;
		}
	return -1;
}

/* Until something happens or it is time to look again. ${from_ms} is when the last look began: what happened during it
 * is told again. */
static int await_event(struct vigil *v, int64_t from_ms, struct err *err)
{
	cleanup_free char *label = mem_printf(LABEL_SESSION "=%s", v->row->uuid);
	return docker_events(from_ms, label, uninteresting, still_time, v, err);
}

int compose_await(struct state *st, const struct session_row *row, const cJSON *services, struct job *job,
                  struct err *err)
{
	cleanup_vigil struct vigil v = {.st = st, .row = row, .job = job};
	int64_t limit = 1000 * config_int(st->cfg, "SESSION_START_TIMEOUT");
	if (vigil_open(&v, services, err))
		return -1;
	v.deadline_ms = clock_mono_ms() + limit;
	for (int before = -1;;) {
		cleanup_str struct str waiting = STR_INIT_MAX(512);
		int64_t from_ms = clock_now_ms();
		int left = look(&v, &waiting, err);
		if (left <= 0)
			return left;
		if (job && job_check(job, err))
			return -1;
		if (clock_mono_ms() >= v.deadline_ms)
			return timed_out(&v, str_text(&waiting), err);
		if (job && left != before)
			job_progress(job, "wait", 40 + 50 * ((int)v.n - left) / (int)v.n, "waiting for %s",
			             str_text(&waiting));
		before = left;
		if (await_event(&v, from_ms, err))
			return -1;
	}
}
