/* Inline keyboards as JSON for reply_markup. */
#ifndef BOT_BUTTONS_H
#define BOT_BUTTONS_H

#include <stddef.h>

struct button {
	const char *label, *token;
};

/** One row of buttons, or one below the other when there are more than three or a label is long. The caller frees it. */
char *buttons_json(const struct button *buttons, size_t n);

#endif
