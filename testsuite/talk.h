/* One chat as its user sees it: what the bot sent, edited and answered, in order, with a mark up to where the scenario has
 * looked. Waiting is a long poll of the user-side API, never a sleep. */
#ifndef TESTSUITE_TALK_H
#define TESTSUITE_TALK_H

#include "core/err.h"
#include "core/json.h"
#include "core/str.h"
#include "testsuite/telegram/user_api.h"
#include <stdbool.h>
#include <stdint.h>

enum talk_type { TALK_MESSAGE, TALK_EDIT, TALK_DELETE, TALK_ANSWER, TALK_OTHER };

struct talk_event {
	enum talk_type type;
	int64_t message_id; /* 0: none */
	const char *text;   /* text, caption, or the answer's; "" when none. Borrowed from json */
	cJSON *json;        /* the event as the API gave it */
	bool matched;       /* an expectation was met by it */
};

struct talk {
	int64_t chat, last; /* last: id of the newest event we have */
	struct talk_event *events;
	size_t n, mark; /* mark: index of the first event not looked at */
	struct talk *next;
};

/** Begin to follow ${chat} from now on. Returns 0 and transfers ${*talk}, or -1. */
int talk_open(struct talk **talk, struct user_api *api, int64_t chat, struct err *err);
void talk_free(struct talk *talk);

/** Wait for more events until ${deadline} (monotonic ms; 0: take what is there). 1 came, 0 none in time, -1 with ${err}. */
int talk_fetch(struct talk *talk, struct user_api *api, int64_t deadline, struct err *err);

/** Newest state of the newest message that has a button whose label contains ${label} (NULL: any) and whose data is ${data} (NULL:
 * any); ${*found} is that button's data. NULL when there is none. */
const struct talk_event *talk_button(const struct talk *talk, int64_t message_id, const char *label,
                                     const char *data, const char **found);

/** Whether the event's message has a button whose label contains ${label}. */
bool talk_has_button(const struct talk_event *event, const char *label);
bool talk_has_buttons(const struct talk_event *event);

/** Append what the bot did from event ${from} on, at most the last ${max} events, a line each. */
void talk_describe(const struct talk *talk, size_t from, size_t max, struct str *out);

#endif
