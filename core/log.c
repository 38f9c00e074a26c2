#include "core/log.h"
#include "core/clock.h"
#include "core/mem.h"
#include "core/str.h"
#include "core/text.h"
#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#define LOG_CONTEXTS 4
#define LOG_SECRET_MIN 6
#define LOG_LINE_MAX 65536
#define LOG_MESSAGE_MAX 8192 /* escaped at most six-fold, so that there is room for it */
#define TOKEN_DIGITS_MAX 20

static const char *const level_names[] = {"error", "warn", "info", "debug"};

static struct {
	const char *part;
	enum log_level level;
	bool terminal;
	struct {
		char *key, *value;
	} contexts[LOG_CONTEXTS];
	char **secrets;
	size_t n_secrets;
} logger = {.part = "codefoundry", .level = LOG_INFO};

void log_open(const char *part, enum log_level level)
{
	logger.part = part;
	logger.level = level;
	logger.terminal = isatty(STDERR_FILENO);
}

int log_level_parse(const char *name, enum log_level *level)
{
	for (unsigned i = 0; i < ARRAY_LEN(level_names); i++) {
		if (!strcmp(name, level_names[i])) {
			*level = (enum log_level)i;
			return 0;
		}
	}
	return -1;
}

void log_context(const char *key, const char *value)
{
	unsigned slot = LOG_CONTEXTS;
	for (unsigned i = 0; i < LOG_CONTEXTS; i++) {
		if (logger.contexts[i].key && !strcmp(logger.contexts[i].key, key)) {
			slot = i;
			break;
		}
		if (!logger.contexts[i].key && slot == LOG_CONTEXTS)
			slot = i;
	}
	if (slot == LOG_CONTEXTS)
		return;
	free(logger.contexts[slot].key);
	free(logger.contexts[slot].value);
	logger.contexts[slot].key = value ? mem_strdup(key) : NULL;
	logger.contexts[slot].value = value ? mem_strdup(value) : NULL;
}

static void add_secret(const char *secret)
{
	for (size_t i = 0; i < logger.n_secrets; i++)
		if (!strcmp(logger.secrets[i], secret))
			return;
	logger.secrets = mem_resize(logger.secrets, logger.n_secrets + 1, sizeof(*logger.secrets));
	logger.secrets[logger.n_secrets++] = mem_strdup(secret);
}

void log_secret(const char *secret)
{
	if (!secret || strlen(secret) < LOG_SECRET_MIN)
		return;
	add_secret(secret);
	cleanup_str struct str in_url = STR_INIT;
	str_add_url(&in_url, secret, strlen(secret));
	add_secret(str_text(&in_url));
}

static bool token_char(char c)
{
	return isalnum((unsigned char)c) || c == '_' || c == '-';
}

/* Length of a Telegram bot token ("123456789:" and 30 or more of its alphabet) at ${p}, 0 if there is none. */
static size_t token_at(const char *p)
{
	size_t digits = 0, n = 0;
	while (digits < TOKEN_DIGITS_MAX && isdigit((unsigned char)p[digits]))
		digits++;
	size_t colon = p[digits] == ':' ? 1 : !strncasecmp(p + digits, "%3a", 3) ? 3 : 0;
	if (digits < 6 || !colon)
		return 0;
	p += digits + colon;
	while (token_char(p[n]))
		n++;
	return n >= 30 ? digits + colon + n : 0;
}

/* Length of the longest secret at ${p}; a text may also have been cut off within one. */
static size_t secret_at(const char *p)
{
	size_t longest = token_at(p);
	for (size_t i = 0; i < logger.n_secrets; i++) {
		const char *secret = logger.secrets[i];
		size_t n = 0;
		while (secret[n] && p[n] == secret[n])
			n++;
		if ((!secret[n] || (!p[n] && n >= LOG_SECRET_MIN)) && n > longest)
			longest = n;
	}
	return longest;
}

char *log_redact(const char *text)
{
	struct str out = STR_INIT_MAX(SIZE_MAX / 4);
	for (const char *p = text; *p;) {
		size_t n = secret_at(p);
		if (n)
			str_add(&out, "***");
		else
			str_addc(&out, *p);
		p += n ? n : 1;
	}
	return str_take(&out);
}

/* What may be shown of ${text}: without secrets (before escaping could disguise or a bound cut them), bounded, UTF-8. */
static char *presentable(const char *text)
{
	char *clean = log_redact(text);
	size_t len = strlen(clean);
	if (len > LOG_MESSAGE_MAX) {
		static const char cut[] = " [cut]";
		len = text_utf8_prefix(clean, LOG_MESSAGE_MAX - sizeof(cut));
		memcpy(clean + len, cut, sizeof(cut));
		len += sizeof(cut) - 1;
	}
	text_make_utf8(clean, len);
	return clean;
}

static void add_text(struct str *out, const char *text)
{
	cleanup_free char *clean = presentable(text);
	if (logger.terminal) {
		text_blank(clean, "\t"); /* nor may it start a second line */
		str_add(out, clean);
	} else {
		str_add_json(out, clean);
	}
}

static void add_field(struct str *out, const char *key, const char *value)
{
	if (!value)
		return;
	size_t before = out->len;
	str_addc(out, logger.terminal ? ' ' : ',');
	add_text(out, key);
	str_addc(out, logger.terminal ? '=' : ':');
	add_text(out, value);
	if (out->overflow) { /* a line stays a whole object: rather without this field */
		str_cut(out, before);
		out->overflow = false;
	}
}

static void write_line(const char *p, size_t len)
{
	while (len) {
		ssize_t n = write(STDERR_FILENO, p, len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return; /* nowhere left to say it */
		p += n;
		len -= (size_t)n;
	}
}

void log_line(enum log_level level, const struct log_field *fields, size_t n, const char *fmt, ...)
{
	if (level > logger.level)
		return;
	int kept = errno;
	char when[32];
	clock_iso(clock_now_ms(), when, sizeof(when));
	cleanup_free char *msg = NULL;
	va_list ap;
	va_start(ap, fmt);
	if (vasprintf(&msg, fmt, ap) < 0)
		msg = mem_strdup(fmt);
	va_end(ap);
	cleanup_str struct str out = STR_INIT_MAX(LOG_LINE_MAX);
	if (logger.terminal)
		str_addf(&out, "%.8s %-5s %s: ", when + 11, level_names[level], logger.part);
	else
		str_addf(&out, "{\"ts\":\"%s\",\"level\":\"%s\",\"part\":\"%s\",\"msg\":", when,
		         level_names[level], logger.part);
	add_text(&out, msg);
	for (unsigned i = 0; i < LOG_CONTEXTS; i++)
		if (logger.contexts[i].key)
			add_field(&out, logger.contexts[i].key, logger.contexts[i].value);
	for (size_t i = 0; i < n; i++)
		add_field(&out, fields[i].key, fields[i].value);
	out.max += 2;
	str_add(&out, logger.terminal ? "\n" : "}\n");
	write_line(out.p, out.len);
	errno = kept;
}
