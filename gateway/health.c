#include "gateway/health.h"
#include "core/clock.h"
#include "core/mem.h"
#include "core/version.h"
#include "gateway/request.h"
#include "jobs/worker.h"
#include "sessions/counters.h"
#include <stdlib.h>
#include <string.h>

const struct metric gateway_metrics[] = {
        [METRIC_CONNECTIONS] = {"codefoundry_gateway_connections", METRIC_GAUGE,
                                "WebSocket connections open now"},
        [METRIC_CONNECTIONS_TOTAL] = {"codefoundry_gateway_connections_total", METRIC_COUNTER,
                                      "WebSocket connections opened"},
        [METRIC_REFUSED] = {"codefoundry_gateway_refused_total", METRIC_COUNTER,
                            "Connections refused before the upgrade, by HTTP status"},
        [METRIC_MESSAGES] = {"codefoundry_gateway_messages_total", METRIC_COUNTER,
                             "Frames received, by type"},
        [METRIC_FAULTS] = {"codefoundry_gateway_faults_total", METRIC_COUNTER, "Error frames sent, by code"},
        [METRIC_REQUESTS] = {"codefoundry_gateway_requests", METRIC_GAUGE, "Requests under way"},
        [METRIC_REQUESTS_TOTAL] = {"codefoundry_gateway_requests_total", METRIC_COUNTER,
                                   "Requests ended, by outcome"},
        [METRIC_EVENTS] = {"codefoundry_gateway_events_total", METRIC_COUNTER,
                           "Event frames sent to subscribers"},
        {.name = NULL},
};

static void answer_json(struct http_exchange *x, int status, cJSON *body)
{
	cleanup_json cJSON *owned = body;
	cleanup_free char *text = json_print(owned);
	http_answer_text(x, status, "application/json", text);
}

static void health(struct hub *hub, struct http_exchange *x)
{
	struct err err = {0};
	int64_t queued = 0;
	const char *reason = NULL;
	cJSON *j = json_object();
	if (hub->draining)
		reason = "shutting down";
	else if (db_get_int(hub->st->db, &queued, &err, "SELECT count(*) FROM jobs WHERE state = 'queued'",
	                    ""))
		reason = "database not readable";
	json_add_text(j, "status", reason ? "unhealthy" : "healthy");
	if (reason)
		json_add_text(j, "reason", reason);
	json_add_int(j, "uptime", (clock_mono_ms() - hub->started_ms) / 1000);
	json_add_int(j, "sessions", (int64_t)hub->connections);
	json_add_text(j, "version", version_text);
	cleanup_free char *mark = state_mark(hub->st->dir);
	json_add_text(j, "state", mark);
	json_add_int(j, "requests", (int64_t)metrics_value(hub->metrics, METRIC_REQUESTS, NULL));
	json_add_int(j, "jobs_queued", queued);
	json_add_bool(j, "worker", worker_alive(hub->st));
	answer_json(x, reason ? 503 : 200, j);
}

void health_handle(void *arg, struct http_exchange *x)
{
	struct hub *hub = arg;
	cleanup_str struct str text = STR_INIT;
	const char *path = http_path(x), *method = http_method(x);
	if (strcmp(method, "GET") != 0 && strcmp(method, "HEAD") != 0) {
		cJSON *j = json_object();
		json_add_text(j, "error", "only GET is answered here");
		answer_json(x, 405, j);
	} else if (strcmp(path, "/health") == 0) {
		health(hub, x);
	} else if (strcmp(path, "/metrics") == 0) {
		metrics_render(hub->metrics, &text);
		counters_render(hub->st, &text);
		http_answer_text(x, 200, METRICS_CONTENT_TYPE, str_text(&text));
	} else {
		cJSON *j = json_object();
		json_add_text(j, "error",
		              "only /health and /metrics are here; the WebSocket is on GATEWAY_PORT");
		answer_json(x, 404, j);
	}
}
