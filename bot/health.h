/* The bot's /health and /metrics. Unhealthy means: it does not hear its users, and why. */
#ifndef BOT_HEALTH_H
#define BOT_HEALTH_H

#include "bot/app.h"

struct health;

extern const struct metric health_metrics[];

/** Listen on BOT_HOST:BOT_PORT. ERR_EXISTS when the port is taken. */
int health_open(struct health **health, struct bot *bot, struct err *err);
void health_close(struct health *health);

#endif
