/* Faults that a test orders: the next N calls of a method fail, hang, are dropped, or get an HTML page. */
#ifndef TESTSUITE_TELEGRAM_FAULTS_H
#define TESTSUITE_TELEGRAM_FAULTS_H

#include "core/err.h"
#include "core/json.h"
#include <stdbool.h>
#include <stdint.h>

struct tg_fault {
	char method[64]; /* "*": any */
	int64_t times;
	int error_code; /* 0: none */
	char description[512];
	int64_t retry_after_s, migrate_to_chat_id; /* 0: none */
	int64_t delay_ms;
	bool drop, after_effect, html;
};

struct tg_faults;

struct tg_faults *tg_faults_new(void);
void tg_faults_free(struct tg_faults *f);

/** Add the fault that ${json} describes (user_api.h, POST /user/fault); times 0 removes the method's faults ("*": all).
 * -1 with ERR_INVALID naming the bad field. */
int tg_faults_order(struct tg_faults *f, const cJSON *json, struct err *err);

/** Take one turn of the oldest fault for ${method} (any case) into ${*fault}; false when there is none. */
bool tg_faults_take(struct tg_faults *f, const char *method, struct tg_fault *fault);

#endif
