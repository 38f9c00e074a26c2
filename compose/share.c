#include "compose/share.h"
#include <stdbool.h>

/* The limit L for which the sum of min(own, L) over all that have one of their own is ${total}: water that is filled
 * into vessels of different height. INT64_MAX when all of them fit. */
static int64_t water_level(const struct share *shares, size_t n, int64_t total)
{
	int64_t level = 0;
	for (;;) {
		int64_t left = total, open = 0, next;
		for (size_t i = 0; i < n; i++) {
			if (!shares[i].own)
				continue;
			if (shares[i].own <= level)
				left -= shares[i].own * shares[i].copies;
			else
				open += shares[i].copies;
		}
		if (!open)
			return INT64_MAX;
		next = left / open;
		if (next <= level)
			return level;
		level = next; /* more of them may be below it now */
	}
}

void share_out(struct share *shares, size_t n, int64_t total, int64_t step)
{
	int64_t all = 0, without = 0, used = 0;
	for (size_t i = 0; i < n; i++) {
		all += shares[i].copies;
		without += shares[i].own ? 0 : shares[i].copies;
	}
	int64_t reserve = all ? total / (2 * all) * without : 0;
	int64_t level = water_level(shares, n, total - reserve);
	for (size_t i = 0; i < n; i++) {
		if (!shares[i].own)
			continue;
		shares[i].given = shares[i].own < level ? shares[i].own : level / step * step;
		used += shares[i].given * shares[i].copies;
	}
	for (size_t i = 0; i < n; i++)
		if (!shares[i].own)
			shares[i].given = (total - used) / without / step * step;
}
