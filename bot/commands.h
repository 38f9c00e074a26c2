/* What a person can ask for: one table, one file per command. */
#ifndef BOT_COMMANDS_H
#define BOT_COMMANDS_H

#include "bot/call.h"

struct command {
	const char *name;
	enum role role;                /* the least one that may */
	const char *about[LANG_COUNT]; /* for help and Telegram's menu: 1-256 characters, plain text */
	const char *usage, *example;
	/** Answer. ${args} is what follows the command. -1: ERR_BUSY, ERR_DB, ERR_IO and ERR_FAILED are tried again,
	 * anything else is told to the person. */
	int (*run)(struct call *c, const char *args, struct err *err);
};

extern const struct command cmd_start, cmd_help, cmd_status, cmd_new, cmd_sessions, cmd_session, cmd_logs,
        cmd_test, cmd_tests, cmd_jobs, cmd_cancel, cmd_whoami, cmd_lang, cmd_audit;

/** All of them, in the order of help; ended by NULL. */
extern const struct command *const bot_commands[];

const struct command *commands_find(const char *name);
/** The name nearest to ${name}, or NULL. */
const char *commands_nearest(const char *name);
/** setMyCommands' parameters for ${lang}; ${with_code} adds language_code. The caller frees the JSON. */
char *commands_menu(enum lang lang, bool with_code);

/* Buttons: what a pressed one does, by the action in its callback row. */
struct button_action {
	const char *name;
	enum role role;
	int (*run)(struct call *c, const char *payload, struct err *err);
};
/** NULL when there is none of that name. */
const struct button_action *commands_action(const char *name);

/* Shared between a command and its buttons. */
int cmd_session_stop_now(struct call *c, const char *payload, struct err *err);
int cmd_session_stop_this(struct call *c, const char *payload, struct err *err);   /* "<uuid> <name>": that */
int cmd_session_extend_this(struct call *c, const char *payload, struct err *err); /* one, or none */
int cmd_session_keep(struct call *c, const char *payload, struct err *err);
int cmd_cancel_job(struct call *c, const char *payload, struct err *err);
int cmd_lang_set(struct call *c, const char *payload, struct err *err);

/* chat.c: free text, and the buttons of questions and failed requests. */
int chat_text(struct call *c, const char *text, struct err *err);
int chat_answer(struct call *c, const char *payload, struct err *err);
int chat_retry(struct call *c, const char *payload, struct err *err);

#endif
