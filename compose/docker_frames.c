#include "compose/docker_frames.h"

/* Streams 0 (input, never sent) to 3 (the engine's own errors). */
static int begin(struct docker_frames *f)
{
	const unsigned char *h = f->head;

	if (h[0] > 3 || h[1] || h[2] || h[3])
		return -1;
	f->left = (uint32_t)h[4] << 24 | (uint32_t)h[5] << 16 | (uint32_t)h[6] << 8 | h[7];
	f->first = true;
	if (!f->left)
		f->n_head = 0;
	return 0;
}

int docker_frames_feed(struct docker_frames *f, const char *data, size_t len)
{
	while (len) {
		if (f->n_head < sizeof(f->head)) {
			f->head[f->n_head++] = (unsigned char)*data++;
			len--;
			if (f->n_head == sizeof(f->head) && begin(f))
				return -1;
			continue;
		}
		size_t n = len < f->left ? len : f->left;
		f->take(f->arg, f->head[0] == DOCKER_STDOUT ? DOCKER_STDOUT : DOCKER_STDERR, data, n,
		        f->first);
		f->first = false;
		f->left -= (uint32_t)n;
		data += n;
		len -= n;
		if (!f->left)
			f->n_head = 0;
	}
	return 0;
}
