/* Two installations on one host, with one engine and the same settings: each has its own database, and calls its sessions as the
 * other does. Neither ever touches, or is stuck with, what is the other's. */
#include "compose/image.h"
#include "core/net.h"
#include "sessions/test_compose.h"

#define SLEEPS "    image: '@'\n    stop_signal: SIGKILL\n    command: [sleep, '1000']\n"
#define ROUNDS 3

static const char file[] = "services:\n"
                           "  web:\n" SLEEPS "    ports: ['8080:80']\n"
                           "    volumes: ['data:/data']\n"
                           "  side:\n" SLEEPS "volumes:\n  data: {}\n";

struct pair {
	struct test_state *one, *two;
};

static void at(const struct test_state *t)
{
	setenv("STATE_DIR", t->dir, 1);
}

static int setup_pair(void **data, int (*setup_one)(void **))
{
	struct pair *p = mem_alloc(sizeof(*p));
	void *one = NULL, *two = NULL;
	int rc = setup_one(&one) || setup_one(&two);
	p->one = one;
	p->two = two;
	*data = p;
	return rc;
}

static int setup_pair_v1(void **data)
{
	return setup_pair(data, setup_v1);
}

static int setup_pair_v2(void **data)
{
	return setup_pair(data, setup_v2);
}

static int teardown_pair(void **data)
{
	struct pair *p = *data;
	void *one = p->one, *two = p->two;
	int left = compose_teardown(&one) + compose_teardown(&two);
	free(p);
	return left;
}

/* -- the same name -- */

static int64_t begin(struct test_state *t, pid_t *pid)
{
	at(t);
	int64_t job = enqueue_start(t, "demo", file);
	*pid = spawn_job(job, NULL);
	return job;
}

/* It is whole and nobody else's is in it, or it was refused and nothing of it is there. Returns whether it runs. */
static bool assert_whole_or_refused(struct test_state *t, int64_t job)
{
	struct job_row row = {0};
	assert_ok(jobs_get(t->st, job, &row, err));
	bool runs = row.state == JOB_DONE;
	if (!runs && !strstr(row.error ? row.error : "", "another installation"))
		fail_msg("%s", row.error ? row.error : job_state_name(row.state));
	job_row_free(&row);
	if (runs)
		assert_objects(t, 2, 1, 1);
	else
		assert_gone(t);
	return runs;
}

static void the_same_name_at_once(void **data)
{
	struct pair *p = *data;
	for (int i = 0; i < ROUNDS; i++) {
		pid_t pids[2];
		int64_t one = begin(p->one, &pids[0]), two = begin(p->two, &pids[1]);
		wait_for(pids[0]);
		wait_for(pids[1]);
		bool first = assert_whole_or_refused(p->one, one),
		     second = assert_whole_or_refused(p->two, two);
		assert_int_equal(first + second, 1);
		stop_gone(first ? p->one : p->two, "demo");
		assert_gone(p->one);
		assert_gone(p->two);
	}
}

static void a_name_that_is_being_taken(void **data)
{
	struct pair *p = *data;
	cleanup_close int claim = -1;
	cleanup_free char *what = mem_printf("project-%s-demo", getenv("COMPOSE_PROJECT_NAME"));
	assert_true(net_claim(what, &claim));
	start_refused(p->one, "demo", file, ERR_EXISTS, "is just starting a session of compose project");
	assert_gone(p->one);
	close(TAKE_FD(claim));
	cJSON_Delete(start(p->one, "demo", file));
	/* it is there for all to see, and no claim is needed any more */
	assert_true(net_claim(what, &claim));
	start_refused(p->two, "demo", file, ERR_EXISTS, "is of another installation on this machine");
	close(TAKE_FD(claim));
	does(p->one, "session.restart", "{\"name\":\"demo\"}");
	assert_objects(p->one, 2, 1, 1);
	stop_gone(p->one, "demo");
	assert_gone(p->one);
	assert_gone(p->two);
}

/* A tool that, asked to bring something up, says so through the FIFO beside it and hangs. */
static void slow_tool(struct test_state *t, const char *fifo)
{
	cleanup_free char *before = mem_strdup(getenv("PATH")), *dir = state_path(t->st, "files"),
	                  *tool = mem_printf("%s/docker-compose", dir),
	                  *path = mem_printf("%s:%s", dir, before),
	                  *script = mem_printf(
	                          "#!/bin/sh\ncase \" $* \" in *' up '*) echo > %s; exec sleep 100;; "
	                          "esac\nPATH=%s exec docker-compose \"$@\"\n",
	                          fifo, before);
	assert_ok(dir_make(dir, 0700, err));
	assert_ok(file_write(tool, script, strlen(script), 0700, err));
	assert_int_equal(mkfifo(fifo, 0600), 0);
	setenv("PATH", path, 1);
}

/* Killed, a job leaves its tool running, which goes on making what has the name. */
static void a_tool_left_alone_has_the_name(void **data)
{
	struct pair *p = *data;
	char c;
	pid_t pid;
	int claim = -1;
	cleanup_free char *what = mem_printf("project-%s-demo", getenv("COMPOSE_PROJECT_NAME")),
	                  *fifo = state_path(p->one->st, "fifo"), *before = mem_strdup(getenv("PATH"));
	slow_tool(p->one, fifo);
	begin(p->one, &pid);
	setenv("PATH", before, 1);
	cleanup_close int said = open(fifo, O_RDONLY | O_CLOEXEC);
	assert_int_equal(read(said, &c, 1), 1);
	kill(pid, SIGKILL);
	assert_true(WIFSIGNALED(wait_for(pid)));
	at(p->two);
	start_refused(p->two, "demo", file, ERR_EXISTS, "is just starting a session of compose project");
	at(p->one);
	does(p->one, "session.reap", "{}");
	assert_gone(p->one);
	assert_true(net_claim(what, &claim));
	close(claim);
}

/* Timers of both ring in the same second. */
static void a_generated_name_that_is_taken(void **data)
{
	struct pair *p = *data;
	cleanup_free char *args = with_file(p->one, "any", file);
	cleanup_json cJSON *unnamed = cJSON_Parse(args), *result = NULL;
	int claims[20];
	for (size_t i = 0; i < ARRAY_LEN(claims); i++) {
		cleanup_free char *what = mem_printf("name-%s-test-%lld", getenv("COMPOSE_PROJECT_NAME"),
		                                     (long long)clock_now_ms() / 1000 + (long long)i);
		assert_true(net_claim(what, &claims[i]));
	}
	cJSON_DeleteItemFromObject(unnamed, "name");
	cleanup_free char *text = json_print(unnamed);
	result = run(p->one, "session.start", text);
	const char *name = json_text(result, "name");
	assert_string_equal(name + strlen(name) - 2, "-2");
	stop_gone(p->one, name);
	for (size_t i = 0; i < ARRAY_LEN(claims); i++)
		close(claims[i]);
	assert_gone(p->one);
}

/* -- the same ports -- */

/* From the end of its containers on nobody has bound them. */
static void ports_of_one_that_ends(void **data)
{
	struct pair *p = *data;
	at(p->one);
	cJSON_Delete(start(p->one, "demo", file));
	held_of = p->one;
	held_looks = 0;
	step_hook = ports_are_held;
	does(p->one, "session.restart", "{\"name\":\"demo\"}");
	stop_gone(p->one, "demo");
	step_hook = NULL;
	assert_int_equal(held_looks, 4);
	assert_gone(p->one);
}

/* Session "demo" of the first is kept, and session "other" of the second is given its ports. */
static void lose_ports(struct pair *p)
{
	at(p->one);
	cJSON_Delete(start(p->one, "demo", file));
	does(p->one, "session.stop", "{\"name\":\"demo\",\"keep\":true}");
	at(p->two);
	cJSON_Delete(start(p->two, "other", file));
	assert_int_equal(count(p->two, "SELECT min(value) FROM leases WHERE kind = 'port'"),
	                 count(p->one, "SELECT min(value) FROM leases WHERE kind = 'port'"));
	at(p->one);
}

/* Nobody listens for a session that is kept: another installation may be given its ports, and starting it again and again is no help. */
static void ports_of_a_kept_one(void **data)
{
	struct pair *p = *data;
	lose_ports(p);
	refused(p->one, "session.start", "{\"name\":\"demo\"}", ERR_FAILED, "has the ports it had: end that");
	assert_int_equal(count(p->one, "SELECT count(*) FROM sessions WHERE state = 'stopped'"), 1);
	stop_gone(p->two, "other");
	does(p->one, "session.start", "{\"name\":\"demo\"}");
	assert_objects(p->one, 2, 1, 1);
	stop_gone(p->one, "demo");
	assert_gone(p->one);
	assert_gone(p->two);
}

/* What listens there now is not what it leaves. */
static void the_receipt_of_a_kept_one(void **data)
{
	struct pair *p = *data;
	lose_ports(p);
	stop_gone(p->one, "demo");
	assert_gone(p->one);
	assert_objects(p->two, 2, 1, 1);
	stop_gone(p->two, "other");
	assert_gone(p->two);
}

/* -- the same image -- */

static char *shared_image;

static void take_image(const char *step, bool done)
{
	cleanup_free char *name = docker_escape(shared_image), *path = mem_printf("/images/%s", name);
	if (!strcmp(step, "launch") && !done)
		assert_ok(docker_call("DELETE", path, NULL, 0, NULL, err));
}

/* The one of this program, which another installation of it removes just before the first container is made of it. */
static void an_image_that_is_taken(void **data)
{
	struct pair *p = *data;
	struct err err = {0};
	cleanup_free char *cache = state_path(p->one->st, COMPOSE_CACHE),
	                  *image = image_reference(cache, &err);
	assert_non_null(image);
	assert_ok(image_ensure(image, cache, NULL, err));
	cleanup_free char *yaml =
	        mem_printf("services:\n  web:\n    image: %s\n    stop_signal: SIGKILL\n"
	                   "    entrypoint: [busybox, sleep, '1000']\n    healthcheck: {disable: true}\n",
	                   image);
	shared_image = image;
	step_hook = take_image;
	cJSON *started = start(p->one, "demo", yaml);
	step_hook = NULL;
	cJSON_Delete(started);
	assert_objects(p->one, 1, 1, 0);
	stop_gone(p->one, "demo");
	assert_gone(p->one);
	/* with all its names */
	cleanup_free char *path = mem_printf("/images/%s?force=1", strchr(image, ':') + 1);
	assert_ok(docker_call("DELETE", path, NULL, 0, NULL, err));
}

#define PAIR_V1(name) cmocka_unit_test_setup_teardown(name, setup_pair_v1, teardown_pair)
#define PAIR_V2(name) ON_V2(name, setup_pair_v2, teardown_pair)

int main(int argc, char **argv)
{
	if (argc > 1)
		return again_main(argc, argv);
	const struct CMUnitTest tests[] = {
	        PAIR_V1(the_same_name_at_once),
	        PAIR_V2(the_same_name_at_once),
	        PAIR_V1(a_name_that_is_being_taken),
	        PAIR_V1(a_tool_left_alone_has_the_name),
	        PAIR_V1(a_generated_name_that_is_taken),
	        PAIR_V1(ports_of_one_that_ends),
	        PAIR_V1(ports_of_a_kept_one),
	        PAIR_V1(the_receipt_of_a_kept_one),
	        PAIR_V1(an_image_that_is_taken),
	        PAIR_V2(an_image_that_is_taken),
	};
	return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
