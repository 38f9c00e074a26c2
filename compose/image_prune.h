/* Images of earlier builds of the program: each of them leaves one in the engine. */
#ifndef COMPOSE_IMAGE_PRUNE_H
#define COMPOSE_IMAGE_PRUNE_H

#include <stddef.h>
#include <stdint.h>

#define IMAGE_TITLE "org.opencontainers.image.title"

/**
 * Remove the images whose label IMAGE_TITLE is ${title} and all of whose names are of ${repository}, except the ${keep} that were named
 * last and those named within ${age_ms}, which another start may be about to use. What a container uses the engine keeps, and of what the engine does not know when
 * it was named nothing is known: it stays. Returns
 * how many are gone; what cannot be removed stays for the next time. Blocks.
 */
int image_prune(const char *title, const char *repository, size_t keep, int64_t age_ms);

#endif
