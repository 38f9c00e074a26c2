/* The engine's events for who waits on a loop: docker_events() (docker.h) blocks. */
#ifndef COMPOSE_DOCKER_EVENTS_H
#define COMPOSE_DOCKER_EVENTS_H

#include "core/err.h"
#include "core/json.h"
#include "core/str.h"
#include <stdbool.h>
#include <stdint.h>

/* Bytes of an answer of /events into events. */
struct docker_event_reader {
	bool (*fn)(void *arg, const cJSON *event); /* whether to go on */
	void *arg;
	struct str line; /* STR_INIT_MAX(DOCKER_EVENT_MAX); str_free it */
	bool stopped;    /* fn said no */
	struct err broken;
};
#define DOCKER_EVENT_MAX ((size_t)1 << 20)

/** Read ${len} bytes more. Whether to go on: false when fn said no, or when they are no events (broken says why). */
bool docker_event_feed(struct docker_event_reader *r, const char *data, size_t len);

/** What to GET for the events from ${since_ms} on of objects with ${label}. The caller frees it. */
char *docker_event_path(int64_t since_ms, const char *label);

#endif
