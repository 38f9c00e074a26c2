#include "testsuite/preflight.h"
#include "compose/stack.h"
#include "core/clock.h"
#include "core/http_client.h"
#include "core/mem.h"
#include <string.h>

#define PATIENCE_MS 5000
#define TRY_EVERY_MS 25

/* The stack's files and ports are known and there. */
static int dependencies(struct target *t, struct err *err)
{
	int there = target_has(t, "codefoundry.db", err); /* what every stack's services share */
	if (there < 0)
		return -1;
	if (!there)
		return err_set(err, ERR_NOT_FOUND, "its state directory has no database");
	for (const struct stack_service *s = stack_services; s->name; s++)
		for (const struct stack_port *p = s->ports; p->key; p++)
			if (!target_env(t, p->key) && (strcmp(s->name, "telegram") != 0 || target_key(t)))
				return err_set(err, ERR_STATE, "%s has no %s", s->name, p->key);
	return 0;
}

static int get(const char *base, const char *path, cJSON **doc, struct err *err)
{
	cleanup_free char *url = mem_printf("%s%s", base, path);
	struct http_request req = {.url = url, .connect_ms = 2000, .total_ms = 5000};
	struct http_reply reply = {0};
	if (http_fetch(&req, &reply, err))
		return -1;
	int rc = 0;
	if (reply.status != 200)
		rc = err_set(err, ERR_FAILED, "it answers with status %ld: %.200s", reply.status, reply.body);
	else if (!(*doc = json_parse(reply.body, reply.len, err)))
		rc = -1;
	http_reply_free(&reply);
	return rc;
}

static int token(struct target *t, struct err *err)
{
	cleanup_json cJSON *me = NULL;
	if (!target_bot_token(t))
		return err_set(err, ERR_STATE, "no bot token is set");
	if (!target_key(t))
		return 0; /* the real Telegram: the bot's own health says whether it was accepted */
	cleanup_free char *base = target_url(t, "telegram/api", err);
	cleanup_free char *path = mem_printf("/bot%s/getMe", target_bot_token(t));
	return base ? get(base, path, &me, err) : -1;
}

static int bot(struct target *t, struct err *err)
{
	if (!target_key(t))
		return 0;
	cleanup_free char *base = target_url(t, "telegram/api", err);
	struct user_api *api = base ? user_api_new(base, target_key(t)) : NULL;
	cleanup_json cJSON *state = api ? user_api_get(api, "/user/state", err) : NULL;
	user_api_free(api);
	if (!state)
		return -1;
	return json_bool(state, "polling", false) ? 0
	                                          : err_set(err, ERR_STATE, "it does not ask for updates");
}

static int gateway(struct target *t, struct err *err)
{
	cleanup_json cJSON *health = NULL;
	cleanup_free char *base = target_url(t, "gateway/health", err);
	if (!base || get(base, "/health", &health, err))
		return -1;
	return 0;
}

static const struct condition {
	const char *name;
	int (*check)(struct target *t, struct err *err);
	const char *advice;
} conditions[] = {
        {"dependencies", dependencies, "start the session again: codefoundry session restart NAME"},
        {"token", token,
         "remove telegram.json from its state directory and restart it, or set SESSION_TELEGRAM_BOT_TOKEN"},
        {"bot", bot, "look at its log: codefoundry session logs NAME telegram-bot"},
        {"gateway", gateway, "look at its log: codefoundry session logs NAME gateway"},
};

/* A service that just became ready may need a moment more; what fails is tried again until the time is over. */
static int check_one(struct job *job, struct target *t, const struct condition *c, int64_t deadline,
                     struct err *err)
{
	for (;;) {
		struct err why = {0};
		if (c->check(t, &why) == 0)
			return 0;
		if (clock_mono_ms() >= deadline)
			return err_set(err, ERR_STATE, "%s: %.500s (%s)", c->name, why.msg, c->advice);
		if (job_poll(job, NULL, 0, TRY_EVERY_MS, err) < 0)
			return -1;
	}
}

int preflight_check(struct job *job, struct target *t, struct err *err)
{
	cleanup_str struct str failed = STR_INIT;
	int64_t deadline = clock_mono_ms() + PATIENCE_MS;
	for (size_t i = 0; i < ARRAY_LEN(conditions); i++) {
		struct err why = {0};
		if (check_one(job, t, &conditions[i], deadline, &why) == 0) {
			job_log(job, "precondition %s: ok", conditions[i].name);
			continue;
		}
		if (why.code != ERR_STATE) {
			*err = why;
			return -1;
		}
		str_addf(&failed, "\n  %s", why.msg);
	}
	if (!failed.len)
		return 0;
	return err_set(err, ERR_STATE, "%s cannot be tested:%s", target_name(t), str_text(&failed));
}
