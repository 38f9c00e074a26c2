#include "core/clock.h"
#include "core/file.h"
#include "core/mem.h"
#include <stdio.h>
#include <string.h>
#include <time.h>

#define YEAR_0_MS (-62167219200000)
#define YEAR_9999_MS 253402300799999

int64_t clock_ahead_ms;

static int64_t read_ms(clockid_t id)
{
	struct timespec ts;
	clock_gettime(id, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

int64_t clock_now_ms(void)
{
	return read_ms(CLOCK_REALTIME) + clock_ahead_ms;
}

int64_t clock_mono_ms(void)
{
	return read_ms(CLOCK_MONOTONIC);
}

int64_t clock_boot_ms(void)
{
	return read_ms(CLOCK_BOOTTIME);
}

char *clock_boot_id(char *buf, size_t size)
{
	if (file_peek("/proc/sys/kernel/random/boot_id", buf, size) <= 0)
		snprintf(buf, size, "?");
	buf[strcspn(buf, "\n")] = '\0';
	return buf;
}

char *clock_iso(int64_t ms, char *buf, size_t size)
{
	/* four digits of a year are what the format has */
	ms = ms < YEAR_0_MS ? YEAR_0_MS : ms > YEAR_9999_MS ? YEAR_9999_MS : ms;
	int64_t part = (ms % 1000 + 1000) % 1000;
	time_t s = (time_t)((ms - part) / 1000);
	struct tm tm;
	gmtime_r(&s, &tm);
	snprintf(buf, size, "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ", tm.tm_year + 1900, tm.tm_mon + 1,
	         tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec, (int)part);
	return buf;
}

/* "Z", or "+02:00": how far ahead of UTC the clock is that gave the time. Returns 0, or -1 when it is neither. */
static int offset(const char *text, int64_t *seconds)
{
	unsigned hours, minutes;
	*seconds = 0;
	if (*text == 'Z')
		return 0;
	if ((*text != '+' && *text != '-') || sscanf(text + 1, "%2u:%2u", &hours, &minutes) != 2 ||
	    hours > 23 || minutes > 59)
		return -1;
	*seconds = (*text == '-' ? -60 : 60) * (int64_t)(hours * 60 + minutes);
	return 0;
}

int64_t clock_parse_iso(const char *text)
{
	struct tm tm = {0};
	int part = 0, digits = 0;
	const char *rest = strptime(text, "%Y-%m-%dT%H:%M:%S", &tm);
	if (!rest)
		return 0;
	if (*rest == '.')
		for (rest++; *rest >= '0' && *rest <= '9'; rest++)
			if (digits++ < 3)
				part = part * 10 + (*rest - '0');
	for (; digits < 3; digits++)
		part *= 10;
	int64_t offset_s;
	return offset(rest, &offset_s) ? 0 : ((int64_t)timegm(&tm) - offset_s) * 1000 + part;
}

char *clock_duration(int64_t ms, char *buf, size_t size)
{
	long long s = ms / 1000;
	if (ms < 1000)
		snprintf(buf, size, "%lld ms", (long long)ms);
	else if (s < 60)
		snprintf(buf, size, "%lld.%lld s", s, (long long)(ms % 1000 / 100));
	else if (s < 3600)
		snprintf(buf, size, s % 60 ? "%lld min %lld s" : "%lld min", s / 60, s % 60);
	else if (s < 86400)
		snprintf(buf, size, s / 60 % 60 ? "%lld h %lld min" : "%lld h", s / 3600, s / 60 % 60);
	else
		snprintf(buf, size, s / 3600 % 24 ? "%lld d %lld h" : "%lld d", s / 86400, s / 3600 % 24);
	return buf;
}

char *clock_rough(int64_t ms, char *buf, size_t size)
{
	if (ms >= 60000)
		return clock_duration(ms / 60000 * 60000, buf, size);
	snprintf(buf, size, ms < 1000 ? "under 1 s" : "%lld s", (long long)ms / 1000);
	return buf;
}

char *clock_left(int64_t ms, char *buf, size_t size)
{
	ms = ms < 0 ? 0 : ms > INT64_MAX - 60000 ? INT64_MAX - 60000 : ms;
	int64_t s = ms / 1000 + (ms % 1000 != 0);
	if (s > 60)
		return clock_duration((s / 60 + (s % 60 != 0)) * 60000, buf, size);
	snprintf(buf, size, s == 60 ? "1 min" : "%lld s", (long long)s);
	return buf;
}

char *clock_russian(char *buf, size_t size)
{
	static const struct {
		const char *en, *ru;
	} words[] = {{"ms", "мс"}, {"s", "с"}, {"min", "мин"}, {"h", "ч"}, {"d", "д"}, {"under", "меньше"}};
	char text[64] = "";
	size_t used = 0;
	for (const char *p = buf; *p && used < sizeof(text);) {
		size_t n = strcspn(p, " "), i = 0;
		while (i < ARRAY_LEN(words) && (strlen(words[i].en) != n || strncmp(words[i].en, p, n)))
			i++;
		const char *word = i < ARRAY_LEN(words) ? words[i].ru : p;
		int len = i < ARRAY_LEN(words) ? (int)strlen(word) : (int)n;
		used += (size_t)snprintf(text + used, sizeof(text) - used, "%s%.*s", used ? " " : "", len,
		                         word);
		p += n + (p[n] == ' ');
	}
	snprintf(buf, size, "%s", text);
	return buf;
}
