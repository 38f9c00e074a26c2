/* What the files of `codefoundry chat` share. */
#ifndef CLI_CHAT_H
#define CLI_CHAT_H

#include "cli/chat_view.h"
#include "core/config.h"
#include "core/err.h"
#include "testsuite/telegram/user_api.h"

struct chat {
	struct user_api *api;
	struct chat_view *view;
	char *base, *key;
	int64_t user, after; /* id of the last event seen */
	int64_t wait_ms;
	bool json;
};

/** Send ${line} or press the button it names. */
int chat_say(struct chat *c, const char *line, struct err *err);

/** The interactive chat on a terminal, until end of file or a signal. */
int chat_interact(struct chat *c, struct err *err);

#endif
