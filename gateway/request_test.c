/* Requests: commands and chats over a real connection, with jobs done by another process. */
#include "gateway/server_rig.h"

#define CREATE(id, name)                                                                                     \
	"{\"type\":\"command\",\"sessionId\":\"s\",\"content\":\"{\\\"version\\\":\\\"1.1\\\",\\\"id\\\":"   \
	"\\\"" id "\\\",\\\"command\\\":\\\"create_project\\\",\\\"params\\\":{\\\"name\\\":\\\"" name       \
	"\\\",\\\"archetype\\\":\\\"ai-agent\\\"}}\"}"
#define ID_A "aaaaaaaa-0000-4000-8000-000000000001"
#define ID_B "aaaaaaaa-0000-4000-8000-000000000002"

static void simple_frames(void **unused)
{
	(void)unused;
	struct stage s;
	struct peer p;
	stage_open(&s, NULL);
	connect_peer(&s, &p);
	say(&p, "{\"type\":\"ping\",\"sessionId\":\"a\"}");
	const cJSON *f = finish(&p, "a");
	assert_type(f, "complete");
	assert_non_null(strstr(json_text(f, "content"), "Pong"));
	say(&p, "{\"type\":\"ping\",\"heartbeat\":true,\"sessionId\":\"b\"}");
	assert_type(finish(&p, "b"), "pong");
	say(&p, "{\"type\":\"status\",\"sessionId\":\"c\"}");
	f = finish(&p, "c");
	assert_type(f, "complete");
	assert_string_equal(json_text(f, "data.gateway.status"), "running");
	assert_true(cJSON_IsArray(json_at(f, "data.projects")) && cJSON_IsArray(json_at(f, "data.sessions")));
	assert_true(json_int(f, "data.system.uptime", -1) > 0);
	assert_true(json_int(f, "data.system.memory_usage.total_bytes", 0) > 0);
	assert_int_equal(cJSON_GetArraySize(json_at(f, "data.problems")), 0);
	say(&p, "{\"type\":\"command\",\"version\":\"1.0\",\"id\":\"11111111-2222-3333-4444-555555555555\","
	        "\"command\":\"help\","
	        "\"sessionId\":\"d\"}");
	f = finish(&p, "d");
	assert_string_equal(json_text(f, "data.status"), "success");
	assert_true(cJSON_GetArraySize(json_at(f, "data.result.commands")) > 10);
	assert_non_null(json_text(f, "data.result.commands.0.usage"));
	assert_string_equal(json_text(f, "data.message"), json_text(f, "content"));
	/* without a session id the connection's own one is used, the one of the welcome */
	say(&p, "{\"type\":\"ping\"}");
	finish(&p, json_text(cJSON_GetArrayItem(p.frames, 0), "sessionId"));
	/* ids that are numbers come back as numbers */
	say(&p, "{\"type\":\"ping\",\"sessionId\":42}");
	assert_int_equal(json_int(next_frame(&p), "sessionId", 0), 42);
	drop(&p);
	stage_close(&s);
}

static void a_chat_makes_a_project(void **unused)
{
	(void)unused;
	struct stage s;
	struct peer p;
	stage_open(&s, NULL);
	with_worker(&s);
	connect_peer(&s, &p);
	say(&p, "{\"type\":\"chat\",\"content\":\"create project web-service "
	        "shop\",\"sessionId\":\"a\",\"userId\":\"tg:1\"}");
	const cJSON *f = finish(&p, "a");
	assert_type(f, "complete");
	assert_non_null(strstr(json_text(f, "content"), "shop"));
	cleanup_free char *path = mem_printf("%s/projects/shop/app.py", s.dir);
	assert_true(path_exists(path));
	assert_int_equal(database_count(&s, "SELECT count(*) FROM jobs WHERE owner = 'gw:tg:1'"), 1);
	/* a question, and its answer under the same id from another connection */
	say(&p, "{\"type\":\"chat\",\"content\":\"создай проект api-2\",\"sessionId\":\"b\"}");
	f = finish(&p, "b");
	assert_type(f, "question");
	assert_int_equal(cJSON_GetArraySize(json_at(f, "data.options")), 4);
	drop(&p);
	connect_peer(&s, &p);
	say(&p, "{\"type\":\"chat\",\"content\":\"веб-сервис\",\"sessionId\":\"b\"}");
	f = finish(&p, "b");
	assert_type(f, "complete");
	assert_non_null(strstr(json_text(f, "content"), "готов"));
	/* that answer once more, as after a crash of its sender: the question is gone, the request id still says what it meant */
	say(&p, "{\"type\":\"chat\",\"content\":\"create project api-3\",\"sessionId\":\"q\"}");
	assert_type(finish(&p, "q"), "question");
	for (int i = 0; i < 2; i++) {
		say(&p, "{\"type\":\"chat\",\"content\":\"api\",\"sessionId\":\"q\",\"context\":{\"request_"
		        "id\":\"u8\"}}");
		f = finish(&p, "q");
		assert_type(f, "complete");
		assert_string_equal(json_text(f, "data.result.project_name"), "api-3");
	}
	/* taken */
	say(&p, "{\"type\":\"chat\",\"content\":\"create project ai-agent shop\",\"sessionId\":\"c\"}");
	f = finish(&p, "c");
	assert_type(f, "error");
	assert_string_equal(json_text(f, "data.code"), "PROJECT_EXISTS");
	drop(&p);
	stage_close(&s);
}

static void the_same_id_is_the_same_project(void **unused)
{
	(void)unused;
	struct stage s;
	struct peer p, q;
	stage_open(&s, NULL);
	connect_peer(&s, &p);
	connect_peer(&s, &q);
	say(&p, CREATE(ID_A, "brain")); /* before any worker runs, and twice at once */
	say(&q, CREATE(ID_A, "brain"));
	with_worker(&s);
	const cJSON *f = finish(&p, "s"), *g = finish(&q, "s");
	assert_type(f, "complete");
	assert_type(g, "complete");
	assert_string_equal(json_text(f, "data.status"), "success");
	assert_string_equal(json_text(f, "data.id"), ID_A);
	assert_string_equal(json_text(f, "data.result.project_name"), "brain");
	say(&p, CREATE("AAAAAAAA-0000-4000-8000-000000000001", "brain"));
	f = finish(&p, "s");
	assert_type(f, "complete");
	assert_string_equal(json_text(f, "data.result.project_path"),
	                    json_text(g, "data.result.project_path"));
	assert_int_equal(database_count(&s, "SELECT count(*) FROM jobs"), 1);
	assert_int_equal(database_count(&s, "SELECT count(*) FROM projects"), 1);
	say(&p, CREATE(ID_B, "brain"));
	f = finish(&p, "s");
	assert_type(f, "error");
	assert_string_equal(json_text(f, "data.error.code"), "PROJECT_EXISTS");
	say(&p, CREATE(ID_B, "../brain"));
	f = finish(&p, "s");
	assert_string_equal(json_text(f, "data.error.code"), "INVALID_PARAMS");
	/* one id, two commands */
	say(&p, "{\"type\":\"command\",\"sessionId\":\"s\",\"version\":\"1.0\",\"id\":\"" ID_A
	        "\",\"command\":\"session_start\"}");
	f = finish(&p, "s");
	assert_string_equal(json_text(f, "data.error.code"), "INVALID_PARAMS");
	/* chats: context.request_id */
	for (int i = 0; i < 2; i++) {
		say(&p, "{\"type\":\"chat\",\"content\":\"create project fullstack "
		        "site\",\"sessionId\":\"t\",\"context\":{\"request_id\":\"u7\"}}");
		assert_type(finish(&p, "t"), "complete");
	}
	assert_int_equal(database_count(&s, "SELECT count(*) FROM jobs WHERE origin = 'chat:u7'"), 1);
	drop(&p);
	drop(&q);
	stage_close(&s);
}

static void long_work_is_followed(void **unused)
{
	(void)unused;
	struct stage s;
	struct peer p, watcher;
	struct err err;
	stage_open(&s, NULL);
	with_worker(&s);
	cleanup_free char *hold = mem_printf("%s/hold", s.dir);
	assert_int_equal(file_write(hold, "", 0, 0600, &err), 0);
	connect_peer(&s, &watcher);
	say(&watcher, "{\"type\":\"subscribe\",\"topics\":[\"sessions\"],\"sessionId\":\"w\"}");
	assert_type(finish(&watcher, "w"), "complete");
	connect_peer(&s, &p);
	say(&p, "{\"type\":\"command\",\"sessionId\":\"s\",\"version\":\"1.0\",\"id\":\"" ID_A
	        "\",\"command\":\"session_start\","
	        "\"params\":{\"name\":\"demo\"}}");
	bool logged = false;
	while (!logged) {
		const cJSON *f = next_of(&p, "progress");
		logged = json_at(f, "data.logs") != NULL;
		assert_true(!logged || json_int(f, "progress", 0) >= 60);
		assert_true(!logged || strstr(json_text(f, "data.logs.0"), "line of a log"));
	}
	const cJSON *event = next_of(&watcher, "event");
	assert_string_equal(json_text(event, "topic"), "sessions");
	assert_string_equal(json_text(event, "data.kind"), "session.start");
	assert_string_equal(json_text(event, "sessionId"), "w");
	/* other requests are answered meanwhile */
	say(&p, "{\"type\":\"ping\",\"sessionId\":\"x\"}");
	assert_string_equal(json_text(next_of(&p, "complete"), "sessionId"), "x");
	/* the client goes away and comes back with the same id */
	drop(&p);
	connect_peer(&s, &p);
	say(&p, "{\"type\":\"command\",\"sessionId\":\"s2\",\"version\":\"1.0\",\"id\":\"" ID_A
	        "\",\"command\":\"session_start\","
	        "\"params\":{\"name\":\"demo\"}}");
	while (json_int(next_of(&p, "progress"), "progress", 0) < 40)
		;
	unlink(hold);
	const cJSON *f = finish(&p, "s2");
	assert_type(f, "complete");
	assert_string_equal(json_text(f, "data.result.name"), "demo");
	assert_int_equal(database_count(&s, "SELECT count(*) FROM jobs"), 1);
	say(&p, "{\"type\":\"chat\",\"sessionId\":\"s3\",\"content\":\"stop session nothere\"}");
	f = finish(&p, "s3");
	assert_type(f, "error");
	assert_non_null(strstr(json_text(f, "error"), "nothere"));
	assert_string_equal(json_text(f, "data.details.reason"), "not_found");
	drop(&p);
	drop(&watcher);
	stage_close(&s);
}

static void a_job_is_cancelled(void **unused)
{
	(void)unused;
	struct stage s;
	struct peer p;
	struct err err;
	stage_open(&s, NULL);
	with_worker(&s);
	cleanup_free char *hold = mem_printf("%s/hold", s.dir);
	assert_int_equal(file_write(hold, "", 0, 0600, &err), 0);
	connect_peer(&s, &p);
	say(&p, "{\"type\":\"chat\",\"sessionId\":\"a\",\"content\":\"start session demo\"}");
	int64_t job = 0;
	for (const cJSON *f = NULL; !json_at(f, "data.logs"); job = json_int(f, "data.job", 0))
		f = next_of(&p, "progress");
	cleanup_free char *cancel = mem_printf(
	        "{\"type\":\"chat\",\"sessionId\":\"b\",\"content\":\"cancel job %lld\"}", (long long)job);
	say(&p, cancel);
	bool told = false, ended = false;
	while (!told || !ended) {
		const cJSON *f = next_frame(&p);
		told |= strcmp(json_text(f, "sessionId"), "b") == 0 &&
		        strcmp(json_text(f, "type"), "complete") == 0;
		ended |= strcmp(json_text(f, "sessionId"), "a") == 0 &&
		         strcmp(json_text(f, "type"), "error") == 0;
		if (ended && strcmp(json_text(f, "type"), "error") == 0)
			assert_string_equal(json_text(f, "data.details.reason"), "cancelled");
	}
	drop(&p);
	stage_close(&s);
}

static void without_a_worker_it_is_said(void **unused)
{
	(void)unused;
	struct stage s;
	struct peer p;
	stage_open(&s, (const char *const[]){"GATEWAY_WORKER_TIMEOUT=1", NULL});
	connect_peer(&s, &p);
	say(&p, CREATE(ID_A, "brain"));
	const cJSON *f = finish(&p, "s");
	assert_type(f, "error");
	assert_string_equal(json_text(f, "data.error.code"), "ENGINE_UNAVAILABLE");
	assert_non_null(strstr(json_text(f, "error"), "make up"));
	/* the job was kept: asked for again, it is done once a worker runs */
	with_worker(&s);
	say(&p, CREATE(ID_A, "brain"));
	assert_type(finish(&p, "s"), "complete");
	assert_int_equal(database_count(&s, "SELECT count(*) FROM jobs"), 1);
	drop(&p);
	stage_close(&s);
}

int main(int argc, char **argv)
{
	if (argc > 1)
		return other_process(argv[1]);
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(simple_frames),
	        cmocka_unit_test(a_chat_makes_a_project),
	        cmocka_unit_test(the_same_id_is_the_same_project),
	        cmocka_unit_test(long_work_is_followed),
	        cmocka_unit_test(a_job_is_cancelled),
	        cmocka_unit_test(without_a_worker_it_is_said),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
