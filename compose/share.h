/* Sharing a session's memory and CPU out to its containers. What a service asks for itself is respected as far as the
 * whole allows; who asks for nothing is never left with crumbs. */
#ifndef COMPOSE_SHARE_H
#define COMPOSE_SHARE_H

#include <stddef.h>
#include <stdint.h>

struct share {
	int64_t own;    /* limit of its own for each copy; 0: none */
	int64_t copies; /* containers of this service, at least 1 */
	int64_t given;  /* out: limit for each copy */
};

/** Share ${total} out, in any unit, rounded down to whole ${step}: the sum over all copies never exceeds it. Limits of
 * their own are kept while those without keep half an even share each; else the largest are cut to one level. */
void share_out(struct share *shares, size_t n, int64_t total, int64_t step);

#endif
