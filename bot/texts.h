/* Everything the bot says, in every language, in one table. Texts are Telegram HTML with named placeholders: {name} is
 * escaped, {=name} is HTML already. */
#ifndef BOT_TEXTS_H
#define BOT_TEXTS_H

#include "core/str.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum lang { LANG_EN, LANG_RU, LANG_COUNT };

enum text_id {
	T_WELCOME,
	T_HELP_HEAD,
	T_HELP_FOOT,
	T_HELP_ONE,
	T_USAGE,
	T_UNKNOWN_COMMAND,
	T_UNKNOWN_NEAREST,
	T_UNAUTHORIZED,
	T_ROLE_NEEDED,
	T_NOT_OWNER,
	T_NOT_JOB_OWNER,
	T_TEXT_ONLY,
	T_ERROR,
	T_GAVE_UP,
	T_WHOAMI,
	T_LANG_SET,
	T_LANG_CHOOSE,
	T_STATUS,
	T_STATUS_UP,
	T_STATUS_DOWN,
	T_STATUS_RUNNING,
	T_STATUS_STOPPED,
	T_STATUS_NO_TEST,
	T_STATUS_TEST,
	T_SESSIONS_NONE,
	T_SESSIONS_HEAD,
	T_SESSION_SHOW,
	T_SESSION_SUBCOMMANDS,
	T_SESSION_NO_SUBCOMMAND,
	T_SESSION_STARTING,
	T_SESSION_STARTING_NEW,
	T_SESSION_RESTARTING,
	T_SESSION_EXTENDING,
	T_SESSION_EXECUTING,
	T_SESSION_PINNING,
	T_SESSION_UNPINNING,
	T_SESSION_PIN,
	T_SESSION_STOPPING,
	T_SESSION_STOP_ASK,
	T_SESSION_BAD_TIME,
	T_LOGS_NONE,
	T_LOGS_HEAD,
	T_TEST_RUNNING,
	T_TESTS_NONE,
	T_TESTS_HEAD,
	T_AGO,
	T_JOBS_NONE,
	T_JOBS_HEAD,
	T_CANCEL_NONE,
	T_CANCEL_ASKED,
	T_CANCEL_OVER,
	T_AUDIT_NONE,
	T_AUDIT_HEAD,
	T_NEW_TYPES,
	T_NEW_BAD_TYPE,
	T_NEW_BAD_NAME,
	T_NEW_TITLE,
	T_CHAT_TITLE,
	T_WAITING_GATEWAY,
	T_QUEUED,
	T_GATEWAY_DOWN,
	T_GATEWAY_SILENT,
	T_GATEWAY_ERROR,
	T_QUESTION_FOOT,
	T_DONE,
	T_JOB_FAILED,
	T_JOB_CANCELLED,
	T_JOB_GONE,
	T_SESSION_STARTED,
	T_SESSION_STOPPED,
	T_SESSION_RESIDUE,
	T_SESSION_KEPT,
	T_SESSION_EXTENDED,
	T_SESSION_PINNED,
	T_SESSION_EXECUTED,
	T_SESSION_EXEC_CUT,
	T_SESSION_ENDS_IDLE,
	T_SESSION_ENDS_AGE,
	T_SESSION_OVER_IDLE,
	T_SESSION_OVER_AGE,
	T_TEST_DONE,
	T_TEST_FAILED_LINE,
	T_BUTTON_CANCEL,
	T_BUTTON_STOP,
	T_BUTTON_EXTEND,
	T_BUTTON_KEEP,
	T_BUTTON_RETRY,
	T_BUTTON_USED,
	T_BUTTON_EXPIRED,
	T_BUTTON_NOT_YOURS,
	T_BUTTON_UNKNOWN,
	T_KEPT_RUNNING,
	T_ELAPSED,
	TEXT_COUNT
};

struct text_arg {
	const char *name, *value; /* NULL value: "–" */
};

#define TEXT_ARGS(...)                                                                                       \
	(const struct text_arg[])                                                                            \
	{                                                                                                    \
		__VA_ARGS__,                                                                                 \
		{                                                                                            \
			NULL, NULL                                                                           \
		}                                                                                            \
	}
#define TEXT_NONE NULL

/** Append text ${id}; ${args} is ended by a NULL name. A placeholder without an argument stays as it is (our bug). */
void texts_add(struct str *out, enum lang lang, enum text_id id, const struct text_arg *args);
/** The same as a text of its own, which the caller frees. */
char *texts_make(enum lang lang, enum text_id id, const struct text_arg *args);
/** The template. */
const char *texts_raw(enum lang lang, enum text_id id);

/** "ru", "ru-RU" → LANG_RU. Returns whether ${code} (may be NULL) names a language we have. */
bool texts_lang(const char *code, enum lang *lang);
const char *texts_code(enum lang lang);
/** What a language calls itself. */
const char *texts_own_name(enum lang lang);

/** How long something took, is ago or is left (see core/clock.h), with units in ${lang}. ${buf} holds 64 bytes; returned. */
char *texts_took(enum lang lang, int64_t ms, char buf[64]);
char *texts_ago(enum lang lang, int64_t ms, char buf[64]);
char *texts_left(enum lang lang, int64_t ms, char buf[64]);

#endif
