#include "compose/stack.h"
#include "core/clock.h"
#include "core/file.h"
#include "core/id.h"
#include "core/mem.h"
#include <errno.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/random.h>
#include <unistd.h>

const struct stack_service stack_services[] = {
        {.name = "telegram",
         .command = "telegram",
         .ports = {{.key = "TELEGRAM_PORT", .name = "api", .scheme = "http", .target = 18791}}},
        {.name = "gateway",
         .command = "gateway",
         .ports = {{.key = "GATEWAY_PORT", .name = "websocket", .scheme = "ws", .target = 18789},
                   {.key = "GATEWAY_HEALTH_PORT", .name = "health", .scheme = "http", .target = 18790}}},
        {.name = "telegram-bot",
         .command = "bot",
         .ports = {{.key = "BOT_PORT", .name = "health", .scheme = "http", .target = 3000}}},
        {.name = "test-runner", .command = "worker"},
        {.name = NULL},
};

#define CREDENTIALS_MAX (64u << 10)
#define BOT_USERNAME "codefoundry_test_bot"

/* A number of ten digits, as Telegram's newer accounts have: random, so that two stacks never share one. */
static int64_t random_user_id(void)
{
	uint32_t r = 0;
	if (getrandom(&r, sizeof(r), 0) != sizeof(r))
		abort();
	return 1000000000 + (int64_t)(r % 4000000000u);
}

/* "<bot id>:<35 characters>", the shape of a real token, which the log's redaction knows. */
static char *random_token(void)
{
	static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-";
	unsigned char raw[35];
	char secret[sizeof(raw) + 1] = "";
	if (getrandom(raw, sizeof(raw), 0) != sizeof(raw))
		abort();
	for (size_t i = 0; i < sizeof(raw); i++)
		secret[i] = letters[raw[i] % 64];
	return mem_printf("%lld:%s", (long long)random_user_id(), secret);
}

static bool id_used(const cJSON *users, int64_t id)
{
	const cJSON *u;
	cJSON_ArrayForEach(u, users) if (json_int(u, "id", 0) == id) return true;
	return false;
}

static void add_user(cJSON *users, const char *name, const char *role)
{
	int64_t id;
	do
		id = random_user_id();
	while (id_used(users, id));
	cJSON *u = json_object();
	json_add_int(u, "id", id);
	json_add_text(u, "name", name);
	json_add_text(u, "role", role);
	cJSON_AddItemToArray(users, u);
}

static cJSON *make_credentials(bool testers)
{
	cleanup_free char *token = random_token();
	char key[33];
	id_random_hex(key, 16);
	cJSON *c = json_object();
	json_add_text(c, "token", token);
	json_add_text(c, "username", BOT_USERNAME);
	json_add_text(c, "key", key);
	cJSON *users = json_array();
	add_user(users, "You", "admin");
	for (int i = 1; testers && i <= STACK_TESTERS; i++) {
		char name[32];
		snprintf(name, sizeof(name), "Tester %d", i);
		add_user(users, name, "operator");
	}
	json_add(c, "users", users);
	return c;
}

static bool complete(const cJSON *c)
{
	return json_text(c, "token") && json_text(c, "key") && cJSON_GetArraySize(json_at(c, "users")) > 0;
}

static int read_credentials(const char *path, cJSON **out, struct err *err)
{
	cleanup_free char *text = NULL;
	size_t len = 0;
	if (file_read(path, CREDENTIALS_MAX, &text, &len, err))
		return -1;
	cleanup_json cJSON *c = json_parse(text, len, err);
	if (!c)
		return err_wrap(err, "%s (remove it, and a new one is made)", path);
	if (!complete(c))
		return err_set(err, ERR_INVALID,
		               "%s lacks token, key or users (remove it, and a new one is made)", path);
	*out = TAKE(c);
	return 0;
}

/* Publish with link(2): of two processes that start at once the first one's file stands, and both read it. */
static int publish(const char *path, const cJSON *c, struct err *err)
{
	char suffix[17];
	id_random_hex(suffix, 8);
	cleanup_free char *tmp = mem_printf("%s.%s", path, suffix), *text = json_print_pretty(c);
	if (file_write(tmp, text, strlen(text), 0600, err))
		return -1;
	int failed = link(tmp, path) && errno != EEXIST ? errno : 0;
	unlink(tmp);
	return failed ? err_sys(err, failed, "write %s", path) : 0;
}

int stack_credentials(const char *dir, bool testers, cJSON **credentials, struct err *err)
{
	cleanup_free char *path = mem_printf("%s/telegram.json", dir);
	if (read_credentials(path, credentials, err) == 0)
		return 0;
	if (err->code != ERR_NOT_FOUND)
		return -1;
	err_clear(err);
	cleanup_json cJSON *made = make_credentials(testers);
	if (publish(path, made, err))
		return -1;
	return read_credentials(path, credentials, err);
}

int stack_credentials_give(const char *dir, const char *text, struct err *err)
{
	cleanup_free char *path = mem_printf("%s/telegram.json", dir);
	struct err why = {0};
	if (path_exists(path))
		return 0;
	cleanup_json cJSON *given = json_parse(text, strlen(text), &why);
	if (!complete(given))
		return err_set(err, ERR_CONFIG,
		               "TELEGRAM_CREDENTIALS is no JSON object with token, key and users, as "
		               "telegram.json is");
	return publish(path, given, err);
}

int stack_credentials_await(const char *dir, int64_t timeout_ms, cJSON **credentials, struct err *err)
{
	cleanup_free char *path = mem_printf("%s/telegram.json", dir);
	cleanup_close int fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	int64_t until = clock_mono_ms() + timeout_ms;
	char events[4096];
	/* watched before it is looked for: nothing falls between */
	if (fd < 0 || inotify_add_watch(fd, dir, IN_CREATE | IN_MOVED_TO) < 0)
		return err_sys(err, errno, "watch %s", dir);
	while (read_credentials(path, credentials, err)) {
		int64_t left = until - clock_mono_ms();
		if (err->code != ERR_NOT_FOUND || left <= 0)
			return -1;
		poll(&(struct pollfd){.fd = fd, .events = POLLIN}, 1, (int)(left < 60000 ? left : 60000));
		while (read(fd, events, sizeof(events)) > 0)
			;
	}
	err_clear(err);
	return 0;
}

void stack_user_ids(const cJSON *credentials, const char *role, struct str *out)
{
	const cJSON *u;
	const char *comma = "";
	cJSON_ArrayForEach(u, json_at(credentials, "users"))
	{
		const char *has = json_text(u, "role");
		if (role && (!has || strcmp(has, role)))
			continue;
		str_addf(out, "%s%lld", comma, (long long)json_int(u, "id", 0));
		comma = ",";
	}
}
