/* Connections: who gets in, what ends them, how many there may be. */
#include "gateway/server_rig.h"

#define DEPLOY                                                                                               \
	"{\"type\":\"message\",\"message\":\"x\",\"context\":{\"action\":\"deploy\",\"githubToken\":\"ghp_"  \
	"secret\"}}"

static void bad_frames_keep_the_connection(void **unused)
{
	(void)unused;
	static const char *const bad[] = {
	        "hello",
	        "[]",
	        "{}",
	        "{\"type\":\"dance\"}",
	        "{\"type\":\"chat\"}",
	        "{\"type\":\"command\",\"content\":\"x\"}",
	        "{\"type\":\"command\",\"version\":\"1.0\",\"id\":\"1\",\"command\":\"explode\"}",
	        "{\"type\":\"command\",\"version\":\"1.0\",\"id\":\"1\",\"command\":\"session_stop\"}",
	        DEPLOY,
	};
	struct stage s;
	struct peer p;
	stage_open(&s, NULL);
	connect_peer(&s, &p);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		say(&p, bad[i]);
		const cJSON *f = next_frame(&p);
		assert_type(f, "error");
		assert_string_equal(json_text(f, "content"), json_text(f, "error"));
		assert_true(strlen(json_text(f, "error")) > 20);
		assert_non_null(json_text(f, "data.code"));
		cleanup_free char *text = json_print(f);
		assert_null(strstr(text, "ghp_secret"));
	}
	const cJSON *f = cJSON_GetArrayItem(p.frames, 7);
	assert_string_equal(json_text(f, "data.error.code"), "UNKNOWN_COMMAND");
	assert_string_equal(json_text(f, "data.id"), "1");
	say(&p, "{\"type\":\"ping\",\"sessionId\":\"z\"}");
	assert_type(finish(&p, "z"), "complete");
	drop(&p);
	stage_close(&s);
}

static void frames_that_end_the_connection(void **unused)
{
	(void)unused;
	struct stage s;
	stage_open(&s, NULL);
	cleanup_str struct str big = STR_INIT;
	str_add(&big, "{\"type\":\"chat\",\"content\":\"");
	while (big.len < 65537)
		str_addc(&big, 'x');
	assert_int_equal(code_after(&s, 2, "\1\2\3", 3), 1003);
	assert_int_equal(code_after(&s, 1, "{\"type\":\"ping\",\"x\":\"\xff\xfe\"}", 24), 1007);
	assert_int_equal(code_after(&s, 1, big.p, big.len), 1009);
	cJSON *health = NULL;
	assert_int_equal(http_get(s.health_port, "/health", &health, NULL), 200);
	assert_string_equal(json_text(health, "status"), "healthy");
	cJSON_Delete(health);
	stage_close(&s);
}

static void doors(void **unused)
{
	(void)unused;
	struct stage s;
	struct peer p;
	stage_open(&s, (const char *const[]){"GATEWAY_TOKEN=correct-horse",
	                                     "GATEWAY_ORIGINS=https://chat.example", NULL});
	assert_int_equal(raw_status(s.port, "/", ""), 401);
	assert_int_equal(raw_status(s.port, "/", "Authorization: Bearer wrong-horse\r\n"), 401);
	assert_int_equal(raw_status(s.port, "/?token=wrong", ""), 401);
	assert_int_equal(raw_status(s.port, "/?token=correct-horse", ""), 101);
	assert_int_equal(raw_status(s.port, "/?token=correct-horse", "Origin: https://evil.example\r\n"),
	                 403);
	assert_int_equal(raw_status(s.port, "/?token=correct-horse", "Origin: https://chat.example\r\n"),
	                 101);
	start_connect(&s, &p, "/", "correct-horse");
	assert_string_equal(json_text(next_of(&p, "complete"), "data.role"), "operator");
	drop(&p);
	start_connect(&s, &p, "/", "wrong-horse");
	while (!p.closed)
		wait_loop(&s);
	assert_false(p.open);
	cJSON_Delete(p.frames);
	stage_close(&s);

	stage_open(&s,
	           (const char *const[]){"GATEWAY_TOKEN=correct-horse", "GATEWAY_ANONYMOUS=viewer", NULL});
	connect_peer(&s, &p);
	say(&p, "{\"type\":\"chat\",\"content\":\"list sessions\",\"sessionId\":\"a\"}");
	assert_type(finish(&p, "a"), "complete");
	say(&p, "{\"type\":\"chat\",\"content\":\"start session demo\",\"sessionId\":\"b\"}");
	const cJSON *f = finish(&p, "b");
	assert_type(f, "error");
	assert_string_equal(json_text(f, "data.code"), "UNAUTHORIZED");
	assert_int_equal(database_count(&s, "SELECT count(*) FROM jobs"), 0);
	drop(&p);
	stage_close(&s);
}

static void too_many_messages(void **unused)
{
	(void)unused;
	struct stage s;
	struct peer p;
	stage_open(&s, (const char *const[]){"GATEWAY_RATE_LIMIT=5", NULL});
	connect_peer(&s, &p);
	for (int i = 0; i < 16; i++)
		say(&p, "{\"type\":\"ping\",\"sessionId\":\"a\"}");
	int pongs = 0;
	const cJSON *f;
	while (strcmp(json_text((f = next_frame(&p)), "type"), "error") != 0)
		pongs++;
	assert_true(pongs >= 15);
	assert_string_equal(json_text(f, "data.code"), "RATE_LIMITED");
	assert_string_equal(json_text(f, "sessionId"), "a");
	for (int i = 0; i < 100 && p.ws; i++)
		if (ws_send(p.ws, "{\"type\":\"ping\"}", 15))
			break;
	while (!p.closed)
		wait_loop(&s);
	assert_int_equal(p.code, 1008);
	drop(&p);
	stage_close(&s);
}

static void five_hundred_idle(void **unused)
{
	(void)unused;
	enum { N = 500 };
	struct stage s;
	struct peer *peers = mem_alloc(N * sizeof(*peers));
	stage_open(&s, NULL);
	for (int i = 0; i < N; i++)
		start_connect(&s, &peers[i], "/", NULL);
	for (int i = 0; i < N; i++)
		next_of(&peers[i], "complete");
	cJSON *health = NULL;
	assert_int_equal(http_get(s.health_port, "/health", &health, NULL), 200);
	assert_int_equal(json_int(health, "sessions", 0), N);
	cJSON_Delete(health);
	say(&peers[N - 1], "{\"type\":\"ping\",\"sessionId\":\"a\"}");
	assert_type(finish(&peers[N - 1], "a"), "complete");
	for (int i = 0; i < N; i++)
		drop(&peers[i]);
	free(peers);
	stage_close(&s);
}

static void drain(void **unused)
{
	(void)unused;
	struct stage s;
	struct peer p, q;
	struct err err;
	stage_open(&s, NULL);
	with_worker(&s);
	cleanup_free char *hold = mem_printf("%s/hold", s.dir);
	assert_int_equal(file_write(hold, "", 0, 0600, &err), 0);
	connect_peer(&s, &p);
	connect_peer(&s, &q);
	say(&q, "{\"type\":\"chat\",\"sessionId\":\"a\",\"content\":\"start session demo\"}");
	next_of(&q, "progress");
	kill(s.gateway, SIGTERM);
	while (!p.closed || !q.closed)
		wait_loop(&s);
	assert_int_equal(p.code, 1001);
	assert_int_equal(q.code, 1001);
	for (int i = q.read; i < cJSON_GetArraySize(q.frames); i++) /* the job goes on: no error is told */
		assert_type(cJSON_GetArrayItem(q.frames, i), "progress");
	int status;
	assert_int_equal(waitpid(s.gateway, &status, 0), s.gateway);
	s.gateway = 0;
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	cJSON_Delete(p.frames);
	cJSON_Delete(q.frames);
	stage_close(&s);
}

static void health_and_metrics(void **unused)
{
	(void)unused;
	struct stage s;
	struct peer p;
	cJSON *health = NULL;
	cleanup_free char *metrics = NULL;
	stage_open(&s, NULL);
	connect_peer(&s, &p);
	say(&p, "nonsense");
	next_of(&p, "error");
	assert_int_equal(http_get(s.health_port, "/health", &health, NULL), 200);
	assert_string_equal(json_text(health, "status"), "healthy");
	assert_int_equal(json_int(health, "sessions", -1), 1);
	assert_true(json_int(health, "uptime", -1) >= 0);
	assert_non_null(json_text(health, "version"));
	cJSON_Delete(health);
	assert_int_equal(http_get(s.health_port, "/metrics", NULL, &metrics), 200);
	assert_non_null(strstr(metrics, "codefoundry_gateway_connections 1"));
	assert_non_null(strstr(metrics, "codefoundry_gateway_messages_total{type=\"invalid\"} 1"));
	assert_non_null(strstr(metrics, "codefoundry_gateway_faults_total{code=\"INVALID_PARAMS\"} 1"));
	/* those of sessions stand behind them, with nothing twice */
	assert_non_null(strstr(metrics, "codefoundry_sessions_receipts_total{ok=\"true\"} 0"));
	assert_null(strstr(strstr(metrics, "# HELP process_open_fds") + 1, "# HELP process_open_fds"));
	assert_int_equal(http_get(s.health_port, "/nothing", NULL, NULL), 404);
	database_count(&s, "ALTER TABLE jobs RENAME TO jobs_away");
	assert_int_equal(http_get(s.health_port, "/health", &health, NULL), 503);
	assert_string_equal(json_text(health, "status"), "unhealthy");
	assert_string_equal(json_text(health, "reason"), "database not readable");
	cJSON_Delete(health);
	database_count(&s, "ALTER TABLE jobs_away RENAME TO jobs");
	assert_int_equal(http_get(s.health_port, "/health", NULL, NULL), 200);
	drop(&p);
	stage_close(&s);
}

static void a_taken_port_is_named(void **unused)
{
	(void)unused;
	struct stage s;
	pid_t second = 0;
	int status = 0;
	stage_open(&s, NULL);
	assert_false(launch(&s, "gateway", &second)); /* the same ports again */
	assert_int_equal(waitpid(second, &status, 0), second);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 1);
	stage_close(&s);
}

int main(int argc, char **argv)
{
	if (argc > 1)
		return other_process(argv[1]);
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(frames_that_end_the_connection),
	        cmocka_unit_test(doors),
	        cmocka_unit_test(too_many_messages),
	        cmocka_unit_test(five_hundred_idle),
	        cmocka_unit_test(drain),
	        cmocka_unit_test(health_and_metrics),
	        cmocka_unit_test(a_taken_port_is_named),
	        cmocka_unit_test(bad_frames_keep_the_connection),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
