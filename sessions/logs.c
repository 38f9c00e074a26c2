#include "sessions/logs.h"
#include "core/clock.h"
#include "core/mem.h"
#include <string.h>

#define TIME_LEN 24 /* of clock_iso() */

/* The time of a JSON log line, borrowed from it; NULL for a line of another kind. */
static const char *time_of(const char *line)
{
	const char *ts = strstr(line, "\"ts\":\"");
	return ts && ts - line < 64 ? ts + 6 : NULL;
}

/* The index of the log whose first line is next: the oldest one; -1 when all are empty. */
static int next_of(cJSON **logs, int n)
{
	int next = -1;
	for (int i = 0; i < n; i++) {
		const cJSON *head = logs[i]->child, *best = next < 0 ? NULL : logs[next]->child;
		const char *ts = head ? time_of(head->valuestring) : NULL;
		const char *best_ts = best ? time_of(best->valuestring) : NULL;
		if (head && (next < 0 || (best_ts && (!ts || strncmp(ts, best_ts, TIME_LEN) < 0))))
			next = i;
	}
	return next;
}

cJSON *logs_merge(cJSON **logs, const char *const *names, int n, int most)
{
	cJSON *out = json_array();
	for (int next; (next = next_of(logs, n)) >= 0;) {
		cleanup_json cJSON *line = cJSON_DetachItemFromArray(logs[next], 0);
		cleanup_free char *text = mem_printf("%s | %s", names[next], line->valuestring);
		cJSON_AddItemToArray(out, cJSON_CreateString(text));
	}
	for (int extra = cJSON_GetArraySize(out) - most; extra > 0; extra--)
		cJSON_DeleteItemFromArray(out, 0);
	return out;
}

void logs_since(cJSON *lines, int64_t since_ms)
{
	char since[TIME_LEN + 1];
	clock_iso(since_ms, since, sizeof(since));
	while (lines->child) {
		const char *ts = time_of(lines->child->valuestring);
		if (ts && strncmp(ts, since, TIME_LEN) >= 0)
			return;
		cJSON_DeleteItemFromArray(lines, 0);
	}
}
