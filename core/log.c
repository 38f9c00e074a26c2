#include "core/log.h"
#include "core/clock.h"
#include "core/mem.h"
#include "core/str.h"
#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LOG_CONTEXTS 4
#define LOG_SECRETS 32
#define LOG_LINE_MAX 65536
#define LOG_MESSAGE_MAX 8192 /* escaped at most six-fold, so that a line always closes */

static const char *const level_names[] = {"error", "warn", "info", "debug"};

static struct {
	const char *part;
	enum log_level level;
	bool terminal;
	struct {
		char *key, *value;
	} contexts[LOG_CONTEXTS];
	char *secrets[LOG_SECRETS];
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

void log_secret(const char *secret)
{
	if (!secret || strlen(secret) < 6)
		return;
	for (unsigned i = 0; i < LOG_SECRETS; i++) {
		if (logger.secrets[i] && !strcmp(logger.secrets[i], secret))
			return;
		if (!logger.secrets[i]) {
			logger.secrets[i] = mem_strdup(secret);
			return;
		}
	}
}

static bool token_char(char c)
{
	return isalnum((unsigned char)c) || c == '_' || c == '-';
}

/* Length of a Telegram bot token ("123456789:" and 30 or more of its alphabet) at ${p}, 0 if there is none. */
static size_t token_at(const char *p)
{
	size_t digits = strspn(p, "0123456789");
	if (digits < 6 || p[digits] != ':')
		return 0;
	size_t n = 0;
	while (token_char(p[digits + 1 + n]))
		n++;
	return n >= 30 ? digits + 1 + n : 0;
}

static size_t secret_at(const char *p)
{
	for (unsigned i = 0; i < LOG_SECRETS && logger.secrets[i]; i++) {
		size_t n = strlen(logger.secrets[i]);
		if (!strncmp(p, logger.secrets[i], n))
			return n;
	}
	return token_at(p);
}

char *log_redact(const char *text)
{
	struct str out = STR_INIT;
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

static void add_json_string(struct str *out, const char *text)
{
	str_addc(out, '"');
	for (const unsigned char *p = (const unsigned char *)text; *p; p++) {
		if (*p == '"' || *p == '\\')
			str_addf(out, "\\%c", *p);
		else if (*p == '\n')
			str_add(out, "\\n");
		else if (*p < 32 || *p == 127)
			str_addf(out, "\\u%04x", *p);
		else
			str_addc(out, (char)*p);
	}
	str_addc(out, '"');
}

static void add_field(struct str *out, const char *key, const char *value)
{
	if (!value)
		return;
	if (logger.terminal) {
		str_addf(out, " %s=%s", key, value);
		return;
	}
	str_addc(out, ',');
	add_json_string(out, key);
	str_addc(out, ':');
	add_json_string(out, value);
}

/* Control characters of foreign text must not reach a terminal. */
static void add_plain(struct str *out, const char *text)
{
	for (; *text; text++)
		str_addc(out, (unsigned char)*text < 32 && *text != '\t' ? ' ' : *text);
}

void log_line(enum log_level level, const struct log_field *fields, size_t n, const char *fmt, ...)
{
	if (level > logger.level)
		return;
	char when[32];
	clock_iso(clock_now_ms(), when, sizeof(when));
	va_list ap;
	va_start(ap, fmt);
	cleanup_free char *msg = NULL;
	if (vasprintf(&msg, fmt, ap) < 0)
		msg = NULL;
	va_end(ap);
	if (msg && strlen(msg) > LOG_MESSAGE_MAX)
		msg[LOG_MESSAGE_MAX] = '\0';
	cleanup_str struct str out = STR_INIT_MAX(LOG_LINE_MAX);
	if (logger.terminal) {
		str_addf(&out, "%.8s %-5s %s: ", when + 11, level_names[level], logger.part);
		add_plain(&out, msg ? msg : "");
	} else {
		str_addf(&out, "{\"ts\":\"%s\",\"level\":\"%s\",\"part\":\"%s\",\"msg\":", when,
		         level_names[level], logger.part);
		add_json_string(&out, msg ? msg : "");
	}
	for (unsigned i = 0; i < LOG_CONTEXTS; i++)
		if (logger.contexts[i].key)
			add_field(&out, logger.contexts[i].key, logger.contexts[i].value);
	for (size_t i = 0; i < n; i++)
		add_field(&out, fields[i].key, fields[i].value);
	cleanup_free char *clean = log_redact(str_text(&out));
	cleanup_free char *line = mem_printf(logger.terminal ? "%s\n" : "%s}\n", clean);
	if (write(STDERR_FILENO, line, strlen(line)) < 0)
		return; /* nowhere left to say it */
}
