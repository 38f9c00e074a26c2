/* A chat on a terminal or in a file: messages as text, edits in place where the terminal allows, buttons with numbers. */
#ifndef CLI_CHAT_VIEW_H
#define CLI_CHAT_VIEW_H

#include "core/json.h"
#include <stdbool.h>
#include <stdint.h>

struct chat_view;

enum chat_style {
	CHAT_PLAIN,       /* lines */
	CHAT_TERMINAL,    /* colours, edits in place */
	CHAT_INTERACTIVE, /* and an input line at the bottom */
};

/** A view that shows nothing yet but learns which buttons there are. */
struct chat_view *chat_view_new(void);
/** Show what comes from now on on ${fd}. */
void chat_view_show_on(struct chat_view *v, int fd, enum chat_style style);
void chat_view_free(struct chat_view *v);

/** Show an event of the user's side (user_api.h). What shows nothing (deletions, reactions) is ignored. */
void chat_view_event(struct chat_view *v, const cJSON *event);
/** A line of ours. */
void chat_view_note(struct chat_view *v, const char *text);

/** Button ${n} (from 1) of the last message with buttons: true and its message and data (borrowed until the next event). */
bool chat_view_button(const struct chat_view *v, int n, int64_t *message_id, const char **data);

/** Show ${line} as what is being typed (CHAT_INTERACTIVE only). */
void chat_view_typed(struct chat_view *v, const char *line);

/** Whether the bot still works on ${message}: it has a Cancel button or an unfinished bar. */
bool chat_view_unfinished(const cJSON *message);

#endif
