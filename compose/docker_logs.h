/* Log lines of a container with the engine's times: a window of what it wrote, and a reader for what comes as it
 * writes (docker.h has the plain last lines). */
#ifndef COMPOSE_DOCKER_LOGS_H
#define COMPOSE_DOCKER_LOGS_H

#include "compose/docker_frames.h"
#include "core/err.h"
#include "core/json.h"
#include "core/str.h"

struct docker_log_line {
	const char *
	        ts; /* RFC 3339 with nine digits, as the engine writes it, so that times compare as texts; "" when not asked for */
	int stream; /* DOCKER_STDOUT or DOCKER_STDERR; 0: it has a terminal, nobody can tell */
	const char *text; /* valid UTF-8 without NUL bytes, cut at 64 KiB; borrowed during the call */
	size_t len;
};

/* Bytes of an answer of /containers/{id}/logs into lines. Fields are private. */
struct docker_log_reader {
	struct docker_frames frames;
	void (*fn)(void *arg, const struct docker_log_line *line);
	void *arg;
	bool terminal, times, garbled;
	struct {
		struct str text;
		bool open; /* begun, not ended */
		bool skip; /* the time that begins the next part of a long line */
	} lines[DOCKER_STREAMS];
};

/** Begin: ${terminal}: the container has one, so there are no frames; ${times}: each line begins with its time. */
void docker_log_reader_open(struct docker_log_reader *r, bool terminal, bool times,
                            void (*fn)(void *arg, const struct docker_log_line *line), void *arg);

/** Read ${len} bytes more. Returns 0, or -1 when they are no log. */
int docker_log_reader_feed(struct docker_log_reader *r, const char *data, size_t len);

/** The end: lines that were begun are given as they are. */
void docker_log_reader_close(struct docker_log_reader *r);

/** Whether ${container} has a terminal: 1, 0, or -1 with ${err}. */
int docker_log_terminal(const char *container, struct err *err);

struct docker_log_window {
	int n; /* the last so many lines */
	int64_t since_ms,
	        until_ms; /* of those not older, not younger (since the epoch); 0: whatever their age */
};

/** The lines of ${container} in ${window}, oldest first: an array of {"ts","stream" ("stdout", "stderr"; not with a terminal),"msg"}, 8 MiB at
 * most. NULL with ${err}. */
cJSON *docker_log_window(const char *container, const struct docker_log_window *window, struct err *err);

#endif
