/* Room for sessions on a machine whose memory the test makes up. */
#include "sessions/admission.h"
#include "sessions/host.h"
#include "sessions/test_stack.h"
#include "sessions/usage.h"

#define MIB (INT64_C(1) << 20)
#define START(name) "{\"name\":\"" name "\"}"

static void available(struct test_state *t, int64_t mib)
{
	cleanup_free char *text = mem_printf("MemAvailable: %lld kB\n", (long long)mib << 10);
	test_put(t->st, "host/proc/meminfo", text);
}

/* Child processes see the same machine. */
static int room_setup(void **data)
{
	int rc = setup(data);
	struct test_state *t = *data;
	cleanup_free char *root = state_path(t->st, "host");
	setenv("CF_TEST_HOST", root, 1);
	host_root = getenv("CF_TEST_HOST");
	available(t, 8000);
	return rc;
}

static int room_teardown(void **data)
{
	host_root = "";
	unsetenv("CF_TEST_HOST");
	return teardown(data);
}

/* As if a session of ${stack} had used ${mib}, ${ago} ms ago. */
static void used(struct test_state *t, const char *stack, int64_t mib, int64_t ago)
{
	char uuid[ID_UUID_LEN + 1];
	id_uuid(uuid);
	assert_ok(db_run(t->st->db, err, "INSERT INTO session_usage VALUES (?, ?, ?, ?, ?)", "ttiii", uuid,
	                 stack, clock_now_ms() - ago, mib * MIB, mib * MIB));
}

static void planned(struct session_row *row, const char *engine, const char *spec)
{
	*row = (struct session_row){.engine = mem_strdup(engine), .spec = cJSON_Parse(spec)};
}

static void what_is_expected(void **data)
{
	static const struct {
		const char *engine, *spec;
		int64_t mib;
	} cases[] = {
	        {"process", "{\"services\":[\"a\",\"b\"]}", 16},
	        {"compose", "{\"services\":[\"a\",\"b\"],\"stack\":true}", 32},
	        {"compose", "{\"services\":[\"a\",\"b\"]}", 128},
	        {"compose", "{\"services\":[\"a\",\"b\"],\"checks\":{\"b\":{\"replicas\":3}}}", 256},
	        {"compose", "{\"services\":[\"a\"],\"checks\":{\"a\":{\"replicas\":99}}}", 1024},
	};
	struct test_state *t = *data;
	int64_t bytes = 0;
	int starts = -1;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		cleanup_row struct session_row row;
		planned(&row, cases[i].engine, cases[i].spec);
		assert_ok(usage_expect(t->st, &row, "x", &bytes, &starts, err));
		assert_int_equal(bytes, cases[i].mib * MIB);
		assert_int_equal(starts, 0);
	}
	cleanup_row struct session_row row;
	planned(&row, "compose", "{\"services\":[\"a\"]}");
	used(t, "y", 900, 10);
	used(t, "x", 40, 50); /* the most of the last five, and a quarter more */
	used(t, "x", 20, 10);
	assert_ok(usage_expect(t->st, &row, "x", &bytes, &starts, err));
	assert_int_equal(bytes, 50 * MIB);
	assert_int_equal(starts, 2);
	for (int i = 0; i < 5; i++)
		used(t, "x", 8, i);
	assert_ok(usage_expect(t->st, &row, "x", &bytes, &starts, err));
	assert_int_equal(bytes, 20 * MIB / 2);
	assert_int_equal(starts, 5);
	test_sessions_set(t, "SESSION_MEMORY_MB", "7");
	assert_ok(usage_expect(t->st, &row, "x", &bytes, &starts, err));
	assert_int_equal(bytes, 7 * MIB);
}

/* The same services of other files, or of another engine, are another stack. */
static void what_a_stack_is(void **data)
{
	static const struct {
		const char *engine, *spec, *plan, *is;
	} cases[] = {
	        {"process", "{\"services\":[\"a\",\"b\"]}", NULL, "process:a,b"},
	        {"compose", "{\"services\":[\"a\"]}", "{\"image\":\"x\",\"project\":{\"base\":{}}}",
	         "compose:a"},
	        {"compose", "{\"services\":[\"a\"]}", "{\"project\":{\"base\":{\"services\":{}}}}", NULL},
	        {"compose", "{\"services\":[\"a\"]}", "{\"project\":{\"base\":{\"services\":{\"x\":1}}}}",
	         NULL},
	};
	(void)data;
	cleanup_free char *before = mem_strdup("");
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		cleanup_row struct session_row row;
		planned(&row, cases[i].engine, cases[i].spec);
		row.plan = cases[i].plan ? cJSON_Parse(cases[i].plan) : NULL;
		cleanup_free char *stack = usage_stack(&row);
		if (cases[i].is)
			assert_string_equal(stack, cases[i].is);
		else
			assert_int_equal(strspn(stack + strlen("compose:"), "0123456789abcdef"), 16);
		assert_string_not_equal(stack, before);
		free(before);
		before = TAKE(stack);
	}
}

static void memory_is_asked_for(void **data)
{
	struct test_state *t = *data;
	available(t, 256 + 31); /* four services of our own are 32 */
	refused(t, "session.start", START("one"), ERR_QUOTA,
	        "session one needs 32 MiB of memory (assumed: it was never started here), and there are 31: "
	        "of 287 MiB "
	        "that this machine has available, 256 are kept free (SESSION_MEMORY_RESERVE_MB)");
	assert_nothing_left(t);
	available(t, 256 + 33);
	does(t, "session.start", START("one"));
	assert_int_equal(count(t, "SELECT promised_bytes / 1048576 FROM sessions"), 32);
	/* what it was promised and does not use is not given again, and who has it is said */
	available(t, 256 + 63);
	assert_ok(db_run(t->st->db, err,
	                 "INSERT INTO session_usage SELECT uuid, stack, ?, 1048576, 27262976 FROM sessions",
	                 "i", clock_now_ms()));
	refused(t, "session.start", START("two"), ERR_QUOTA,
	        "31 were promised to sessions that do not use them yet");
	refused(t, "session.start", START("two"), ERR_QUOTA, "alive: one (cli:test, running, 1 MiB, ");
	/* what it uses is no longer available */
	assert_ok(db_run(t->st->db, err, "UPDATE session_usage SET memory_bytes = 33554432", ""));
	does(t, "session.start", "{\"name\":\"two\",\"services\":[\"gateway\"]}");
	stop_clean(t, "one");
	stop_clean(t, "two");
	available(t, 10);
	test_sessions_set(t, "SESSION_MEMORY_RESERVE_MB", "0");
	does(t, "session.start", "{\"name\":\"three\",\"services\":[\"gateway\"]}");
	stop_clean(t, "three");
	assert_nothing_left(t);
}

/* A container, or a group of systemd's, may leave less than the machine. */
static void control_groups_count_for_processes(void **data)
{
	struct test_state *t = *data;
	test_put(t->st, "host/proc/self/cgroup", "0::/here\n");
	test_put(t->st, "host/sys/fs/cgroup/here/memory.max", "67108864\n");
	test_put(t->st, "host/sys/fs/cgroup/here/memory.current", "41943040\n");
	refused(t, "session.start", START("one"), ERR_QUOTA,
	        "of 24 MiB that this program's control group leaves, 0 are kept");
	test_put(t->st, "host/sys/fs/cgroup/here/memory.stat", "inactive_file 16777216\n");
	does(t, "session.start", START("one"));
	stop_clean(t, "one");
	assert_nothing_left(t);
}

static void the_last_room_is_given_once(void **data)
{
	struct test_state *t = *data;
	available(t, 256 + 40);
	pid_t a = spawn_job(enqueue(t, "session.start", START("one")), NULL),
	      b = spawn_job(enqueue(t, "session.start", START("two")), NULL);
	wait_for(a);
	wait_for(b);
	assert_int_equal(count(t, "SELECT count(*) FROM jobs WHERE state = 'done'"), 1);
	assert_int_equal(
	        count(t, "SELECT count(*) FROM jobs WHERE state = 'failed' AND error_code = 'quota'"), 1);
	assert_int_equal(count(t, "SELECT count(*) FROM sessions WHERE state = 'running'"), 1);
}

static void kept_ones_hold_nothing(void **data)
{
	struct test_state *t = *data;
	available(t, 256 + 40);
	does(t, "session.start", START("one"));
	does(t, "session.stop", "{\"name\":\"one\",\"keep\":true}");
	assert_int_equal(count(t, "SELECT promised_bytes FROM sessions"), 0);
	/* what it really used was read when it was stopped */
	assert_in_range(
	        count(t, "SELECT peak_bytes FROM session_usage WHERE stack LIKE 'process:telegram,%'"), MIB,
	        1000 * MIB);
	assert_ok(db_run(t->st->db, err, "UPDATE session_usage SET peak_bytes = 8388608", ""));
	available(t, 256 + 9);
	refused(t, "session.start", START("one"), ERR_QUOTA,
	        "needs 10 MiB of memory (learned from 1 start), and there are 9");
	assert_int_equal(count(t, "SELECT count(*) FROM sessions WHERE state = 'stopped'"), 1);
	available(t, 256 + 11);
	does(t, "session.start", START("one"));
	assert_int_equal(count(t, "SELECT promised_bytes / 1048576 FROM sessions"), 10);
	stop_clean(t, "one");
	assert_nothing_left(t);
}

static void running_ones_are_read(void **data)
{
	struct test_state *t = *data;
	does(t, "session.start", START("one"));
	assert_ok(usage_look(t->st, 1000, err));
	assert_int_equal(count(t, "SELECT count(*) FROM session_usage WHERE memory_bytes > 1048576"), 1);
	/* the most stays, what it uses now is replaced; not again before its time */
	assert_ok(db_run(t->st->db, err,
	                 "UPDATE session_usage SET memory_bytes = 1, peak_bytes = 1099511627776", ""));
	assert_ok(usage_look(t->st, 60000, err));
	assert_int_equal(count(t, "SELECT memory_bytes FROM session_usage"), 1);
	assert_ok(db_run(t->st->db, err, "UPDATE session_usage SET at = 1", ""));
	assert_ok(usage_look(t->st, 60000, err));
	assert_true(count(t, "SELECT memory_bytes FROM session_usage") > 1);
	assert_int_equal(count(t, "SELECT peak_bytes FROM session_usage"), INT64_C(1) << 40);
	stop_clean(t, "one");
}

static void what_is_remembered_is_bounded(void **data)
{
	struct test_state *t = *data;
	for (int i = 0; i < 9; i++)
		used(t, "same", 1, 100 + i);
	assert_ok(db_begin(t->st->db, err));
	for (int i = 0; i < 600; i++) {
		cleanup_free char *stack = mem_printf("other %d", i);
		used(t, stack, 1, 1000 + i);
	}
	assert_ok(db_commit(t->st->db, err));
	does(t, "session.start", "{\"name\":\"one\",\"services\":[\"gateway\"]}");
	stop_clean(t, "one");
	assert_int_equal(count(t, "SELECT count(*) FROM session_usage WHERE stack = 'same'"), 5);
	assert_in_range(count(t, "SELECT count(*) FROM session_usage"), 490, 501);
	assert_int_equal(count(t, "SELECT count(*) FROM session_usage WHERE stack = 'process:gateway'"), 1);
}

static void disk_is_asked_for(void **data)
{
	struct test_state *t = *data;
	test_sessions_set(t, "SESSION_DISK_RESERVE_MB", "16777216");
	refused(t, "session.start", START("one"), ERR_QUOTA, "MiB are free where the state directory is");
	refused(t, "session.start", START("one"), ERR_QUOTA,
	        "and 16777216 must be left to start a session (SESSION_DISK_RESERVE_MB)");
	assert_nothing_left(t);
	assert_ok(admission_disk(t->st, "it", "/nonexistent/at/all", err));
	struct err err = {0};
	assert_int_equal(admission_disk(t->st, "it", "/dev/null/at/all", &err), -1);
	assert_string_equal(err.msg, "it /dev/null/at/all: Not a directory");
	test_sessions_set(t, "SESSION_DISK_RESERVE_MB", "0"); /* not even looked at */
	assert_ok(admission_disk(t->st, "it", "/dev/null/at/all", err));
	/* who could make room is said */
	does(t, "session.start", "{\"name\":\"one\",\"services\":[\"gateway\"]}");
	test_sessions_set(t, "SESSION_DISK_RESERVE_MB", "16777216");
	refused(t, "session.start", START("two"), ERR_QUOTA, "; alive: one (cli:test, running, ");
	stop_clean(t, "one");
	assert_nothing_left(t);
}

#define R(name) cmocka_unit_test_setup_teardown(name, room_setup, room_teardown)

int main(int argc, char **argv)
{
	if (getenv("CF_TEST_HOST"))
		host_root = getenv("CF_TEST_HOST");
	if (argc > 1)
		return again_main(argc, argv);
	const struct CMUnitTest tests[] = {
	        R(what_is_expected),
	        R(what_a_stack_is),
	        R(memory_is_asked_for),
	        R(control_groups_count_for_processes),
	        R(the_last_room_is_given_once),
	        R(kept_ones_hold_nothing),
	        R(running_ones_are_read),
	        R(what_is_remembered_is_bounded),
	        R(disk_is_asked_for),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
