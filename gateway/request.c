#include "gateway/request.h"
#include "core/clock.h"
#include "core/log.h"
#include "core/mem.h"
#include "core/version.h"
#include "jobs/worker.h"
#include <stdlib.h>
#include <string.h>

#define REQUESTS_MAX 32        /* of one client at a time */
#define STALLED_MS (60 * 1000) /* a running job that says nothing while no worker lives */

struct request {
	struct request *next;
	struct client *client;
	cJSON *sid;
	const struct command *command;
	enum lang lang;
	char *cp_version, *cp_id; /* NULL for a chat */
	bool bare;
	struct ask *ask; /* a query, or */
	int64_t job;     /* a job */
	int percent;
	char *stage, *message;
	int64_t heard_ms; /* monotonic: when the job last said something */
	bool told_wait;
};

/* What the gateway knows of itself, for queries. The caller owns it. */
static cJSON *hub_runtime(const struct hub *hub)
{
	cJSON *j = json_object();
	json_add_text(j, "status", hub->draining ? "stopping" : "running");
	json_add_int(j, "uptime", (clock_mono_ms() - hub->started_ms) / 1000);
	json_add_int(j, "connections", (int64_t)hub->connections);
	json_add_int(j, "requests", (int64_t)metrics_value(hub->metrics, METRIC_REQUESTS, NULL));
	json_add_text(j, "version", version_text);
	return j;
}

static struct request *request_new(struct client *client, const struct request_spec *spec)
{
	struct request *r = mem_alloc(sizeof(*r));
	r->client = client;
	r->sid = cJSON_Duplicate(spec->sid, 1);
	r->command = spec->command;
	r->lang = spec->lang;
	r->bare = spec->bare;
	if (spec->cp && spec->cp->id) {
		r->cp_version = mem_strdup(spec->cp->version ? spec->cp->version : "1.0");
		r->cp_id = mem_strdup(spec->cp->id);
	}
	r->stage = mem_strdup("queued");
	r->message = mem_strdup("");
	r->heard_ms = clock_mono_ms();
	r->next = client->requests;
	client->requests = r;
	metrics_add(client->hub->metrics, METRIC_REQUESTS, NULL, 1);
	return r;
}

static void request_free(struct request *r)
{
	struct hub *hub = r->client->hub;
	struct request **at = &r->client->requests;
	while (*at != r)
		at = &(*at)->next;
	*at = r->next;
	if (r->job)
		feed_unfollow(hub->feed);
	ask_forget(r->ask);
	metrics_add(hub->metrics, METRIC_REQUESTS, NULL, -1);
	cJSON_Delete(r->sid);
	free(r->cp_version);
	free(r->cp_id);
	free(r->stage);
	free(r->message);
	free(r);
}

static void count(struct client *client, const struct fault *fault)
{
	metrics_add(client->hub->metrics, METRIC_REQUESTS_TOTAL,
	            fault ? "outcome=\"error\"" : "outcome=\"complete\"", 1);
	if (!fault)
		return;
	cleanup_free char *label = mem_printf("code=\"%s\"", fault_name(fault->code));
	metrics_add(client->hub->metrics, METRIC_FAULTS, label, 1);
}

/* -- the end of a request -- */

static void succeed(struct request *r, cJSON *result)
{
	cleanup_str struct str text = STR_INIT_MAX(256 << 10);
	cJSON *data;
	r->command->tell(result, r->lang, &text);
	if (r->cp_id) {
		data = cp_response(r->cp_version, r->cp_id, result, str_text(&text), NULL);
	} else if (r->bare) {
		data = result;
	} else {
		data = json_object();
		json_add_text(data, "command", r->command->name);
		json_add(data, "result", result);
		if (r->job)
			json_add_int(data, "job", r->job);
	}
	count(r->client, NULL);
	client_send(r->client, frame_complete(r->sid, str_text(&text), data));
	request_free(r);
}

static void send_fault(struct client *client, const cJSON *sid, const char *version, const char *id,
                       const struct fault *fault)
{
	cJSON *data = id ? cp_response(version, id, NULL, fault->text, fault) : NULL;
	count(client, fault);
	client_send(client, frame_error(sid, fault, data));
}

static void fail(struct request *r, struct fault *fault)
{
	fault->job = r->job;
	send_fault(r->client, r->sid, r->cp_version, r->cp_id, fault);
	request_free(r);
}

void request_refuse(struct client *client, const struct request_spec *spec, const struct fault *fault)
{
	const char *id = spec->cp ? spec->cp->id : NULL;
	send_fault(client, spec->sid, id ? spec->cp->version : NULL, id, fault);
}

static void answer_row(struct request *r, struct job_row *row)
{
	struct fault fault;
	if (row->state == JOB_DONE) {
		succeed(r, row->result ? TAKE(row->result) : json_object());
		return;
	}
	struct err err = {.code = row->error_code ? row->error_code : ERR_FAILED};
	if (row->state == JOB_CANCELLED)
		err_set(&err, ERR_CANCELLED,
		        "Job %lld was cancelled: nothing of it is left. Ask again to run it anew.",
		        (long long)row->id);
	else
		err_set(&err, err.code, "%s",
		        row->error ? row->error
		                   : "The job failed without saying why: `show job` tells more.");
	fault_of(&fault, &err, strcmp(row->kind, "project.create") == 0);
	fail(r, &fault);
}

/* Answer when the job is over. Returns whether the request has ended. */
static bool settle(struct request *r)
{
	struct job_row row;
	struct err err;
	struct fault fault;
	if (jobs_get(r->client->hub->st, r->job, &row, &err)) {
		if (err.code != ERR_NOT_FOUND)
			return false; /* the database is busy: the next tick asks again */
		fault_of(&fault, &err, false);
		fail(r, &fault);
		return true;
	}
	bool over = job_state_final(row.state);
	if (over)
		answer_row(r, &row);
	job_row_free(&row);
	return over;
}

/* -- on the way -- */

static void set_copy(char **field, const char *text)
{
	free(*field);
	*field = mem_strdup(text);
}

static void tell(struct request *r, const char *stage, int percent, const char *message, const char *log)
{
	if (stage)
		set_copy(&r->stage, stage);
	if (message)
		set_copy(&r->message, message);
	if (percent > r->percent)
		r->percent = percent > 100 ? 100 : percent;
	client_send(r->client, frame_progress(r->sid, r->stage, r->percent, r->message, r->job, log));
}

static void hear(struct request *r, const struct job_event *event)
{
	r->heard_ms = clock_mono_ms();
	if (strcmp(event->type, "progress") == 0)
		tell(r, event->stage, event->percent, event->text, NULL);
	else if (strcmp(event->type, "log") == 0)
		tell(r, NULL, -1, NULL, event->text);
	else if (!settle(r) && event->stage && strcmp(event->stage, "running") == 0)
		tell(r, "started", -1, "Started", NULL);
}

void requests_event(struct client *client, const struct job_event *event)
{
	for (struct request *r = client->requests, *next; r; r = next) {
		next = r->next;
		if (r->job && r->job == event->job)
			hear(r, event);
	}
}

/* Nobody may ever run it: say so instead of waiting for ever. The job stays, because the same request id must mean the
 * same job when the client asks again. */
static void check_worker(struct request *r)
{
	struct hub *hub = r->client->hub;
	int64_t silent = clock_mono_ms() - r->heard_ms,
	        limit = strcmp(r->stage, "queued") == 0 ? hub->worker_timeout_ms : STALLED_MS;
	struct fault fault;
	if (silent < limit)
		return;
	if (worker_alive(hub->st)) {
		if (!r->told_wait && strcmp(r->stage, "queued") == 0)
			tell(r, NULL, -1, "Waiting: the worker is busy with other jobs", NULL);
		r->told_wait = true;
		return;
	}
	fault_set(&fault, FAULT_ENGINE_UNAVAILABLE,
	          "No worker runs, so job %lld waits: start it with `make up`. The job runs then; `cancel "
	          "job %lld` takes it back.",
	          (long long)r->job, (long long)r->job);
	fault.reason = "engine";
	fail(r, &fault);
}

void requests_tick(struct client *client)
{
	for (struct request *r = client->requests, *next; r; r = next) {
		next = r->next;
		if (r->job && !settle(r))
			check_worker(r);
	}
}

void requests_drop(struct client *client)
{
	while (client->requests)
		request_free(client->requests);
}

/* -- the start -- */

static void on_answer(void *arg, cJSON *result, const struct err *err)
{
	struct request *r = arg;
	struct fault fault;
	r->ask = NULL;
	if (result) {
		succeed(r, result);
		return;
	}
	fault_of(&fault, err, false);
	fail(r, &fault);
}

static void start_query(struct client *client, const struct request_spec *spec, const cJSON *args)
{
	struct hub *hub = client->hub;
	struct fault fault;
	struct request *r = request_new(client, spec);
	cJSON *runtime = hub_runtime(hub);
	cleanup_free char *who = mem_printf("gw:%s", *spec->user ? spec->user : client->peer);
	json_add_text(runtime, "asked_by", who);
	r->ask = ask_start(hub->asks, spec->command->query, args, runtime, on_answer, r);
	if (r->ask)
		return;
	fault_set(&fault, FAULT_RATE_LIMITED,
	          "The gateway is answering too many questions at once: ask again in a few seconds.");
	fail(r, &fault);
}

/* The job's newest progress, for whoever joins late. */
static void catch_up(struct request *r)
{
	cleanup_query struct query q = QUERY_INIT;
	struct err err;
	if (db_query(r->client->hub->st->db, &q, &err,
	             "SELECT stage, percent, message FROM jobs WHERE id = ?", "i", r->job) == 0 &&
	    query_next(&q, &err) == 1 && query_text(&q, 0))
		tell(r, query_text(&q, 0), (int)query_int(&q, 1), query_text(&q, 2), NULL);
}

static void follow(struct client *client, const struct request_spec *spec, int64_t id, bool fresh)
{
	struct request *r = request_new(client, spec);
	r->job = id;
	cleanup_free char *message =
	        mem_printf(worker_alive(client->hub->st) ? "Queued as job %lld"
	                                                 : "Queued as job %lld, but no worker runs yet",
	                   (long long)id);
	tell(r, "queued", 0, message, NULL);
	if (!fresh)
		catch_up(r);
	settle(r);
}

/* The same request id must not be used for something else: its answer would be another command's. */
static int check_same(struct client *client, const struct request_spec *spec, int64_t id, struct fault *fault)
{
	struct err err;
	cleanup_free char *kind = NULL;
	if (db_get_text(client->hub->st->db, &kind, &err, "SELECT kind FROM jobs WHERE id = ?", "i", id))
		return fault_of(fault, &err, false);
	if (kind && strcmp(kind, spec->command->kind) != 0)
		return fault_set(fault, FAULT_INVALID_PARAMS,
		                 "This request id was used for another command (%s): send a new UUID with "
		                 "each command.",
		                 kind);
	return 0;
}

static void start_job(struct client *client, const struct request_spec *spec, const cJSON *args)
{
	struct hub *hub = client->hub;
	struct err err = {0};
	struct fault fault;
	int64_t id = 0;
	bool fresh = true;
	cleanup_free char *owner = mem_printf("gw:%s", *spec->user ? spec->user : client->peer);
	const char *session = strcmp(spec->command->kind, "test.run") == 0       ? json_text(args, "session")
	                      : strncmp(spec->command->kind, "session.", 8) == 0 ? json_text(args, "name")
	                                                                         : NULL;
	struct job_request req = {.kind = spec->command->kind,
	                          .args = args,
	                          .owner = owner,
	                          .origin = spec->origin,
	                          .session = session};
	feed_follow(hub->feed); /* before the job exists, so that no event of it is missed */
	if (jobs_enqueue(hub->st, &req, &id, &fresh, &err)) {
		err_wrap(&err, "The request could not be stored");
		fault_of(&fault, &err, false);
	} else if (fresh || check_same(client, spec, id, &fault) == 0) {
		log_with(LOG_INFO, LOG_FIELDS({"owner", owner}, {"command", spec->command->name}),
		         "job %lld %s", (long long)id, fresh ? "queued" : "asked for again");
		follow(client, spec, id, fresh);
		return;
	}
	feed_unfollow(hub->feed);
	request_refuse(client, spec, &fault);
}

static size_t running(const struct client *client)
{
	size_t n = 0;
	for (const struct request *r = client->requests; r; r = r->next)
		n++;
	return n;
}

static int check_start(struct client *client, const struct request_spec *spec, struct fault *fault)
{
	if (client->role < spec->command->role)
		return fault_set(fault, FAULT_UNAUTHORIZED,
		                 "`%s` needs the role %s, this connection is a %s: connect with the "
		                 "gateway's token (GATEWAY_TOKEN).",
		                 spec->command->name, role_name(spec->command->role),
		                 role_name(client->role));
	if (running(client) >= REQUESTS_MAX)
		return fault_set(fault, FAULT_RATE_LIMITED,
		                 "%d requests of this connection are under way: wait for one to end.",
		                 REQUESTS_MAX);
	return 0;
}

void request_start(struct client *client, const struct request_spec *spec)
{
	cleanup_json cJSON *args = NULL;
	struct fault fault;
	if (check_start(client, spec, &fault) || command_args(spec->command, spec->params, &args, &fault))
		request_refuse(client, spec, &fault);
	else if (spec->command->query)
		start_query(client, spec, args);
	else
		start_job(client, spec, args);
}

void request_resume(struct client *client, const struct request_spec *spec, int64_t id)
{
	struct fault fault;
	if (check_start(client, spec, &fault)) {
		request_refuse(client, spec, &fault);
		return;
	}
	feed_follow(client->hub->feed);
	follow(client, spec, id, false);
}
