/* See server.h: opening, routing, health and metrics. */
#include "testsuite/telegram/server.h"
#include "core/clock.h"
#include "core/file.h"
#include "core/id.h"
#include "core/log.h"
#include "core/mem.h"
#include "core/version.h"
#include "jobs/state.h"
#include "testsuite/telegram/call.h"
#include "testsuite/telegram/events.h"
#include "testsuite/telegram/files.h"
#include "testsuite/telegram/limits.h"
#include "testsuite/telegram/methods.h"
#include "testsuite/telegram/page.h"
#include "testsuite/telegram/updates.h"
#include "testsuite/telegram/user_side.h"
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define BODY_MAX (TG_UPLOAD_MAX + (2u << 20))
#define CONNECTIONS_MAX 512
#define PRUNE_MS 60000

static const struct metric metric_table[] = {
        [TG_M_REQUESTS] = {"codefoundry_telegram_requests_total", METRIC_COUNTER,
                           "Bot API calls by method and status"},
        [TG_M_UPDATES] = {"codefoundry_telegram_updates_total", METRIC_COUNTER, "Updates queued for the bot"},
        [TG_M_PENDING] = {"codefoundry_telegram_pending_updates", METRIC_GAUGE, "Updates not yet confirmed"},
        [TG_M_CONFLICTS] = {"codefoundry_telegram_conflicts_total", METRIC_COUNTER,
                            "getUpdates calls ended with 409"},
        [TG_M_EVENTS] = {"codefoundry_telegram_events_total", METRIC_COUNTER, "Events for the user's side"},
        [TG_M_FAULTS] = {"codefoundry_telegram_faults_total", METRIC_COUNTER, "Ordered faults that struck"},
        [TG_M_DENIED] = {"codefoundry_telegram_denied_total", METRIC_COUNTER, "User-side requests refused"},
        {.name = NULL},
};

static void answer_error(struct http_exchange *x, int status, const char *description)
{
	cleanup_free char *body =
	        mem_printf("{\"ok\":false,\"error_code\":%d,\"description\":\"%s\"}", status, description);

	http_answer_text(x, status, "application/json", body);
}

static void answer_health(struct tg *tg, struct http_exchange *x)
{
	cleanup_json cJSON *health = json_object();

	json_add_text(health, "status", "healthy");
	json_add_int(health, "uptime", (clock_mono_ms() - tg->started_ms) / 1000);
	json_add_text(health, "bot", tg->username);
	json_add_bool(health, "polling", tg_updates_polling(tg));
	json_add_text(health, "version", version_text);
	cleanup_free char *mark = state_mark(tg->dir);
	json_add_text(health, "state", mark);
	cleanup_free char *text = json_print(health);
	http_answer_text(x, 200, "application/json", text);
}

static void answer_metrics(struct tg *tg, struct http_exchange *x)
{
	cleanup_str struct str out = STR_INIT;

	metrics_set(tg->metrics, TG_M_PENDING, NULL, (double)tg_updates_pending(tg));
	metrics_render(tg->metrics, &out);
	http_answer_text(x, 200, METRICS_CONTENT_TYPE, str_text(&out));
}

/* After "/bot" or "/file/bot": check the token and return what follows its slash, or NULL with the exchange answered.
 * Without a colon it is no token but an unknown path, says the real server. */
static const char *check_token(struct tg *tg, struct http_exchange *x, const char *rest)
{
	size_t n = strcspn(rest, "/");
	cleanup_free char *token = mem_strndup(rest, n);

	if (rest[n] == '\0' || strchr(token, ':') == NULL) {
		answer_error(x, 404, "Not Found");
		return NULL;
	}
	if (!id_secret_equal(tg->token, token)) {
		answer_error(x, 401, "Unauthorized");
		return NULL;
	}
	return rest + n + 1;
}

static void answer_file(struct tg *tg, struct http_exchange *x, const char *path)
{
	cleanup_free char *data = NULL;
	size_t len = 0;
	struct err err;
	int found = tg_files_read(tg, path, &data, &len, &err);

	if (found < 0)
		log_error("file %s: %s", path, err.msg);
	if (found <= 0)
		answer_error(x, 404, "Not Found");
	else
		http_answer(x, 200, "application/octet-stream", data, len);
}

static void answer_bot(struct tg *tg, struct http_exchange *x, const char *rest)
{
	const char *name = check_token(tg, x, rest);

	if (name == NULL)
		return;
	const struct tg_method *method = tg_method_find(name);
	if (method) {
		int64_t n = json_int(tg->counts, method->name, 0);
		cJSON_DeleteItemFromObject(tg->counts, method->name);
		json_add_int(tg->counts, method->name, n + 1);
	}
	tg_call_start(tg, x, method);
}

/* A page in a browser can be made to resolve its own name to our address (DNS rebinding); its Host header gives it away. */
static bool host_is_local(const struct http_exchange *x)
{
	const char *host = http_header(x, "Host");
	unsigned char address[16];
	char name[80];

	if (host == NULL)
		return true;
	bool bracket = *host == '[';
	host += bracket;
	size_t n = strcspn(host, bracket ? "]" : ":");
	if (n >= sizeof(name))
		return false;
	memcpy(name, host, n);
	name[n] = '\0';
	return strcasecmp(name, "localhost") == 0 || inet_pton(AF_INET, name, address) == 1 ||
	       inet_pton(AF_INET6, name, address) == 1;
}

static void handle(void *arg, struct http_exchange *x)
{
	struct tg *tg = arg;
	const char *path = http_path(x), *method = http_method(x);
	bool get = strcmp(method, "GET") == 0;
	const char *rest;

	if (tg->loopback && !host_is_local(x))
		answer_error(x, 403, "Forbidden: this server answers to localhost only");
	else if (!get && strcmp(method, "POST") != 0 && strcmp(method, "HEAD") != 0)
		answer_error(x, 501, "Not Implemented");
	else if (strncmp(path, "/bot", 4) == 0)
		answer_bot(tg, x, path + 4);
	else if (strncmp(path, "/user/", 6) == 0)
		tg_user_side(tg, x);
	else if (strcmp(path, "/") == 0)
		tg_page(x);
	else if (strcmp(path, "/health") == 0)
		answer_health(tg, x);
	else if (strcmp(path, "/metrics") == 0)
		answer_metrics(tg, x);
	else if (strncmp(path, "/file/bot", 9) == 0) {
		rest = check_token(tg, x, path + 9);
		if (rest)
			answer_file(tg, x, rest);
	} else
		answer_error(x, 404, "Not Found");
}

static void prune(void *arg)
{
	struct tg *tg = arg;
	struct err err;

	if (tg_store_prune(tg, &err) < 0)
		log_warn("%s", err.msg);
}

static int read_credentials(struct tg *tg, const cJSON *credentials, struct err *err)
{
	tg->credentials = cJSON_Duplicate(credentials, true);
	tg->token = json_text(tg->credentials, "token");
	tg->username = json_text(tg->credentials, "username");
	tg->key = json_text(tg->credentials, "key");
	if (tg->token == NULL || tg->username == NULL || tg->key == NULL || strlen(tg->key) < 16 ||
	    strchr(tg->token, ':') == NULL)
		return err_set(
		        err, ERR_STATE,
		        "telegram.json lacks token, username or key: remove it to have a new one made");
	tg->bot_id = strtoll(tg->token, NULL, 10);
	log_secret(tg->token);
	log_secret(tg->key);
	return 0;
}

static int listen_on(struct tg *tg, const struct telegram_options *options, struct err *err)
{
	const char *host = options->host && *options->host ? options->host : "127.0.0.1";

	if (strcmp(host, "localhost") == 0)
		host = "127.0.0.1";
	tg->loopback = strncmp(host, "127.", 4) == 0 || strcmp(host, "::1") == 0;
	struct http_server_options http = {.host = host,
	                                   .port = options->port,
	                                   .max_body = BODY_MAX,
	                                   .max_connections = CONNECTIONS_MAX};
	return http_server_open(&tg->http, tg->loop, &http, handle, tg, err);
}

int telegram_open(struct tg **out, struct loop *loop, const struct telegram_options *options,
                  const cJSON *credentials, struct err *err)
{
	struct tg *tg = mem_alloc(sizeof(*tg));

	tg->loop = loop;
	tg->dir = mem_strdup(options->dir);
	tg->counts = json_object();
	tg->metrics = metrics_new(metric_table);
	tg->faults = tg_faults_new();
	tg->limits = options->flood_limits ? tg_limits_new() : NULL;
	tg->started_ms = clock_mono_ms();
	if (read_credentials(tg, credentials, err) < 0 || tg_store_open(tg, err) < 0 ||
	    tg_updates_open(tg, err) < 0 || tg_events_open(tg, err) < 0 || listen_on(tg, options, err) < 0) {
		telegram_close(tg);
		return -1;
	}
	tg->prune = loop_timer_new(loop, prune, tg);
	loop_timer_set(tg->prune, PRUNE_MS, PRUNE_MS);
	*out = tg;
	return 0;
}

int telegram_port(const struct tg *tg)
{
	return http_server_port(tg->http);
}

void telegram_close(struct tg *tg)
{
	if (tg == NULL)
		return;
	tg_calls_close(tg);
	tg_events_close(tg);
	tg_updates_close(tg);
	if (tg->http)
		http_server_close(tg->http);
	loop_timer_free(tg->prune);
	db_close(tg->db);
	tg_limits_free(tg->limits);
	tg_faults_free(tg->faults);
	metrics_free(tg->metrics);
	cJSON_Delete(tg->counts);
	cJSON_Delete(tg->credentials);
	free(tg->dir);
	free(tg);
}
