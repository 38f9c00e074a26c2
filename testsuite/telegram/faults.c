/* See faults.h. In memory: a restarted server is healthy. */
#include "testsuite/telegram/faults.h"
#include "core/mem.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define FAULTS_MAX 256

struct tg_faults {
	struct tg_fault list[FAULTS_MAX];
	size_t n;
};

struct tg_faults *tg_faults_new(void)
{
	return mem_alloc(sizeof(struct tg_faults));
}

void tg_faults_free(struct tg_faults *f)
{
	free(f);
}

static void remove_at(struct tg_faults *f, size_t i)
{
	memmove(&f->list[i], &f->list[i + 1], (f->n - i - 1) * sizeof(f->list[0]));
	f->n--;
}

static void remove_method(struct tg_faults *f, const char *method)
{
	for (size_t i = f->n; i-- > 0;)
		if (strcmp(method, "*") == 0 || strcasecmp(f->list[i].method, method) == 0)
			remove_at(f, i);
}

static int number(const cJSON *json, const char *key, int64_t max, int64_t *value, struct err *err)
{
	const cJSON *item = json_at(json, key);

	if (item == NULL)
		return 0;
	*value = json_int(json, key, -1);
	if (!cJSON_IsNumber(item) || *value < 0 || *value > max)
		return err_set(err, ERR_INVALID, "\"%s\" must be a number from 0 to %lld", key,
		               (long long)max);
	return 0;
}

/* The text that the real server sends with a status, so that {"error_code":409} alone is a faithful fault. */
static const char *default_description(int code)
{
	static const struct {
		int code;
		const char *text;
	} texts[] = {{400, "Bad Request"},
	             {401, "Unauthorized"},
	             {403, "Forbidden: bot was blocked by the user"},
	             {404, "Not Found"},
	             {409, "Conflict: terminated by other getUpdates request; make sure that only one bot "
	                   "instance is running"},
	             {413, "Request Entity Too Large"},
	             {429, "Too Many Requests"},
	             {500, "Internal Server Error"},
	             {502, "Bad Gateway"},
	             {504, "Gateway Timeout"}};

	for (size_t i = 0; i < ARRAY_LEN(texts); i++)
		if (texts[i].code == code)
			return texts[i].text;
	return "Error";
}

int tg_faults_order(struct tg_faults *f, const cJSON *json, struct err *err)
{
	struct tg_fault fault = {.times = 1};
	const char *method = json_text(json, "method"), *description = json_text(json, "description");
	int64_t code = 0, migrate = json_int(json, "migrate_to_chat_id", 0);

	if (method == NULL || *method == '\0' || strlen(method) >= sizeof(fault.method))
		return err_set(err, ERR_INVALID, "\"method\" must be a Bot API method or \"*\"");
	if (number(json, "times", 1000000, &fault.times, err) < 0 ||
	    number(json, "error_code", 599, &code, err) < 0 ||
	    number(json, "retry_after", 86400, &fault.retry_after_s, err) < 0 ||
	    number(json, "delay_ms", 600000, &fault.delay_ms, err) < 0)
		return -1;
	if (code != 0 && code < 400)
		return err_set(err, ERR_INVALID, "\"error_code\" must be an HTTP status from 400 to 599");
	if (fault.times == 0) {
		remove_method(f, method);
		return 0;
	}
	if (f->n == FAULTS_MAX)
		return err_set(err, ERR_INVALID, "there are %d faults waiting already", FAULTS_MAX);
	fault.error_code = code == 0 && fault.retry_after_s > 0 ? 429 : (int)code;
	fault.migrate_to_chat_id = migrate;
	fault.drop = json_bool(json, "drop", false);
	fault.after_effect = json_bool(json, "after_effect", false);
	fault.html = json_bool(json, "html", false);
	snprintf(fault.method, sizeof(fault.method), "%s", method);
	if (description)
		snprintf(fault.description, sizeof(fault.description), "%s", description);
	else if (fault.retry_after_s > 0)
		snprintf(fault.description, sizeof(fault.description), "Too Many Requests: retry after %lld",
		         (long long)fault.retry_after_s);
	else if (fault.error_code)
		snprintf(fault.description, sizeof(fault.description), "%s",
		         default_description(fault.error_code));
	f->list[f->n++] = fault;
	return 0;
}

bool tg_faults_take(struct tg_faults *f, const char *method, struct tg_fault *fault)
{
	for (size_t i = 0; i < f->n; i++) {
		if (strcmp(f->list[i].method, "*") != 0 && strcasecmp(f->list[i].method, method) != 0)
			continue;
		*fault = f->list[i];
		if (--f->list[i].times == 0)
			remove_at(f, i);
		return true;
	}
	return false;
}
