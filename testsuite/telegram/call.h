/* One Bot API call from request to answer: parameters, the transaction its effect happens in, ordered faults, and the
 * envelope. A call may be answered later (long polling, delays). */
#ifndef TESTSUITE_TELEGRAM_CALL_H
#define TESTSUITE_TELEGRAM_CALL_H

#include "core/str.h"
#include "testsuite/telegram/faults.h"
#include "testsuite/telegram/params.h"
#include "testsuite/telegram/tg.h"

#define TG_CALL_LATER 1

struct tg_method {
	const char *name; /* "sendMessage" */
	/** 0 with c->result or c->raw set; TG_CALL_LATER; -1 after tg_call_fail or, for a failure of ours, with ${err}. */
	int (*run)(struct tg_call *c, struct err *err);
};

struct tg_call {
	struct tg *tg;
	struct http_exchange *x;
	const struct tg_method *method; /* NULL: no such method */
	struct tg_params params;
	struct tg_fault fault;
	bool faulty;
	cJSON *result;    /* owned */
	struct str raw;   /* JSON text of the result when `result` is NULL */
	const char *note; /* "description" of a success; static */
	int status;       /* of a failure; 0: none */
	char description[2200];
	int64_t retry_after_s, migrate_to_chat_id;
	struct loop_timer *timer;
	struct tg_call *next, **link;
};

/** Answer ${x} by ${method} (NULL: 404 Not Found). */
void tg_call_start(struct tg *tg, struct http_exchange *x, const struct tg_method *method);

/** Set the failure; returns -1. ${description} is whole ("Bad Request: chat not found"). */
int tg_call_fail(struct tg_call *c, int status, const char *description);
/** 400 with "Bad Request: " before the text, its first letter made small as the real server does. */
int tg_call_bad(struct tg_call *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/** 429 with retry_after. */
int tg_call_flood(struct tg_call *c, int64_t retry_after_s);

/** Answer a call that returned TG_CALL_LATER. ${c} is gone afterwards. */
void tg_call_finish(struct tg_call *c);
/** The same after ${delay_ms}. */
void tg_call_finish_after(struct tg_call *c, int64_t delay_ms);

/** Wake whoever waits for what was just committed. */
void tg_wake(struct tg *tg);

/** Free all calls under way without an answer (before the server closes). */
void tg_calls_close(struct tg *tg);

#endif
