#include "core/err.h"
#include "core/mem.h"
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

int err_set(struct err *err, enum err_code code, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	err->code = code;
	vsnprintf(err->msg, sizeof(err->msg), fmt, ap);
	va_end(ap);
	return -1;
}

int err_sys(struct err *err, int errnum, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(err->msg, sizeof(err->msg), fmt, ap);
	va_end(ap);
	size_t len = strlen(err->msg);
	snprintf(err->msg + len, sizeof(err->msg) - len, ": %s", strerror(errnum));
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
	char context[sizeof(err->msg)];
	va_list ap;
	va_start(ap, fmt);
	int n = vsnprintf(context, sizeof(context), fmt, ap);
	va_end(ap);
	if (n < 0 || (size_t)n + 3 > sizeof(context))
		return -1;
	size_t keep = strlen(err->msg), room = sizeof(err->msg) - (size_t)n - 3;
	if (keep > room)
		keep = room;
	memmove(err->msg + n + 2, err->msg, keep);
	memcpy(err->msg, context, (size_t)n);
	memcpy(err->msg + n, ": ", 2);
	err->msg[(size_t)n + 2 + keep] = '\0';
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
