/* Sessions with real processes: this program starts itself again as supervisor, as every service of the stack, and as the
 * process of a job that is killed at a chosen step. */
#include "core/bell.h"
#include "core/mem.h"
#include "core/proc.h"
#include "sessions/cgroup.h"
#include "sessions/lease.h"
#include "sessions/marker.h"
#include "sessions/session.h"
#include "sessions/step.h"
#include "sessions/test_sessions.h"
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static const struct job_kind *const kinds[] = {&session_start_kind,   &session_stop_kind,
                                               &session_restart_kind, &session_extend_kind,
                                               &session_reap_kind,    NULL};

/* -- this program as a service: binds its ports, says that it is ready, waits for its end -- */

static const struct setting service_settings[] = {
        {.key = "TELEGRAM_PORT", .type = SETTING_INT, .max = 65535},
        {.key = "GATEWAY_PORT", .type = SETTING_INT, .max = 65535},
        {.key = "GATEWAY_HEALTH_PORT", .type = SETTING_INT, .max = 65535},
        {.key = "BOT_PORT", .type = SETTING_INT, .max = 65535},
        {.key = "GATEWAY_TOKEN", .type = SETTING_TEXT, .secret = true},
        {.key = "TELEGRAM_BOT_TOKEN", .type = SETTING_TEXT, .secret = true},
        {.key = "TELEGRAM_API_URL", .type = SETTING_URL, .allowed = "http|https"},
        {.key = "GATEWAY_URL", .type = SETTING_URL, .allowed = "ws|wss"},
        {.key = "GATEWAY_HOST", .type = SETTING_TEXT},
        {.key = "TELEGRAM_RATE_LIMIT", .type = SETTING_TEXT},
        {.key = "AUTHORIZED_USER_IDS", .type = SETTING_IDS},
        {.key = "ADMIN_USER_IDS", .type = SETTING_IDS},
        {.key = NULL},
};

static int bind_port(int64_t port)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0), one = 1;
	struct sockaddr_in a = {.sin_family = AF_INET,
	                        .sin_port = htons((uint16_t)port),
	                        .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	return bind(fd, (struct sockaddr *)&a, sizeof(a)) || listen(fd, 5);
}

static bool fault_file(const struct config *cfg, const char *name)
{
	cleanup_free char *path = mem_printf("%s/../../../fault-%s", config_text(cfg, "STATE_DIR"), name);
	return path_exists(path);
}

/* How the test wants ${service} to misbehave: the content of fault-<service> in the outer state directory. */
static void misbehave(const struct config *cfg, const char *service)
{
	cleanup_free char *path = mem_printf("%s/../../../fault-%s", config_text(cfg, "STATE_DIR"), service),
	                  *how = NULL;
	struct err err = {0};
	if (file_read(path, 100, &how, NULL, &err))
		return;
	if (!strcmp(how, "exit")) {
		fprintf(stderr, "cannot bind the port of %s\n", service);
		_exit(3);
	}
	if (!strcmp(how, "hang"))
		for (;;)
			pause();
	if (!strcmp(how, "daemon") && fork() == 0) {
		/* out of the group and of the session, deaf to TERM, but not out of the environment */
		setsid();
		signal(SIGTERM, SIG_IGN);
		for (;;)
			pause();
	}
}

/* A session made inside a session, and one inside that, which must be refused. */
static void nest(const struct config *cfg)
{
	struct state *st = NULL;
	struct err err = {0};
	cleanup_json cJSON *args = cJSON_Parse(
	                           "{\"name\":\"inner\",\"services\":[\"gateway\",\"test-runner\"]}"),
	                   *result = NULL;
	struct job_request request = {.kind = "session.start", .args = args, .owner = "cli:inner"};
	if (state_open(&st, cfg, &err) || jobs_run(st, kinds, &request, NULL, NULL, &result, &err)) {
		fprintf(stderr, "nested: %s\n", err.msg);
		/* the innermost is expected to be refused for want of ports, and goes on */
		if (err.code != ERR_QUOTA || !strstr(err.msg, "SESSION_PORT_RANGE is empty"))
			_exit(3);
		fprintf(stderr, "refused as it should be\n");
	}
	state_close(st);
}

static int service_main(const char *service, const char *env_file)
{
	static const struct setting *const tables[] = {state_settings,   worker_settings,
	                                               session_settings, test_other_settings,
	                                               service_settings, NULL};
	struct config *cfg = NULL;
	struct err err = {0};
	if (config_load(&cfg, tables, env_file, true, &err)) {
		fprintf(stderr, "%s\n", err.msg);
		return 3;
	}
	misbehave(cfg, service);
	if (!strcmp(service, "worker") &&
	    (fault_file(cfg, "nest") || config_int(cfg, "SESSION_MAX_COUNT") == 0))
		nest(cfg);
	static const char *const ports[][3] = {{"telegram", "TELEGRAM_PORT"},
	                                       {"gateway", "GATEWAY_PORT"},
	                                       {"gateway", "GATEWAY_HEALTH_PORT"},
	                                       {"bot", "BOT_PORT"}};
	for (size_t i = 0; i < ARRAY_LEN(ports); i++)
		if (!strcmp(ports[i][0], service) && bind_port(config_int(cfg, ports[i][1]))) {
			fprintf(stderr, "bind %s: %s\n", ports[i][1], strerror(errno));
			return 1;
		}
	printf("%s is up\n", service);
	fflush(stdout);
	proc_ready();
	for (;;)
		pause();
}

/* -- this program as the process of a job -- */

static char kill_step[64];
static bool kill_done;

static void kill_at(const char *step, bool done)
{
	if (!strcmp(step, kill_step) && done == kill_done)
		raise(SIGKILL);
}

static int open_quiet(struct test_state *t)
{
	static const struct setting *const tables[] = {state_settings, worker_settings, session_settings,
	                                               test_other_settings, NULL};
	struct err err = {0};
	return config_load(&t->cfg, tables, NULL, false, &err) || state_open(&t->st, t->cfg, &err);
}

static int exec_main(const char *id, struct test_state *t, struct err *err)
{
	const char *kill_text = getenv("CF_TEST_KILL");
	if (kill_text && sscanf(kill_text, "%63[^.]", kill_step) == 1) {
		kill_done = strstr(kill_text, ".done");
		step_hook = kill_at;
	}
	return jobs_exec(t->st, kinds, atoll(id), err);
}

static int again_main(int argc, char **argv)
{
	struct test_state t = {0};
	struct err err = {0};
	bool supervise = argc > 3 && !strcmp(argv[1], "session"), job = argc > 3 && !strcmp(argv[1], "job");
	if (!supervise && !job)
		return service_main(argv[1], argv[3]);
	int rc = open_quiet(&t);
	if (rc == 0)
		rc = supervise ? session_supervise(t.st, argv[3], &err) : exec_main(argv[3], &t, &err);
	if (rc)
		fprintf(stderr, "%s\n", err.msg);
	state_close(t.st);
	config_free(t.cfg);
	return rc != 0;
}

/* -- helpers -- */

static int setup(void **data)
{
	struct test_state *t = mem_alloc(sizeof(*t));
	test_sessions_open(t);
	*data = t;
	return 0;
}

static int64_t count(struct test_state *t, const char *sql)
{
	int64_t n = -1;
	assert_ok(db_get_int(t->st->db, &n, err, sql, ""));
	return n;
}

static int processes(struct test_state *t)
{
	cleanup_free struct marker_proc *list = NULL;
	struct err err = {0};
	return marker_find(t->st->install, NULL, &list, &err);
}

static void assert_nothing_left(struct test_state *t)
{
	cleanup_free char *dir = state_path(t->st, "sessions");
	assert_int_equal(processes(t), 0);
	assert_true(tree_count(dir) <= 1);
	assert_int_equal(count(t, "SELECT count(*) FROM leases"), 0);
	assert_int_equal(count(t, "SELECT count(*) FROM session_steps"), 0);
	assert_int_equal(count(t, "SELECT count(*) FROM sessions WHERE state <> 'failed'"), 0);
	assert_int_equal(count(t, "SELECT count(*) FROM receipts WHERE ok = 0"), 0);
	cleanup_json cJSON *groups = json_array();
	cgroup_find(t->st->install, groups);
	assert_int_equal(cJSON_GetArraySize(groups), 0);
}

static int teardown(void **data)
{
	struct test_state *t = *data;
	struct err err = {0};
	int left = marker_kill(t->st->install, NULL, 0, &err);
	while (waitpid(-1, NULL, WNOHANG) > 0)
		;
	test_state_close(t);
	free(t);
	return left;
}

static int run_as(struct test_state *t, const char *kind, const char *owner, const char *args, cJSON **result,
                  struct err *err)
{
	cleanup_json cJSON *a = cJSON_Parse(args);
	assert_non_null(a);
	struct job_request request = {.kind = kind, .args = a, .owner = owner};
	return jobs_run(t->st, kinds, &request, NULL, NULL, result, err);
}

static cJSON *run(struct test_state *t, const char *kind, const char *args)
{
	cJSON *result = NULL;
	assert_ok(run_as(t, kind, "cli:test", args, &result, err));
	assert_non_null(result);
	return result;
}

static void does(struct test_state *t, const char *kind, const char *args)
{
	cJSON_Delete(run(t, kind, args));
}

static void refused(struct test_state *t, const char *kind, const char *args, enum err_code code,
                    const char *text)
{
	struct err err = {0};
	cJSON *result = NULL;
	assert_int_equal(run_as(t, kind, "cli:test", args, &result, &err), -1);
	if (err.code != code || !strstr(err.msg, text))
		fail_msg("%s %s: %s: %s (expected %s: %s)", kind, args, err_name(err.code), err.msg,
		         err_name(code), text);
}

static void assert_clean(const cJSON *receipt)
{
	static const char *const keys[] = {"processes", "ports", "files", "leases", "rows"};
	assert_true(json_bool(receipt, "ok", false));
	for (size_t i = 0; i < ARRAY_LEN(keys); i++)
		assert_int_equal(json_int(receipt, keys[i], -1), 0);
}

static void stop_clean(struct test_state *t, const char *name)
{
	cleanup_free char *args = mem_printf("{\"name\":\"%s\"}", name);
	cleanup_json cJSON *result = run(t, "session.stop", args);
	assert_clean(json_at(result, "receipt"));
}

static void fault(struct test_state *t, const char *service, const char *how)
{
	cleanup_free char *path = state_path(t->st, "fault-%s", service);
	if (how)
		assert_ok(file_write(path, how, strlen(how), 0600, err));
	else
		unlink(path);
}

static int64_t enqueue(struct test_state *t, const char *kind, const char *args)
{
	int64_t id = 0;
	cleanup_json cJSON *a = cJSON_Parse(args);
	struct job_request request = {.kind = kind, .args = a, .owner = "cli:test"};
	assert_ok(jobs_enqueue(t->st, &request, &id, NULL, err));
	return id;
}

static pid_t spawn_job(int64_t id, const char *kill_text)
{
	cleanup_free char *number = mem_printf("%lld", (long long)id);
	cleanup_free char *kill_env = mem_printf("CF_TEST_KILL=%s", kill_text ? kill_text : "");
	const char *argv[] = {proc_self(), "job", "exec", number, NULL};
	const char *env[] = {kill_env, NULL};
	struct proc_spec spec = PROC_SPEC_INIT;
	spec.argv = argv;
	spec.env = env;
	pid_t pid = 0;
	assert_ok(proc_spawn(&spec, &pid, err));
	return pid;
}

static int wait_for(pid_t pid)
{
	int status = 0;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

static void job_ended(struct test_state *t, int64_t id, enum job_state state)
{
	struct job_row row = {0};
	assert_ok(jobs_get(t->st, id, &row, err));
	if (row.state != state)
		fail_msg("job %lld is %s: %s", (long long)id, job_state_name(row.state),
		         row.error ? row.error : "");
	job_row_free(&row);
}

static bool answers(const char *url)
{
	struct sockaddr_in a = {.sin_family = AF_INET,
	                        .sin_port = htons((uint16_t)atoi(strrchr(url, ':') + 1)),
	                        .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	cleanup_close int fd = socket(AF_INET, SOCK_STREAM, 0);
	return connect(fd, (struct sockaddr *)&a, sizeof(a)) == 0;
}

static bool is_supervisor(pid_t pid, const char *name)
{
	char path[64], cmdline[512] = "";
	snprintf(path, sizeof(path), "/proc/%d/cmdline", (int)pid);
	ssize_t len = file_peek(path, cmdline, sizeof(cmdline));
	return len > 0 && memmem(cmdline, (size_t)len, "supervise", 9) &&
	       (!name || memmem(cmdline, (size_t)len, name, strlen(name) + 1));
}

static const cJSON *only_removed(const cJSON *reaped)
{
	assert_int_equal(cJSON_GetArraySize(json_at(reaped, "removed")), 1);
	return json_at(reaped, "removed")->child;
}

/* -- tests -- */

static void start_use_stop(void **data)
{
	struct test_state *t = *data;
	cleanup_json cJSON *r = run(t, "session.start", "{\"name\":\"demo\"}");
	print_message("healthy after %lld ms\n", (long long)json_int(r, "ready_ms", -1));
	assert_string_equal(json_text(r, "name"), "demo");
	assert_string_equal(json_text(r, "engine"), "process");
	assert_int_equal(cJSON_GetArraySize(json_at(r, "endpoints")), 4);
	const cJSON *e;
	cJSON_ArrayForEach(e, json_at(r, "endpoints")) assert_true(answers(json_text(e, "url")));

	struct err err = {0};
	cleanup_json cJSON *list = sessions_list(t->st, false, &err);
	assert_int_equal(cJSON_GetArraySize(list), 1);
	assert_string_equal(json_text(list->child, "state"), "running");
	assert_int_equal(cJSON_GetArraySize(json_at(list->child, "services")), 4);
	const cJSON *s;
	cJSON_ArrayForEach(s, json_at(list->child, "services"))
	        assert_string_equal(json_text(s, "state"), "ready");
	cleanup_free char *owner = session_owner(t->st, "demo", &err);
	assert_string_equal(owner, "cli:test");

	cleanup_json cJSON *logs = session_logs(t->st, "demo", NULL, 10, &err);
	assert_int_equal(cJSON_GetArraySize(logs), 4);
	cleanup_json cJSON *gateway = session_logs(t->st, "demo", "gateway", 10, &err);
	assert_int_equal(cJSON_GetArraySize(gateway), 1);
	assert_null(session_logs(t->st, "demo", "nonsense", 10, &err));
	assert_int_equal(err.code, ERR_NOT_FOUND);

	stop_clean(t, "demo");
	assert_nothing_left(t);
	err_clear(&err);
	cleanup_json cJSON *gone = session_show(t->st, "demo", &err);
	assert_string_equal(json_text(gone, "state"), "removed");
	assert_clean(json_at(gone, "receipt"));
	refused(t, "session.stop", "{\"name\":\"demo\"}", ERR_NOT_FOUND, "was removed");
}

static void private_files(void **data)
{
	struct test_state *t = *data;
	does(t, "session.start", "{\"name\":\"demo\"}");
	static const char *const files[] = {"env", "plan.json", "state/telegram.json", "supervisor.log"};
	struct stat st;
	for (size_t i = 0; i < ARRAY_LEN(files); i++) {
		cleanup_free char *path = state_path(t->st, "sessions/demo/%s", files[i]);
		assert_int_equal(stat(path, &st), 0);
		assert_int_equal(st.st_mode & 0777, 0600);
	}
	cleanup_free char *dir = state_path(t->st, "sessions/demo");
	assert_int_equal(stat(dir, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0700);

	struct err err = {0};
	cleanup_json cJSON *target = session_target(t->st, "demo", &err);
	assert_string_equal(json_text(target, "dir"), dir);
	assert_string_equal(json_text(target, "env.TELEGRAM_RATE_LIMIT"), "off");
	assert_string_equal(json_text(target, "env.TELEGRAM_BOT_TOKEN"),
	                    json_text(target, "credentials.token"));
	assert_string_equal(json_text(target, "env.SESSION_MAX_COUNT"), "3");
	assert_string_equal(json_text(target, "env.SESSION_NESTED_PORTS"), "0");
	stop_clean(t, "demo");
}

static void bad_names(void **data)
{
	struct test_state *t = *data;
	static const char *const bad[] = {"../etc", "a b", "", "-x", "Demo", "demo\\n", "démo", "a/b", "."};
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		cleanup_free char *args = mem_printf("{\"name\":\"%s\"}", bad[i]);
		refused(t, "session.start", args, ERR_INVALID, "is no session name");
		refused(t, "session.stop", args, ERR_INVALID, "is no session name");
	}
	char args[256] = "{\"name\":\"";
	memset(args + 9, 'a', 200);
	memcpy(args + 209, "\"}", 3);
	refused(t, "session.start", args, ERR_INVALID, "is no session name");
	refused(t, "session.start", "{\"name\":\"ok\",\"services\":[\"db\"]}", ERR_INVALID, "no service db");
	refused(t, "session.start", "{\"name\":\"ok\",\"services\":[7]}", ERR_INVALID, "no service");
	refused(t, "session.stop", "{}", ERR_INVALID, "is no session name");
	refused(t, "session.extend", "{\"name\":\"ok\",\"minutes\":-1}", ERR_INVALID, "minutes");
	refused(t, "session.extend", "{\"name\":\"ok\",\"minutes\":5}", ERR_NOT_FOUND, "no session ok");
	assert_nothing_left(t);
}

static void one_service_only(void **data)
{
	struct test_state *t = *data;
	cleanup_json cJSON *r = run(t, "session.start", "{\"name\":\"lazy\",\"services\":[\"gateway\"]}");
	assert_int_equal(cJSON_GetArraySize(json_at(r, "endpoints")), 2);
	assert_int_equal(processes(t), 2); /* its supervisor and the gateway */
	stop_clean(t, "lazy");
	assert_nothing_left(t);
}

static void names_are_made(void **data)
{
	struct test_state *t = *data;
	cleanup_json cJSON *a = run(t, "session.start", "{\"services\":[\"gateway\"]}"),
	                   *b = run(t, "session.start", "{\"services\":[\"gateway\"]}");
	assert_int_equal(strncmp(json_text(a, "name"), "test-", 5), 0);
	assert_string_not_equal(json_text(a, "name"), json_text(b, "name"));
	stop_clean(t, json_text(a, "name"));
	stop_clean(t, json_text(b, "name"));
	assert_nothing_left(t);
}

static void in_use_and_quota(void **data)
{
	struct test_state *t = *data;
	does(t, "session.start", "{\"name\":\"one\",\"services\":[\"gateway\"]}");
	refused(t, "session.start", "{\"name\":\"one\"}", ERR_EXISTS,
	        "session one exists: running, owned by cli:test");
	test_sessions_set(t, "SESSION_MAX_COUNT", "1");
	refused(t, "session.start", "{\"name\":\"two\"}", ERR_QUOTA, "one (cli:test, running");
	test_sessions_set(t, "SESSION_MAX_COUNT", "10");
	test_sessions_set(t, "SESSION_MAX_PER_USER", "1");
	refused(t, "session.start", "{\"name\":\"two\"}", ERR_QUOTA, "SESSION_MAX_PER_USER");
	struct err err = {0};
	cleanup_json cJSON *other = NULL;
	assert_int_equal(run_as(t, "session.start", "tg:7", "{\"name\":\"two\",\"services\":[\"gateway\"]}",
	                        &other, &err),
	                 0);
	stop_clean(t, "one");
	stop_clean(t, "two");
	test_sessions_set(t, "SESSION_PORT_RANGE", "0-0");
	refused(t, "session.start", "{\"name\":\"three\"}", ERR_QUOTA, "SESSION_PORT_RANGE");
	assert_nothing_left(t);
}

static void the_same_twice_at_once(void **data)
{
	struct test_state *t = *data;
	int64_t a = enqueue(t, "session.start", "{\"name\":\"twin\"}"),
	        b = enqueue(t, "session.start", "{\"name\":\"twin\"}");
	pid_t pa = spawn_job(a, NULL), pb = spawn_job(b, NULL);
	wait_for(pa);
	wait_for(pb);
	assert_int_equal(count(t, "SELECT count(*) FROM jobs WHERE state = 'done'"), 1);
	assert_int_equal(
	        count(t, "SELECT count(*) FROM jobs WHERE state = 'failed' AND error_code = 'exists'"), 1);
	assert_int_equal(count(t, "SELECT count(*) FROM sessions WHERE state = 'running'"), 1);
	assert_int_equal(processes(t), 5);
	stop_clean(t, "twin");
	assert_nothing_left(t);
}

static void many_at_once(void **data)
{
	struct test_state *t = *data;
	pid_t pids[10];
	for (int i = 0; i < 10; i++)
		pids[i] = spawn_job(enqueue(t, "session.start", "{}"), NULL);
	for (int i = 0; i < 10; i++)
		wait_for(pids[i]);
	assert_int_equal(count(t, "SELECT count(*) FROM sessions WHERE state = 'running'"), 10);
	assert_int_equal(processes(t), 50);
	refused(t, "session.start", "{}", ERR_QUOTA, "10 of 10");
	struct err err = {0};
	cleanup_json cJSON *list = sessions_list(t->st, false, &err);
	const cJSON *s;
	cJSON_ArrayForEach(s, list)
	{
		cleanup_free char *args = mem_printf("{\"name\":\"%s\"}", json_text(s, "name"));
		spawn_job(enqueue(t, "session.stop", args), NULL);
	}
	while (wait(NULL) > 0)
		;
	assert_int_equal(count(t, "SELECT count(*) FROM receipts WHERE ok = 1"), 10);
	assert_nothing_left(t);
}

static void a_failed_start_leaves_its_reason(void **data)
{
	struct test_state *t = *data;
	fault(t, "gateway", "exit");
	refused(t, "session.start", "{\"name\":\"bad\"}", ERR_FAILED, "service gateway failed");
	assert_nothing_left(t);
	struct err err = {0};
	cleanup_json cJSON *shown = session_show(t->st, "bad", &err);
	assert_string_equal(json_text(shown, "state"), "failed");
	assert_non_null(strstr(json_text(shown, "error"), "cannot bind the port of gateway"));
	refused(t, "session.stop", "{\"name\":\"worse\"}", ERR_NOT_FOUND, "no session worse");
	/* the name is free, and the old reason goes */
	fault(t, "gateway", NULL);
	does(t, "session.start", "{\"name\":\"bad\"}");
	assert_int_equal(count(t, "SELECT count(*) FROM sessions"), 1);
	stop_clean(t, "bad");

	fault(t, "bot", "hang");
	test_sessions_set(t, "SESSION_START_TIMEOUT", "1");
	refused(t, "session.start", "{\"name\":\"slow\"}", ERR_TIMEOUT, "still waiting for telegram-bot");
	assert_nothing_left(t);
	cleanup_json cJSON *forgotten = run(t, "session.stop", "{\"name\":\"slow\"}");
	assert_clean(json_at(forgotten, "receipt"));
	assert_int_equal(count(t, "SELECT count(*) FROM sessions"), 0);
}

static void cancel_and_stop_during_a_start(void **data)
{
	struct test_state *t = *data;
	fault(t, "bot", "hang");
	for (int stop = 0; stop < 2; stop++) {
		int64_t id = enqueue(t, "session.start", "{\"name\":\"slow\"}");
		pid_t pid = spawn_job(id, NULL);
		struct bell *bell = NULL;
		assert_ok(bell_open(&bell, t->dir, err));
		while (!count(t, "SELECT count(*) FROM session_steps WHERE step = 'healthy'"))
			bell_wait(bell, 100);
		bell_close(bell);
		if (stop)
			stop_clean(t, "slow");
		else
			assert_ok(jobs_cancel(t->st, id, "cli:test", err));
		wait_for(pid);
		job_ended(t, id, JOB_CANCELLED);
		assert_nothing_left(t);
		assert_int_equal(count(t, "SELECT count(*) FROM sessions"), 0);
	}
}

static void what_escapes_is_killed(void **data)
{
	struct test_state *t = *data;
	fault(t, "worker", "daemon");
	does(t, "session.start", "{\"name\":\"demo\"}");
	assert_int_equal(processes(t), 6);
	stop_clean(t, "demo");
	assert_nothing_left(t);
}

static void nested_ones_die_with_it(void **data)
{
	struct test_state *t = *data;
	fault(t, "nest", "1");
	does(t, "session.start", "{\"name\":\"outer\"}");
	struct err err = {0};
	assert_int_equal(processes(t), 8); /* 5 and, inside, supervisor, gateway, worker */
	cleanup_free char *inner = state_path(t->st,
	                                      "sessions/outer/state/sessions/inner/log/test-runner.log"),
	                  *log = NULL;
	assert_ok(file_read(inner, 10000, &log, NULL, err));
	assert_non_null(strstr(log, "refused as it should be"));
	err_clear(&err);
	stop_clean(t, "outer");
	assert_nothing_left(t);
	/* and when the outer supervisor is killed, the inner one is an orphan that the reaper finds */
	does(t, "session.start", "{\"name\":\"outer\"}");
	cleanup_free struct marker_proc *list = NULL;
	int n = marker_find(t->st->install, NULL, &list, &err);
	for (int i = 0; i < n; i++)
		if (is_supervisor(list[i].id.pid, "outer"))
			proc_signal(&list[i].id, SIGKILL);
	/* its death is seen by the lock being free */
	cleanup_free char *lock = state_path(t->st, "sessions/outer/supervisor.lock");
	int fd = open(lock, O_RDWR);
	assert_int_equal(flock(fd, LOCK_EX), 0);
	close(fd);
	cleanup_json cJSON *reaped = run(t, "session.reap", "{}");
	assert_string_equal(json_text(only_removed(reaped), "reason"), "crashed");
	assert_nothing_left(t);
}

static void services(void **data)
{
	struct test_state *t = *data;
	cleanup_json cJSON *r = run(t, "session.start", "{\"name\":\"demo\"}");
	struct err err = {0};
	assert_ok(session_service(t->st, "demo", "gateway", "restart", err));
	assert_ok(session_service(t->st, "demo", "gateway", "kill", err));
	assert_ok(session_service(t->st, "demo", "telegram-bot", "stop", err));
	cleanup_json cJSON *shown = session_show(t->st, "demo", &err);
	assert_string_equal(json_text(cJSON_GetArrayItem(json_at(shown, "services"), 2), "state"), "stopped");
	assert_ok(session_service(t->st, "demo", "telegram-bot", "start", err));
	assert_int_equal(session_service(t->st, "demo", "nonsense", "stop", &err), -1);
	assert_int_equal(err.code, ERR_NOT_FOUND);
	assert_int_equal(session_service(t->st, "demo", "gateway", "paint", &err), -1);
	assert_int_equal(err.code, ERR_INVALID);
	does(t, "session.restart", "{\"name\":\"demo\",\"service\":\"gateway\"}");
	cleanup_json cJSON *all = run(t, "session.restart", "{\"name\":\"demo\"}");
	assert_true(cJSON_Compare(json_at(r, "endpoints"), json_at(all, "endpoints"), true));
	stop_clean(t, "demo");
	assert_nothing_left(t);
}

static void kept_and_resumed(void **data)
{
	struct test_state *t = *data;
	cleanup_json cJSON *r = run(t, "session.start", "{\"name\":\"demo\"}");
	cleanup_json cJSON *kept = run(t, "session.stop", "{\"name\":\"demo\",\"keep\":true}");
	assert_null(json_at(kept, "receipt"));
	assert_int_equal(processes(t), 0);
	assert_int_equal(count(t, "SELECT count(*) FROM leases"), 16);
	struct err err = {0};
	assert_null(session_target(t->st, "demo", &err));
	assert_int_equal(err.code, ERR_STATE);
	/* a resume that goes wrong keeps it */
	fault(t, "gateway", "exit");
	refused(t, "session.start", "{\"name\":\"demo\"}", ERR_FAILED, "service gateway failed");
	assert_int_equal(count(t, "SELECT count(*) FROM sessions WHERE state = 'stopped'"), 1);
	fault(t, "gateway", NULL);
	cleanup_json cJSON *again = run(t, "session.start", "{\"name\":\"demo\"}");
	assert_true(cJSON_Compare(json_at(r, "endpoints"), json_at(again, "endpoints"), true));
	stop_clean(t, "demo");
	assert_nothing_left(t);
}

static void extend(void **data)
{
	struct test_state *t = *data;
	cleanup_json cJSON *r = run(t, "session.start", "{\"name\":\"demo\",\"services\":[\"gateway\"]}");
	int64_t first = json_int(r, "expires_at", 0);
	cleanup_json cJSON *e = run(t, "session.extend", "{\"name\":\"demo\",\"minutes\":30}");
	assert_int_equal(json_int(e, "expires_at", 0), first + 30 * 60000);
	cleanup_json cJSON *most = run(t, "session.extend", "{\"name\":\"demo\",\"minutes\":5000}");
	assert_int_equal(json_int(most, "expires_at", 0) - json_int(r, "expires_at", 0), 23 * 3600000);
	refused(t, "session.extend", "{\"name\":\"demo\",\"minutes\":1}", ERR_QUOTA, "cannot live longer");
	session_touch(t->st, "demo");
	session_touch(t->st, "nobody");
	assert_int_equal(count(t, "SELECT expires_at = hard_expires_at FROM sessions"), 1);
	stop_clean(t, "demo");
}

/* -- killed at every recorded step -- */

static const char *const up_points[] = {"directory", "directory.done", "prepare", "prepare.done",
                                        "launch",    "launch.done",    "healthy", "healthy.done"};
static const char *const down_points[] = {"services", "services.done", "files", "files.done"};

static void killed(struct test_state *t, int64_t id, const char *point)
{
	int status = wait_for(spawn_job(id, point));
	if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL)
		fail_msg("job was not killed at %s", point);
	assert_ok(jobs_recover(t->st, kinds, err) < 0);
}

static void killed_start_is_finished(void **data)
{
	struct test_state *t = *data;
	for (size_t i = 0; i < ARRAY_LEN(up_points); i++) {
		int64_t id = enqueue(t, "session.start", "{\"name\":\"demo\"}");
		killed(t, id, up_points[i]);
		assert_int_equal(wait_for(spawn_job(id, NULL)), 0);
		job_ended(t, id, JOB_DONE);
		assert_int_equal(processes(t), 5);
		stop_clean(t, "demo");
		assert_nothing_left(t);
	}
}

static void killed_start_is_undone(void **data)
{
	struct test_state *t = *data;
	for (size_t i = 0; i < ARRAY_LEN(up_points); i++) {
		int64_t id = enqueue(t, "session.start", "{}");
		int status = wait_for(spawn_job(id, up_points[i]));
		assert_true(WIFSIGNALED(status));
		struct err ignored = {0};
		jobs_cancel(t->st, id, "cli:test", &ignored);
		assert_ok(jobs_recover(t->st, kinds, err) < 0);
		int after = wait_for(spawn_job(id, NULL));
		(void)after;
		job_ended(t, id, JOB_CANCELLED);
		assert_nothing_left(t);
	}
}

static void killed_stop_is_finished(void **data)
{
	struct test_state *t = *data;
	for (size_t i = 0; i < ARRAY_LEN(down_points); i++) {
		does(t, "session.start", "{\"name\":\"demo\"}");
		int64_t id = enqueue(t, "session.stop", "{\"name\":\"demo\"}");
		killed(t, id, down_points[i]);
		assert_int_equal(wait_for(spawn_job(id, NULL)), 0);
		job_ended(t, id, JOB_DONE);
		assert_nothing_left(t);
	}
}

static void killed_resume_keeps_the_session(void **data)
{
	struct test_state *t = *data;
	does(t, "session.start", "{\"name\":\"demo\"}");
	static const char *const points[] = {"launch", "launch.done", "healthy", "healthy.done"};
	for (size_t i = 0; i < ARRAY_LEN(points); i++) {
		does(t, "session.stop", "{\"name\":\"demo\",\"keep\":true}");
		int64_t id = enqueue(t, "session.start", "{\"name\":\"demo\"}");
		int status = wait_for(spawn_job(id, points[i]));
		assert_true(WIFSIGNALED(status));
		/* the reaper stops it, but does not remove it; its job, run again, resumes it */
		cleanup_json cJSON *reaped = run(t, "session.reap", "{}");
		assert_int_equal(cJSON_GetArraySize(json_at(reaped, "removed")), 0);
		assert_ok(jobs_recover(t->st, kinds, err) < 0);
		assert_int_equal(wait_for(spawn_job(id, NULL)), 0);
		job_ended(t, id, JOB_DONE);
		assert_int_equal(processes(t), 5);
	}
	stop_clean(t, "demo");
	assert_nothing_left(t);
}

/* -- reaping -- */

static void expire(struct test_state *t, const char *set)
{
	cleanup_free char *sql = mem_printf("UPDATE sessions SET %s", set);
	assert_ok(db_run(t->st->db, err, sql, ""));
}

static void reap_expired(void **data)
{
	struct test_state *t = *data;
	does(t, "session.start", "{\"name\":\"old\",\"services\":[\"gateway\"]}");
	does(t, "session.start", "{\"name\":\"young\",\"services\":[\"gateway\"]}");
	expire(t, "expires_at = 1, hard_expires_at = 1 WHERE name = 'old'");
	cleanup_json cJSON *dry = run(t, "session.reap", "{\"dry_run\":true}");
	assert_string_equal(json_text(only_removed(dry), "name"), "old");
	assert_int_equal(json_int(dry, "kept", -1), 1);
	assert_int_equal(processes(t), 4);
	cleanup_json cJSON *r = run(t, "session.reap", "{}");
	assert_string_equal(json_text(only_removed(r), "reason"), "expired");
	assert_clean(json_at(only_removed(r), "receipt"));
	assert_int_equal(json_int(r, "kept", -1), 1);
	assert_int_equal(processes(t), 2);

	/* idle by the clock, but somebody wrote in it */
	expire(t, "expires_at = 1, used_at = 1");
	cleanup_free char *db = state_path(t->st, "sessions/young/state/telegram.db");
	assert_ok(file_write(db, "x", 1, 0600, err));
	cleanup_json cJSON *used = run(t, "session.reap", "{}");
	assert_int_equal(cJSON_GetArraySize(json_at(used, "removed")), 0);
	unlink(db);
	expire(t, "expires_at = 1, used_at = 1");
	cleanup_json cJSON *idle = run(t, "session.reap", "{}");
	assert_string_equal(json_text(only_removed(idle), "reason"), "idle");
	assert_nothing_left(t);
}

/* Kill the supervisor, which is the marked process that is no service, and wait until all that was its is gone. */
static void kill_supervisor(struct test_state *t)
{
	cleanup_free struct marker_proc *list = NULL;
	struct err err = {0};
	int n = marker_find(t->st->install, NULL, &list, &err);
	for (int i = 0; i < n; i++) {
		if (is_supervisor(list[i].id.pid, NULL))
			proc_signal(&list[i].id, SIGKILL);
	}
	for (int i = 0; i < n; i++) {
		cleanup_close int fd = (int)syscall(SYS_pidfd_open, list[i].id.pid, 0);
		struct pollfd p = {.fd = fd, .events = POLLIN};
		if (fd >= 0)
			assert_int_equal(poll(&p, 1, 10000), 1);
	}
}

static void reap_crashed(void **data)
{
	struct test_state *t = *data;
	does(t, "session.start", "{\"name\":\"demo\"}");
	kill_supervisor(t);
	assert_int_equal(processes(t), 0); /* none of its services outlives it */
	assert_ok(session_reap_task.look(t->st, err));
	assert_ok(session_reap_task.look(t->st, err));
	assert_int_equal(
	        count(t, "SELECT count(*) FROM jobs WHERE kind = 'session.reap' AND state = 'queued'"), 1);
	int64_t id = count(t, "SELECT max(id) FROM jobs");
	assert_int_equal(wait_for(spawn_job(id, NULL)), 0);
	job_ended(t, id, JOB_DONE);
	assert_nothing_left(t);
	assert_int_equal(count(t, "SELECT count(*) FROM receipts WHERE reason = 'crashed' AND ok = 1"), 1);
}

static void reap_orphans(void **data)
{
	struct test_state *t = *data;
	does(t, "session.start", "{\"name\":\"demo\"}");
	assert_ok(db_run(t->st->db, err, "DELETE FROM sessions", ""));
	cleanup_json cJSON *r = run(t, "session.reap", "{}");
	assert_int_equal(json_int(r, "orphans", -1), 3); /* processes, directory, leases */
	assert_ok(db_run(t->st->db, err, "DELETE FROM session_steps", ""));
	assert_nothing_left(t);
	assert_ok(session_reap_task.look(t->st, err));
	assert_int_equal(count(t, "SELECT count(*) FROM jobs WHERE state = 'queued'"), 0);
}

/* No worker runs that would settle the job of a start that was killed: the reaper need not wait for one. */
static void reap_abandoned(void **data)
{
	struct test_state *t = *data;
	int64_t id = enqueue(t, "session.start", "{\"name\":\"demo\"}");
	wait_for(spawn_job(id, "healthy"));
	cleanup_json cJSON *r = run(t, "session.reap", "{}");
	assert_string_equal(json_text(only_removed(r), "reason"), "interrupted");
	assert_nothing_left(t);
	/* the job is run again all the same, and finds a clean table */
	assert_ok(jobs_recover(t->st, kinds, err) < 0);
	assert_int_equal(wait_for(spawn_job(id, NULL)), 0);
	job_ended(t, id, JOB_DONE);
	stop_clean(t, "demo");
	assert_nothing_left(t);
}

/* A start that goes on is nobody's to remove. */
static void reap_leaves_a_start_alone(void **data)
{
	struct test_state *t = *data;
	fault(t, "bot", "hang");
	int64_t id = enqueue(t, "session.start", "{\"name\":\"slow\"}");
	pid_t pid = spawn_job(id, NULL);
	struct bell *bell = NULL;
	assert_ok(bell_open(&bell, t->dir, err));
	while (!count(t, "SELECT count(*) FROM session_steps WHERE step = 'healthy'"))
		bell_wait(bell, 100);
	bell_close(bell);
	cleanup_json cJSON *r = run(t, "session.reap", "{}");
	assert_int_equal(cJSON_GetArraySize(json_at(r, "removed")), 0);
	assert_int_equal(json_int(r, "orphans", -1), 0);
	assert_int_equal(count(t, "SELECT count(*) FROM sessions WHERE state = 'starting'"), 1);
	assert_ok(jobs_cancel(t->st, id, "cli:test", err));
	wait_for(pid);
	assert_nothing_left(t);
}

static void another_holds_the_port(void **data)
{
	struct test_state *t = *data;
	does(t, "session.start", "{\"name\":\"demo\",\"services\":[\"gateway\"]}");
	/* a port of the nested range, which the stack itself does not bind */
	int64_t port = count(t, "SELECT max(value) FROM leases");
	int ready[2];
	char c;
	assert_int_equal(pipe(ready), 0);
	pid_t stranger = fork();
	if (stranger == 0)
		_exit(prctl(PR_SET_PDEATHSIG, SIGKILL) || bind_port(port) || write(ready[1], "\n", 1) != 1 ||
		      pause());
	close(ready[1]);
	assert_int_equal(read(ready[0], &c, 1), 1);
	close(ready[0]);
	refused(t, "session.stop", "{\"name\":\"demo\"}", ERR_BUSY, "1 ports");
	assert_int_equal(count(t, "SELECT count(*) FROM sessions WHERE state = 'stopping'"), 1);
	assert_int_equal(count(t, "SELECT count(*) FROM receipts WHERE ok = 0 AND next_try_at > removed_at"),
	                 1);
	cleanup_json cJSON *early = run(t, "session.reap", "{}");
	assert_int_equal(cJSON_GetArraySize(json_at(early, "removed")), 0);
	kill(stranger, SIGKILL);
	wait_for(stranger);
	assert_ok(db_run(t->st->db, err, "UPDATE receipts SET next_try_at = 1", ""));
	cleanup_json cJSON *late = run(t, "session.reap", "{}");
	assert_clean(json_at(only_removed(late), "receipt"));
	assert_nothing_left(t);
	assert_int_equal(count(t, "SELECT count(*) FROM receipts"), 1);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(int argc, char **argv)
{
	if (argc > 1)
		return again_main(argc, argv);
	const struct CMUnitTest tests[] = {
	        T(start_use_stop),
	        T(private_files),
	        T(bad_names),
	        T(one_service_only),
	        T(names_are_made),
	        T(in_use_and_quota),
	        T(the_same_twice_at_once),
	        T(many_at_once),
	        T(a_failed_start_leaves_its_reason),
	        T(cancel_and_stop_during_a_start),
	        T(what_escapes_is_killed),
	        T(nested_ones_die_with_it),
	        T(services),
	        T(kept_and_resumed),
	        T(extend),
	        T(killed_start_is_finished),
	        T(killed_start_is_undone),
	        T(killed_stop_is_finished),
	        T(killed_resume_keeps_the_session),
	        T(reap_expired),
	        T(reap_crashed),
	        T(reap_orphans),
	        T(reap_abandoned),
	        T(reap_leaves_a_start_alone),
	        T(another_holds_the_port),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
