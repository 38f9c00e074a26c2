/* A WebSocket client that costs little: its connections send one message each and another one for every answer. */
#ifndef BENCH_LOAD_H
#define BENCH_LOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct load;

/** Open ${n} connections to ${port} of this machine; ${greeted}: each is sent a message of welcome first. Blocks. */
struct load *load_open(int port, size_t n, bool greeted);
/** Send ${text} on every connection, again for every answer, for ${ms}; returns the number of answers. Another run goes on
 * where this one stopped, with a message under way on every connection. */
uint64_t load_run(struct load *l, const char *text, int64_t ms);
void load_close(struct load *l);

#endif
