/* Sessions in containers while Docker hangs: it takes connections and never says a word. */
#include "core/clock.h"
#include "core/file.h"
#include "core/mem.h"
#include "sessions/session.h"
#include "sessions/store.h"
#include "sessions/test_sessions.h"
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#define SESSIONS 5
#define AT_MOST_MS                                                                                           \
	6000 /* one patience, and room on a loaded machine; unbounded it is 30 s for each session */

static int listener = -1;

static void insert(struct test_state *t, int i)
{
	struct session_row row = {.name = mem_printf("s%d", i),
	                          .owner = mem_strdup("tg:1"),
	                          .engine = mem_strdup("compose"),
	                          .dir = mem_strdup("/nowhere"),
	                          .state = SESSION_CREATING,
	                          .spec = cJSON_Parse("{\"services\":[\"gateway\",\"bot\"]}"),
	                          .created_at = clock_now_ms(),
	                          .expires_at = clock_now_ms() + 3600000};
	id_uuid(row.uuid);
	assert_ok(store_insert(t->st, &row, err));
	assert_ok(store_apply(t->st, &row, EVENT_LAUNCH, NULL, NULL, 0, err));
	assert_ok(store_apply(t->st, &row, EVENT_HEALTHY, NULL, NULL, 0, err));
	store_row_free(&row);
}

static int setup(void **data)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	struct test_state *t = mem_alloc(sizeof(*t));
	alarm(60);
	test_sessions_open(t);
	*data = t;
	for (int i = 0; i < SESSIONS; i++)
		insert(t, i);
	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s/docker", t->dir);
	cleanup_free char *host = mem_printf("unix://%s", addr.sun_path);
	listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	return bind(listener, (struct sockaddr *)&addr, sizeof(addr)) || listen(listener, 64) ||
	       setenv("DOCKER_HOST", host, 1);
}

static int teardown(void **data)
{
	close(listener);
	unsetenv("DOCKER_HOST");
	test_state_close(*data);
	free(*data);
	return 0;
}

static void assert_unknown(const cJSON *session)
{
	const cJSON *service;
	assert_string_equal(json_text(session, "state"), "running");
	assert_int_equal(cJSON_GetArraySize(json_at(session, "services")), 2);
	cJSON_ArrayForEach(service, json_at(session, "services"))
	        assert_string_equal(json_text(service, "state"), "unknown");
}

static void lists_are_shown_soon_and_truthfully(void **data)
{
	struct test_state *t = *data;
	struct err err = {0};
	int64_t begun = clock_mono_ms();
	cleanup_json cJSON *list = sessions_list(t->st, false, &err);
	assert_in_range(clock_mono_ms() - begun, 0, AT_MOST_MS);
	assert_int_equal(cJSON_GetArraySize(list), SESSIONS);
	const cJSON *session;
	cJSON_ArrayForEach(session, list) assert_unknown(session);
	begun = clock_mono_ms();
	cleanup_json cJSON *one = session_show(t->st, "s0", &err);
	assert_in_range(clock_mono_ms() - begun, 0, AT_MOST_MS);
	assert_unknown(one);
	begun = clock_mono_ms();
	cleanup_json cJSON *logs = session_logs(t->st, "s0", NULL, 5, &err);
	assert_in_range(clock_mono_ms() - begun, 0, AT_MOST_MS);
	assert_null(logs);
	assert_int_equal(err.code, ERR_ENGINE);
}

/* An empty table would say that nothing runs. */
static void use_is_an_error(void **data)
{
	struct test_state *t = *data;
	struct err err = {0};
	assert_null(session_stats(t->st, NULL, NULL, &err));
	assert_int_equal(err.code, ERR_ENGINE);
	assert_non_null(strstr(err.msg, "Docker does not answer"));
}

/* What the reaper cannot see it leaves alone, and the worker is not held up for minutes. */
static void nothing_unseen_is_reaped(void **data)
{
	struct test_state *t = *data;
	struct err err = {0};
	int64_t n = 0, begun = clock_mono_ms();
	assert_ok(session_reap_task.look(t->st, err));
	assert_in_range(clock_mono_ms() - begun, 0, 8000);
	assert_int_equal(db_get_int(t->st->db, &n, &err, "SELECT count(*) FROM jobs", ""), 0);
	assert_int_equal(n, 0);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
	        T(lists_are_shown_soon_and_truthfully),
	        T(use_is_an_error),
	        T(nothing_unseen_is_reaped),
	};
	return cmocka_run_group_tests_name("sessions/engine_silent", tests, NULL, NULL);
}
