/* parse_mode: from marked-up text to plain text with entities, with the real server's rules and error texts
 * (Bot API, "Formatting options"; byte offsets in errors count the text as sent). Offsets and lengths of entities
 * are UTF-16 code units. */
#ifndef TESTSUITE_TELEGRAM_ENTITIES_H
#define TESTSUITE_TELEGRAM_ENTITIES_H

#include "core/err.h"
#include "core/json.h"
#include "core/str.h"
#include <stddef.h>

struct tg_entity {
	const char *type; /* Bot API name, static */
	size_t offset, length;
	char *arg; /* url, language or custom emoji id; owned, NULL */
};

struct tg_formatted {
	struct str text;
	size_t units; /* UTF-16 length of the text */
	struct tg_entity *entities;
	size_t n;
};
#define TG_FORMATTED_INIT ((struct tg_formatted){.text = STR_INIT_MAX(1u << 20)})
#define cleanup_formatted __attribute__((cleanup(tg_formatted_free)))
void tg_formatted_free(struct tg_formatted *f);

/**
 * Parse ${text} by ${mode} ("", "HTML", "Markdown", "MarkdownV2", any case), strip surrounding white space, and find
 * commands, mentions, hashtags and links in plain stretches. Returns 0 with ${f} (initialised by the caller) filled,
 * or -1 (ERR_INVALID) with the description as the real server words it, without "Bad Request: ".
 */
int tg_entities_parse(const char *mode, const char *text, struct tg_formatted *f, struct err *err);

/** Use the Bot API's `entities` array ${list} (may be NULL or malformed: then ignored) instead of markup. */
int tg_entities_given(const char *text, const cJSON *list, struct tg_formatted *f, struct err *err);

/** The entities as a Bot API array; NULL when there are none. The caller owns it. */
cJSON *tg_entities_json(const struct tg_formatted *f);

/** The link as Telegram would keep it ("example.org" becomes "http://example.org/"), NULL when it refuses it:
 * other schemes, no dot in the host name. The caller frees it. */
char *tg_link_checked(const char *url);

/* For the parsers of the three languages. */
void tg_formatted_add(struct tg_formatted *f, const char *type, size_t offset, size_t length,
                      const char *arg);
void tg_formatted_putc(struct tg_formatted *f, char c); /* a byte of UTF-8; counts units */
void tg_formatted_put_code(struct tg_formatted *f, unsigned code);
int tg_parse_html(const char *text, struct tg_formatted *f, struct err *err);
int tg_parse_markdown(const char *text, struct tg_formatted *f, struct err *err);
int tg_parse_markdown2(const char *text, struct tg_formatted *f, struct err *err);

#endif
