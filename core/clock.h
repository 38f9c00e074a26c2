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

/** Milliseconds since the epoch of an RFC 3339 time in UTC at the start of ${text} ("2026-01-31T12:00:00.123456789Z", as Docker writes it);
 * 0 when there is none. */
int64_t clock_parse_iso(const char *text);

/** Write a duration as people say it: "850 ms", "4.2 s", "3 min 5 s", "2 h 10 min", "3 d 4 h". Returns ${buf}. */
char *clock_duration(int64_t ms, char *buf, size_t size);

/** Write how long ago something was, no finer than people care: "under 1 s", "30 s", "3 min", "2 h 10 min". Returns ${buf}. */
char *clock_rough(int64_t ms, char *buf, size_t size);

/** Write how much time is left, rounded up: "0 s" when none is, "42 s", "1 h" of 59 min 59.9 s. Returns ${buf}. */
char *clock_left(int64_t ms, char *buf, size_t size);

/** Put Russian units into what one of the three wrote into ${buf}: "3 мин 5 с". Returns ${buf}. */
char *clock_russian(char *buf, size_t size);

#endif
