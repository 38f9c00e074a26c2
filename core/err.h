/* One error object, filled where a failure is seen and given context on the way up. Callers own the struct;
 * functions that fail return -1 and have set it. Library code returns errors, only main and callbacks log. */
#ifndef CORE_ERR_H
#define CORE_ERR_H

enum err_code {
	ERR_NONE = 0,
	ERR_FAILED,    /* went wrong; no finer class fits */
	ERR_USAGE,     /* wrong command line */
	ERR_CONFIG,    /* wrong setting */
	ERR_ENGINE,    /* the engine (docker, process, …) is unavailable */
	ERR_QUOTA,     /* a limit of the product refused it */
	ERR_NOT_FOUND, /* the thing named does not exist */
	ERR_EXISTS,    /* the thing named exists already */
	ERR_INVALID,   /* malformed input */
	ERR_STATE,     /* the thing is not in a state that allows it */
	ERR_DENIED,    /* not allowed to this user */
	ERR_BUSY,      /* locked by another; trying again may help */
	ERR_TIMEOUT,
	ERR_CANCELLED,
	ERR_LIMIT, /* larger than the bound */
	ERR_NET,
	ERR_IO,
	ERR_DB,
	ERR_CODE_COUNT
};

struct err {
	enum err_code code;
	char msg[2048]; /* UTF-8, no trailing newline; may hold several lines */
};

/** Set ${err} to ${code} and the formatted message. Always returns -1. */
int err_set(struct err *err, enum err_code code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/** Set ${err} to the formatted message followed by ": " and the text of ${errnum}; the code follows from it
 * (ENOENT: ERR_NOT_FOUND, EACCES and EPERM: ERR_DENIED, …, else ERR_IO). Always returns -1. */
int err_sys(struct err *err, int errnum, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/** Put the formatted context and ": " before the message already in ${err}. Always returns -1. */
int err_wrap(struct err *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/** Forget the error. */
void err_clear(struct err *err);

/** Stable lower-case name of a code for JSON and databases ("not_found"). */
const char *err_name(enum err_code code);

/** The code of a name that err_name() gave, ERR_FAILED for any other text. */
enum err_code err_code_of(const char *name);

/** The process exit code for ${code}: 0 done, 1 failed, 2 usage, 3 configuration, 4 engine, 5 quota, 130 cancelled. */
int err_exit_code(enum err_code code);

#endif
