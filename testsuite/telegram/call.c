/* See call.h. Order of a faulty call: delay, (effect,) fault; with after_effect: effect, delay, fault. */
#include "testsuite/telegram/call.h"
#include "core/log.h"
#include "core/mem.h"
#include "testsuite/telegram/events.h"
#include "testsuite/telegram/updates.h"
#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define JSON_TYPE "application/json"

int tg_call_fail(struct tg_call *c, int status, const char *description)
{
	c->status = status;
	snprintf(c->description, sizeof(c->description), "%s", description);
	return -1;
}

int tg_call_bad(struct tg_call *c, const char *fmt, ...)
{
	char text[2100];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (text[0] && text[1] != '_' && !isupper((unsigned char)text[1]))
		text[0] = (char)tolower((unsigned char)text[0]);
	c->status = 400;
	snprintf(c->description, sizeof(c->description), "Bad Request: %s", text);
	return -1;
}

int tg_call_flood(struct tg_call *c, int64_t retry_after_s)
{
	c->status = 429;
	c->retry_after_s = retry_after_s;
	snprintf(c->description, sizeof(c->description), "Too Many Requests: retry after %lld",
	         (long long)retry_after_s);
	return -1;
}

static void call_free(struct tg_call *c)
{
	loop_timer_free(c->timer);
	tg_params_free(&c->params);
	cJSON_Delete(c->result);
	str_free(&c->raw);
	*c->link = c->next;
	if (c->next)
		c->next->link = c->link;
	free(c);
}

void tg_calls_close(struct tg *tg)
{
	while (tg->calls)
		call_free(tg->calls);
}

static void count(struct tg_call *c, int status)
{
	char labels[128];

	snprintf(labels, sizeof(labels), "method=\"%s\",code=\"%d\"", c->method ? c->method->name : "unknown",
	         status);
	metrics_add(c->tg->metrics, TG_M_REQUESTS, labels, 1);
}

static void answer_error(struct tg_call *c)
{
	cleanup_json cJSON *body = json_object();
	char seconds[24];

	json_add_bool(body, "ok", false);
	json_add_int(body, "error_code", c->status);
	json_add_text(body, "description", c->description);
	if (c->retry_after_s > 0 || c->migrate_to_chat_id != 0) {
		cJSON *parameters = json_object();
		if (c->retry_after_s > 0)
			json_add_int(parameters, "retry_after", c->retry_after_s);
		if (c->migrate_to_chat_id != 0)
			json_add_int(parameters, "migrate_to_chat_id", c->migrate_to_chat_id);
		json_add(body, "parameters", parameters);
	}
	cleanup_free char *text = json_print(body);
	snprintf(seconds, sizeof(seconds), "%lld", (long long)c->retry_after_s);
	if (c->retry_after_s > 0)
		http_answer_with(c->x, c->status, JSON_TYPE, text, strlen(text), "Retry-After", seconds);
	else
		http_answer(c->x, c->status, JSON_TYPE, text, strlen(text));
}

static void answer_result(struct tg_call *c)
{
	cleanup_str struct str body = STR_INIT;
	cleanup_free char *result = c->result ? json_print(c->result) : NULL;

	str_addf(&body, "{\"ok\":true,\"result\":%s", result ? result : str_text(&c->raw));
	if (c->note)
		str_addf(&body, ",\"description\":\"%s\"", c->note);
	str_addc(&body, '}');
	http_answer(c->x, 200, JSON_TYPE, str_text(&body), body.len);
}

static void answer_html(struct tg_call *c)
{
	static const char page[] =
	        "<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body>\r\n"
	        "<center><h1>502 Bad Gateway</h1></center>\r\n<hr><center>nginx</center>\r\n"
	        "</body>\r\n</html>\r\n";

	http_answer_text(c->x, c->fault.error_code ? c->fault.error_code : 502, "text/html", page);
}

void tg_call_finish(struct tg_call *c)
{
	if (c->faulty && c->fault.drop) {
		count(c, 0);
		http_drop(c->x);
	} else if (c->faulty && c->fault.html) {
		count(c, 502);
		answer_html(c);
	} else {
		if (c->faulty && c->fault.error_code) {
			tg_call_fail(c, c->fault.error_code, c->fault.description);
			c->retry_after_s = c->fault.retry_after_s;
			c->migrate_to_chat_id = c->fault.migrate_to_chat_id;
		}
		count(c, c->status ? c->status : 200);
		if (c->status)
			answer_error(c);
		else
			answer_result(c);
	}
	call_free(c);
}

static void finish_now(void *arg)
{
	tg_call_finish(arg);
}

void tg_call_finish_after(struct tg_call *c, int64_t delay_ms)
{
	loop_timer_free(c->timer);
	c->timer = loop_timer_new(c->tg->loop, finish_now, c);
	loop_timer_set(c->timer, delay_ms, 0);
}

void tg_wake(struct tg *tg)
{
	tg_events_wake(tg);
	tg_updates_wake(tg);
}

/* The method in one transaction. */
static int effect(struct tg_call *c)
{
	struct err err = {0};
	struct tg *tg = c->tg;

	int rc = db_begin(tg->db, &err);
	if (rc == 0)
		rc = c->method->run(c, &err);
	if (rc < 0)
		db_rollback(tg->db);
	else if (db_commit(tg->db, &err) < 0)
		rc = -1;
	if (rc < 0 && c->status == 0) {
		log_error("%s: %s", c->method->name, err.msg);
		tg_call_fail(c, 500, "Internal Server Error");
	}
	return rc;
}

static bool fails(const struct tg_call *c)
{
	return c->faulty && (c->fault.drop || c->fault.html || c->fault.error_code);
}

static void run(void *arg)
{
	struct tg_call *c = arg;
	struct tg *tg = c->tg;

	if (c->method == NULL)
		tg_call_fail(c, 404, "Not Found");
	else if (!fails(c) || c->fault.after_effect) {
		int rc = effect(c);
		if (rc == TG_CALL_LATER && !(fails(c) && c->fault.after_effect)) {
			tg_wake(tg);
			return;
		}
		if (rc == TG_CALL_LATER)
			tg_updates_forget(tg, c);
	}
	if (c->faulty && c->fault.after_effect && c->fault.delay_ms > 0)
		tg_call_finish_after(c, c->fault.delay_ms);
	else
		tg_call_finish(c);
	tg_wake(tg);
}

static struct tg_call *call_new(struct tg *tg, struct http_exchange *x, const struct tg_method *method)
{
	struct tg_call *c = mem_alloc(sizeof(*c));

	*c = (struct tg_call){.tg = tg, .x = x, .method = method, .raw = STR_INIT, .next = tg->calls};
	c->link = &tg->calls;
	if (c->next)
		c->next->link = &c->next;
	tg->calls = c;
	return c;
}

void tg_call_start(struct tg *tg, struct http_exchange *x, const struct tg_method *method)
{
	struct tg_call *c = call_new(tg, x, method);
	struct err err;

	if (tg_params_read(&c->params, x, &err) < 0) {
		tg_call_fail(c, err.code == ERR_LIMIT ? 413 : 400, err.msg);
		tg_call_finish(c);
		return;
	}
	c->faulty = method && tg_faults_take(tg->faults, method->name, &c->fault);
	if (c->faulty)
		metrics_add(tg->metrics, TG_M_FAULTS, NULL, 1);
	if (c->faulty && c->fault.delay_ms > 0 && !c->fault.after_effect) {
		c->timer = loop_timer_new(tg->loop, run, c);
		loop_timer_set(c->timer, c->fault.delay_ms, 0);
	} else {
		run(c);
	}
}
