/* What the parts of one gateway process share: plain data, filled by gateway_main. */
#ifndef GATEWAY_HUB_H
#define GATEWAY_HUB_H

#include "core/loop.h"
#include "core/metrics.h"
#include "gateway/access.h"
#include "gateway/asks.h"
#include "gateway/feed.h"
#include "jobs/state.h"

enum gateway_metric {
	METRIC_CONNECTIONS,
	METRIC_CONNECTIONS_TOTAL,
	METRIC_REFUSED,
	METRIC_MESSAGES,
	METRIC_FAULTS,
	METRIC_REQUESTS,
	METRIC_REQUESTS_TOTAL,
	METRIC_EVENTS,
};

struct questions;

struct hub {
	const struct config *cfg;
	struct loop *loop;
	struct state *st;
	struct metrics *metrics;
	struct feed *feed;
	struct asks *asks;
	struct questions *questions;
	int64_t started_ms;        /* monotonic */
	int64_t worker_timeout_ms; /* how long a request waits while no worker runs */
	int rate;                  /* messages per second and connection; 0: no limit */
	size_t connections;
	bool draining;
};

#endif
