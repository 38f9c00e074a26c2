/* One line per event on stderr: JSON objects when stderr is not a terminal, aligned text when it is. Secrets are
 * removed here, at the source: every registered secret and everything shaped like a Telegram bot token. */
#ifndef CORE_LOG_H
#define CORE_LOG_H

#include <stdbool.h>
#include <stddef.h>

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };

struct log_field {
	const char *key, *value; /* a NULL value leaves the field out */
};

/** Name the ${part} ("bot") of all following lines and the most talkative level that is written. */
void log_open(const char *part, enum log_level level);

/** Parse "error", "warn", "info", "debug". Returns 0, or -1 for anything else. */
int log_level_parse(const char *name, enum log_level *level);

/** Attach ${key}=${value} to every following line of this process (both copied); NULL removes it. At most 4. */
void log_context(const char *key, const char *value);

/** Never write ${secret} (copied; shorter than 6 characters is ignored), plain or percent-encoded: it appears as ***. */
void log_secret(const char *secret);

/** Copy of ${text} with all secrets replaced, also one that the end of the text cuts off; the caller frees it. Also for
 * errors shown in chats. */
char *log_redact(const char *text);

/** Write one line: valid UTF-8 whatever the texts hold (bad bytes become ?), each text cut at 8 KiB, the line at 64 KiB by
 * leaving out fields. errno is kept. */
void log_line(enum log_level level, const struct log_field *fields, size_t n, const char *fmt, ...)
        __attribute__((format(printf, 4, 5)));

#define log_error(...) log_line(LOG_ERROR, NULL, 0, __VA_ARGS__)
#define log_warn(...) log_line(LOG_WARN, NULL, 0, __VA_ARGS__)
#define log_info(...) log_line(LOG_INFO, NULL, 0, __VA_ARGS__)
#define log_debug(...) log_line(LOG_DEBUG, NULL, 0, __VA_ARGS__)

/* log_with(LOG_INFO, LOG_FIELDS({"session", name}, {"job", id}), "started in %d ms", ms); */
#define LOG_FIELDS(...)                                                                                      \
	((const struct log_field[]){__VA_ARGS__}),                                                           \
	        (sizeof((const struct log_field[]){__VA_ARGS__}) / sizeof(struct log_field))
#define log_with(level, ...) log_line(level, __VA_ARGS__)

#endif
