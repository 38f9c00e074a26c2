/* The engine's frames around the output of containers without a terminal: stream (1 byte), 3 zero bytes, length (4 bytes, big-endian),
 * data (https://docs.docker.com/engine/api/v1.41/#operation/ContainerAttach). They come in pieces of any size. */
#ifndef COMPOSE_DOCKER_FRAMES_H
#define COMPOSE_DOCKER_FRAMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { DOCKER_STDOUT = 1, DOCKER_STDERR = 2, DOCKER_STREAMS };

struct docker_frames {
	/* Gets each piece of data; ${first}: it begins a frame. */
	void (*take)(void *arg, int stream, const char *data, size_t len, bool first);
	void *arg;
	unsigned char head[8];
	unsigned n_head;
	uint32_t left; /* of the frame's data */
	bool first;
};

/** Read ${len} bytes more. Returns 0, or -1 when they are no frames. */
int docker_frames_feed(struct docker_frames *f, const char *data, size_t len);

#endif
