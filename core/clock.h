/* Three clocks: wall time for what people and databases see, monotonic time for deadlines, time since boot to see the wall clock
 * jump. */
#ifndef CORE_CLOCK_H
#define CORE_CLOCK_H

#include <stddef.h>
#include <stdint.h>

/** UTC milliseconds since the epoch. */
int64_t clock_now_ms(void);

/* How far clock_now_ms() goes ahead of the kernel: tests set the wall clock of their process with it. */
extern int64_t clock_ahead_ms;

/** Milliseconds on CLOCK_MONOTONIC; survives changes of the wall clock. */
int64_t clock_mono_ms(void);

/** Milliseconds since this machine was started, those asleep included; the same in all processes, whatever the wall clock does. */
int64_t clock_boot_ms(void);

/** Which start of the machine that counts from, as the kernel names it; "?" where it does not. ${buf} holds at least 37 bytes;
 * returned. */
char *clock_boot_id(char *buf, size_t size);

/** Write ${ms} (UTC since the epoch) as "2026-01-31T12:00:00.123Z"; ${buf} holds at least 25 bytes.
 * Outside the years 0 to 9999: the nearest end of them. Returns ${buf}. */
char *clock_iso(int64_t ms, char *buf, size_t size);

/** Milliseconds since the epoch of an RFC 3339 time at the start of ${text} ("2026-01-31T12:00:00.123456789Z", as Docker writes it, or with an
 * offset: "…+02:00"); 0 when there is none. */
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
