#include "core/err.h"
#include "core/text.h"
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const struct {
	const char *name;
	int exit_code;
} codes[ERR_CODE_COUNT] = {
        [ERR_NONE] = {"none", 0},
        [ERR_FAILED] = {"failed", 1},
        [ERR_USAGE] = {"usage", 2},
        [ERR_CONFIG] = {"config", 3},
        [ERR_ENGINE] = {"engine", 4},
        [ERR_QUOTA] = {"quota", 5},
        [ERR_NOT_FOUND] = {"not_found", 1},
        [ERR_EXISTS] = {"exists", 1},
        [ERR_INVALID] = {"invalid", 1},
        [ERR_STATE] = {"state", 1},
        [ERR_DENIED] = {"denied", 1},
        [ERR_BUSY] = {"busy", 1},
        [ERR_TIMEOUT] = {"timeout", 1},
        [ERR_CANCELLED] = {"cancelled", 130},
        [ERR_LIMIT] = {"limit", 1},
        [ERR_NET] = {"net", 1},
        [ERR_IO] = {"io", 1},
        [ERR_DB] = {"db", 1},
};

/* Keep ${msg}, as valid UTF-8 whatever bytes its arguments brought and wherever the bound cut it. */
static void put(struct err *err, const char *msg)
{
	size_t len = strlen(msg);
	memmove(err->msg, msg, len + 1);
	if (len == sizeof(err->msg) - 1)
		err->msg[text_utf8_prefix(err->msg, len)] = '\0';
	len = strlen(err->msg);
	while (len && strchr("\r\n", err->msg[len - 1]))
		err->msg[--len] = '\0';
	text_make_utf8(err->msg, len);
}

int err_set(struct err *err, enum err_code code, const char *fmt, ...)
{
	char msg[sizeof(err->msg)]; /* an argument may be err->msg itself */
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(msg, sizeof(msg), fmt, ap);
	va_end(ap);
	err->code = code;
	put(err, msg);
	return -1;
}

int err_sys(struct err *err, int errnum, const char *fmt, ...)
{
	char msg[sizeof(err->msg)];
	const char *why = strerror(errnum);
	va_list ap;
	va_start(ap, fmt);
	/* the reason is what must not be cut off */
	vsnprintf(msg, sizeof(msg) - strlen(why) - 2, fmt, ap);
	va_end(ap);
	size_t len = text_utf8_prefix(msg, strlen(msg));
	snprintf(msg + len, sizeof(msg) - len, ": %s", why);
	put(err, msg);
	switch (errnum) {
	case ENOENT:
	case ENOTDIR:
		err->code = ERR_NOT_FOUND;
		break;
	case EEXIST:
	case EADDRINUSE:
		err->code = ERR_EXISTS;
		break;
	case EACCES:
	case EPERM:
	case EROFS:
		err->code = ERR_DENIED;
		break;
	case ETIMEDOUT:
		err->code = ERR_TIMEOUT;
		break;
	default:
		err->code = ERR_IO;
	}
	return -1;
}

int err_wrap(struct err *err, const char *fmt, ...)
{
	char msg[sizeof(err->msg)];
	va_list ap;
	va_start(ap, fmt);
	int n = vsnprintf(msg, sizeof(msg), fmt, ap);
	va_end(ap);
	if (n < 0 || (size_t)n + 3 > sizeof(msg))
		return -1; /* no room: what was there says more */
	snprintf(msg + n, sizeof(msg) - (size_t)n, ": %.*s", (int)(sizeof(msg) - 3 - (size_t)n), err->msg);
	put(err, msg);
	return -1;
}

void err_clear(struct err *err)
{
	err->code = ERR_NONE;
	err->msg[0] = '\0';
}

const char *err_name(enum err_code code)
{
	return (unsigned)code < ERR_CODE_COUNT ? codes[code].name : "failed";
}

enum err_code err_code_of(const char *name)
{
	for (unsigned i = 0; name && i < ERR_CODE_COUNT; i++)
		if (!strcmp(codes[i].name, name))
			return (enum err_code)i;
	return ERR_FAILED;
}

int err_exit_code(enum err_code code)
{
	return (unsigned)code < ERR_CODE_COUNT ? codes[code].exit_code : 1;
}
