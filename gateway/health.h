/* GET /health and /metrics of the gateway. */
#ifndef GATEWAY_HEALTH_H
#define GATEWAY_HEALTH_H

#include "core/http_server.h"
#include "gateway/hub.h"

extern const struct metric gateway_metrics[];

/** Handler of the health port; its argument is the hub. */
http_handler health_handle;

#endif
