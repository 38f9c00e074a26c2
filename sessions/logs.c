#include "sessions/logs.h"
#include "core/clock.h"
#include "core/mem.h"
#include <string.h>

#define TIME_LEN 24 /* of clock_iso() */

cJSON *logs_entry(const char *text)
{
	cJSON *entry = json_object();
	const char *ts = strstr(text, "\"ts\":\"");
	if (ts && ts - text < 64 && clock_parse_iso(ts + 6)) {
		cleanup_free char *time = mem_strndup(ts + 6, strcspn(ts + 6, "\""));
		json_add_text(entry, "ts", time);
	}
	json_add_text(entry, "msg", text);
	return entry;
}

/* The index of the log whose first entry is next: the oldest one; -1 when all are empty. */
static int next_of(cJSON **logs, int n)
{
	int next = -1;
	const char *best = NULL;
	for (int i = 0; i < n; i++) {
		const cJSON *head = logs[i]->child;
		const char *ts = json_text(head, "ts");
		if (!head || (next >= 0 && (!best || (ts && strcmp(ts, best) >= 0))))
			continue;
		next = i;
		best = ts;
	}
	return next;
}

cJSON *logs_merge(cJSON **logs, const char *const *names, int n, int most)
{
	cJSON *out = json_array();
	for (int next; (next = next_of(logs, n)) >= 0;) {
		cJSON *entry = cJSON_DetachItemFromArray(logs[next], 0);
		json_add_text(entry, "service", names[next]);
		cJSON_AddItemToArray(out, entry);
	}
	for (int extra = cJSON_GetArraySize(out) - most; extra > 0; extra--)
		cJSON_DeleteItemFromArray(out, 0);
	return out;
}

bool logs_timed(const cJSON *entries)
{
	const cJSON *entry;
	cJSON_ArrayForEach(entry, entries)
	{
		if (json_text(entry, "ts"))
			return true;
	}
	return false;
}

static void cut_front(cJSON *entries, int n)
{
	for (; n > 0; n--)
		cJSON_DeleteItemFromArray(entries, 0);
}

static void cut_back(cJSON *entries, cJSON *from)
{
	for (cJSON *next; from; from = next) {
		next = from->next;
		cJSON_Delete(cJSON_DetachItemViaPointer(entries, from));
	}
}

/* The first entry whose time is ${bound} or (${after}) later; NULL: there is none. ${*index}: how many stand before it. */
static cJSON *first_from(const cJSON *entries, int64_t ms, bool after, int *index)
{
	char bound[TIME_LEN + 1];
	cJSON *entry;
	clock_iso(ms, bound, sizeof(bound));
	*index = 0;
	cJSON_ArrayForEach(entry, entries)
	{
		const char *ts = json_text(entry, "ts");
		int order = ts ? strncmp(ts, bound, TIME_LEN - 1) : -1;
		if (order > 0 || (order == 0 && !after))
			return entry;
		++*index;
	}
	return NULL;
}

void logs_cut(cJSON *entries, const struct logs_window *w)
{
	int index = 0;
	bool timed = logs_timed(entries);
	if (w->until_ms && timed)
		cut_back(entries, first_from(entries, w->until_ms, true, &index));
	if (w->since_ms || (w->until_ms && !timed)) {
		first_from(entries, timed ? w->since_ms : INT64_MAX, false, &index);
		cut_front(entries, index);
	}
	cut_front(entries, cJSON_GetArraySize(entries) - w->n);
}
