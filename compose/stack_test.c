#include "compose/stack.h"
#include "core/file.h"
#include "core/mem.h"
#include "jobs/test_state.h"
#include <sched.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static void table(void **data)
{
	(void)data;
	const char *keys[16] = {0};
	size_t n = 0;
	for (const struct stack_service *s = stack_services; s->name; s++) {
		assert_non_null(s->command);
		for (const struct stack_port *p = s->ports; p->key; p++) {
			assert_true(p - s->ports < 2); /* the third is the end */
			assert_non_null(p->name);
			assert_non_null(p->scheme);
			for (size_t i = 0; i < n; i++)
				assert_string_not_equal(keys[i], p->key);
			keys[n++] = p->key;
		}
	}
	assert_int_equal(n, 4);
}

static void made_once(void **data)
{
	(void)data;
	char dir[] = "/tmp/codefoundry-test.XXXXXX";
	assert_non_null(mkdtemp(dir));
	cleanup_json cJSON *a = NULL, *b = NULL;
	assert_ok(stack_credentials(dir, true, &a, err));
	assert_ok(stack_credentials(dir, false, &b, err));
	assert_true(cJSON_Compare(a, b, true));
	cleanup_free char *path = mem_printf("%s/telegram.json", dir);
	struct stat st;
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_equal(tree_count(dir), 2); /* no temporary file stays */

	const cJSON *users = json_at(a, "users");
	assert_int_equal(cJSON_GetArraySize(users), 1 + STACK_TESTERS);
	assert_string_equal(json_text(users->child, "role"), "admin");
	assert_int_equal(strlen(strchr(json_text(a, "token"), ':')), 36);
	assert_int_equal(strlen(json_text(a, "key")), 32);
	for (const cJSON *u = users->child; u; u = u->next)
		for (const cJSON *v = u->next; v; v = v->next)
			assert_int_not_equal(json_int(u, "id", 0), json_int(v, "id", 0));

	cleanup_str struct str all = STR_INIT, admins = STR_INIT, viewers = STR_INIT;
	stack_user_ids(a, NULL, &all);
	stack_user_ids(a, "admin", &admins);
	stack_user_ids(a, "viewer", &viewers);
	assert_int_equal(strtoll(str_text(&admins), NULL, 10), json_int(users->child, "id", 0));
	assert_null(strchr(str_text(&admins), ','));
	assert_int_equal(strncmp(str_text(&all), str_text(&admins), admins.len), 0);
	assert_string_equal(str_text(&viewers), "");
	assert_ok(tree_remove(dir, err));
}

static void damaged(void **data)
{
	(void)data;
	static const char *const texts[] = {"", "{", "[]", "{\"token\":\"x\"}",
	                                    "{\"token\":1,\"key\":2,\"users\":[1]}"};
	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		char dir[] = "/tmp/codefoundry-test.XXXXXX";
		assert_non_null(mkdtemp(dir));
		cleanup_free char *path = mem_printf("%s/telegram.json", dir);
		assert_ok(file_write(path, texts[i], strlen(texts[i]), 0600, err));
		cJSON *c = NULL;
		struct err err = {0};
		assert_int_equal(stack_credentials(dir, true, &c, &err), -1);
		assert_int_equal(err.code, ERR_INVALID);
		assert_non_null(strstr(err.msg, path));
		assert_ok(tree_remove(dir, err));
	}
}

static const char given[] =
        "{\"token\":\"4242:secret-part\",\"username\":\"x_bot\",\"key\":\"00112233445566778899aabbccddeeff\","
        "\"users\":[{\"id\":1001,\"name\":\"Anna\",\"role\":\"admin\"}]}";

static void handed_down(void **data)
{
	(void)data;
	static const char *const bad[] = {"", "hunter2", "[]", "{\"token\":\"hunter2\"}",
	                                  "{\"token\":\"hunter2\",\"key\":\"k\",\"users\":[]}"};
	char dir[] = "/tmp/codefoundry-test.XXXXXX";
	assert_non_null(mkdtemp(dir));
	struct err err = {0};
	cleanup_json cJSON *c = NULL, *again = NULL;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		assert_int_equal(stack_credentials_give(dir, bad[i], &err), -1);
		assert_int_equal(err.code, ERR_CONFIG);
		assert_null(strstr(err.msg, "hunter2"));
	}
	assert_int_equal(stack_credentials_await(dir, 0, &c, &err), -1);
	assert_int_equal(err.code, ERR_NOT_FOUND);
	assert_ok(stack_credentials_give(dir, given, err));
	assert_ok(stack_credentials_await(dir, 0, &c, err));
	assert_string_equal(json_text(c, "token"), "4242:secret-part");
	assert_ok(stack_credentials_give(dir, "what is there stays", err));
	assert_ok(stack_credentials(dir, true, &again, err));
	assert_true(cJSON_Compare(c, again, true));
	assert_ok(tree_remove(dir, err));
}

/* Another process writes it while this one waits. */
static void waited_for(void **data)
{
	(void)data;
	char dir[] = "/tmp/codefoundry-test.XXXXXX", stat[512] = "";
	assert_non_null(mkdtemp(dir));
	cleanup_free char *path = mem_printf("/proc/%d/stat", getpid());
	cleanup_json cJSON *c = NULL;
	pid_t child = fork();
	if (child == 0) {
		struct err err = {0};
		while (!strstr(stat, ") S ") && file_peek(path, stat, sizeof(stat)) > 0)
			sched_yield();
		_exit(stack_credentials_give(dir, given, &err) ? 1 : 0);
	}
	int64_t begin = clock_mono_ms();
	assert_ok(stack_credentials_await(dir, 20000, &c, err));
	assert_true(clock_mono_ms() - begin < 10000); /* told, not timed out */
	assert_string_equal(json_text(c, "username"), "x_bot");
	int status;
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	assert_ok(tree_remove(dir, err));
}

/* Eight processes at once: all must come out with the same token. */
static void at_once(void **data)
{
	(void)data;
	char dir[] = "/tmp/codefoundry-test.XXXXXX";
	assert_non_null(mkdtemp(dir));
	int ends[2], go[2];
	assert_int_equal(pipe(ends), 0);
	assert_int_equal(pipe(go), 0);
	for (int i = 0; i < 8; i++) {
		if (fork() == 0) {
			char c;
			struct err err = {0};
			cJSON *mine = NULL;
			close(go[1]);
			if (read(go[0], &c, 1) != 0 || stack_credentials(dir, true, &mine, &err))
				_exit(1);
			const char *key = json_text(mine, "key");
			_exit(write(ends[1], key, 32) == 32 ? 0 : 1);
		}
	}
	close(go[0]);
	close(go[1]); /* end of file is the starting shot */
	int status;
	while (wait(&status) > 0)
		assert_int_equal(status, 0);
	char keys[8 * 32 + 1] = "";
	assert_int_equal(read(ends[0], keys, sizeof(keys)), 8 * 32);
	for (int i = 1; i < 8; i++)
		assert_memory_equal(keys, keys + i * 32, 32);
	assert_ok(tree_remove(dir, err));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(table),       cmocka_unit_test(made_once),  cmocka_unit_test(damaged),
	        cmocka_unit_test(handed_down), cmocka_unit_test(waited_for), cmocka_unit_test(at_once),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
