/* See user_side.h. The key is taken from the Authorization header or ?key= only, never from a cookie, and a page of
 * another origin is refused even with it: no web site a person visits may speak in his name. */
#include "testsuite/telegram/user_side.h"
#include "core/clock.h"
#include "core/id.h"
#include "core/log.h"
#include "core/mem.h"
#include "testsuite/telegram/call.h"
#include "testsuite/telegram/events.h"
#include "testsuite/telegram/files.h"
#include "testsuite/telegram/person.h"
#include "testsuite/telegram/store.h"
#include "testsuite/telegram/updates.h"
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define BODY_MAX (1u << 20)
#define JSON_TYPE "application/json"

static void answer_json(struct http_exchange *x, int status, const cJSON *json)
{
	cleanup_free char *text = json_print(json);

	http_answer(x, status, JSON_TYPE, text, strlen(text));
}

static void refuse(struct http_exchange *x, int status, const char *why)
{
	cleanup_json cJSON *answer = json_object();

	json_add_bool(answer, "ok", false);
	json_add_text(answer, "error", why);
	answer_json(x, status, answer);
}

static int order_fault(struct tg *tg, const cJSON *body, cJSON *answer, struct err *err)
{
	(void)answer;
	return tg_faults_order(tg->faults, body, err);
}

static const struct {
	const char *path;
	int (*run)(struct tg *tg, const cJSON *body, cJSON *answer, struct err *err);
} posts[] = {
        {"/user/message", tg_person_message}, {"/user/press", tg_person_press},
        {"/user/update", tg_person_update},   {"/user/block", tg_person_block},
        {"/user/fault", order_fault},
};

/* One POST in one transaction. */
static int run_post(struct tg *tg, size_t i, const cJSON *body, cJSON *answer, struct err *err)
{
	if (db_begin(tg->db, err) < 0)
		return -1;
	if (posts[i].run(tg, body, answer, err) < 0 || db_commit(tg->db, err) < 0) {
		db_rollback(tg->db);
		return -1;
	}
	return 0;
}

static void post(struct tg *tg, struct http_exchange *x, size_t i)
{
	size_t len = 0;
	const char *text = http_body(x, &len);
	struct err err;

	if (len > BODY_MAX) {
		refuse(x, 413, "the body is larger than 1 MiB");
		return;
	}
	cleanup_json cJSON *body = json_parse(text ? text : "", len, &err);
	if (!cJSON_IsObject(body)) {
		refuse(x, 400, "the body must be a JSON object");
		return;
	}
	cleanup_json cJSON *answer = json_object();
	json_add_bool(answer, "ok", true);
	if (run_post(tg, i, body, answer, &err) < 0) {
		bool ours = err.code == ERR_DB || err.code == ERR_BUSY || err.code == ERR_IO;
		if (ours)
			log_error("%s: %s", posts[i].path, err.msg);
		refuse(x, ours ? 500 : 400, err.msg);
		return;
	}
	answer_json(x, 200, answer);
	tg_wake(tg);
}

static void get_file(struct tg *tg, struct http_exchange *x)
{
	const char *id = http_param(x, "id");
	cleanup_json cJSON *document = NULL;
	cleanup_free char *path = NULL, *data = NULL;
	struct err err;
	size_t len = 0;
	int found = tg_files_find(tg, id ? id : "", &document, &path, &err);

	if (found > 0)
		found = tg_files_read(tg, path, &data, &len, &err);
	if (found < 0)
		log_error("file: %s", err.msg);
	if (found <= 0)
		refuse(x, found < 0 ? 500 : 404, "there is no such file");
	else /* never shown as a page of ours, whatever it is */
		http_answer_with(x, 200, "application/octet-stream", data, len, "Content-Disposition",
		                 "attachment");
}

static void get_commands(struct tg *tg, struct http_exchange *x)
{
	static const char *const scopes[] = {"all_private_chats", "default"};
	const char *language = http_param(x, "language");
	cleanup_json cJSON *answer = json_object();
	cleanup_free char *body = NULL;
	struct err err;

	for (int i = 0; i < 4 && body == NULL; i++) {
		const char *code = i % 2 == 0 ? (language ? language : "") : "";
		if (db_get_text(tg->db, &body, &err,
		                "SELECT body FROM commands WHERE scope = ? AND language = ?", "tt",
		                scopes[i / 2], code) < 0) {
			log_error("commands: %s", err.msg);
			refuse(x, 500, "database");
			return;
		}
	}
	json_add_bool(answer, "ok", true);
	json_add(answer, "commands", body ? cJSON_Parse(body) : json_array());
	answer_json(x, 200, answer);
}

static void get_state(struct tg *tg, struct http_exchange *x)
{
	cleanup_json cJSON *answer = json_object();
	cJSON *bot = json_object();

	json_add_bool(answer, "ok", true);
	json_add_int(bot, "id", tg->bot_id);
	json_add_text(bot, "username", tg->username);
	json_add(answer, "bot", bot);
	json_add_bool(answer, "polling", tg_updates_polling(tg));
	json_add_int(answer, "pending", tg_updates_pending(tg));
	json_add_int(answer, "last_poll_at", tg_updates_last_poll_ms(tg));
	const cJSON *users = json_at(tg->credentials, "users");
	json_add(answer, "users", users ? cJSON_Duplicate(users, true) : json_array());
	json_add(answer, "calls", cJSON_Duplicate(tg->counts, true));
	answer_json(x, 200, answer);
}

static const struct {
	const char *path;
	void (*run)(struct tg *tg, struct http_exchange *x);
} gets[] = {{"/user/events", tg_events_read},
            {"/user/file", get_file},
            {"/user/commands", get_commands},
            {"/user/state", get_state}};

/* A browser names the page's origin; it must be this server. */
static bool own_origin(struct http_exchange *x)
{
	const char *origin = http_header(x, "Origin"), *host = http_header(x, "Host");

	if (origin == NULL)
		return true;
	const char *authority = strstr(origin, "://");
	return authority && host && strcasecmp(authority + 3, host) == 0;
}

static bool has_key(struct tg *tg, struct http_exchange *x)
{
	const char *given = http_header(x, "Authorization");

	if (given && strncasecmp(given, "Bearer ", 7) == 0)
		given += 7;
	else
		given = http_param(x, "key");
	return id_secret_equal(tg->key, given);
}

void tg_user_side(struct tg *tg, struct http_exchange *x)
{
	const char *path = http_path(x), *method = http_method(x);
	bool known = false;

	if (!own_origin(x) || !has_key(tg, x)) {
		metrics_add(tg->metrics, TG_M_DENIED, NULL, 1);
		if (own_origin(x))
			refuse(x, 401,
			       "wrong or missing key: it stands in telegram.json of the state directory");
		else
			refuse(x, 403, "requests from other origins are refused");
		return;
	}
	for (size_t i = 0; i < ARRAY_LEN(posts); i++) {
		if (strcmp(path, posts[i].path) != 0)
			continue;
		known = true;
		if (strcmp(method, "POST") == 0) {
			post(tg, x, i);
			return;
		}
	}
	for (size_t i = 0; i < ARRAY_LEN(gets); i++) {
		if (strcmp(path, gets[i].path) != 0)
			continue;
		known = true;
		if (strcmp(method, "GET") == 0) {
			gets[i].run(tg, x);
			return;
		}
	}
	refuse(x, known ? 405 : 404, known ? "wrong HTTP method" : "there is no such path");
}
