/* Two clocks: wall time for what people and databases see, monotonic time for deadlines. */
#ifndef CORE_CLOCK_H
#define CORE_CLOCK_H

#include <stddef.h>
#include <stdint.h>

/** UTC milliseconds since the epoch. */
int64_t clock_now_ms(void);

/** Milliseconds on CLOCK_MONOTONIC; survives changes of the wall clock. */
int64_t clock_mono_ms(void);

/** Write ${ms} (UTC since the epoch) as "2026-01-31T12:00:00.123Z"; ${buf} holds at least 25 bytes.
 * Outside the years 0 to 9999: the nearest end of them. Returns ${buf}. */
char *clock_iso(int64_t ms, char *buf, size_t size);

/** Write a duration as people say it: "850 ms", "4.2 s", "3 min 5 s", "2 h 10 min", "3 d 4 h". Returns ${buf}. */
char *clock_duration(int64_t ms, char *buf, size_t size);

#endif
