/* Sessions with real processes: the test program starts itself again as supervisor, as every service of the stack, and as
 * the process of a job that is killed at a chosen step. */
#ifndef SESSIONS_TEST_STACK_H
#define SESSIONS_TEST_STACK_H

#include "compose/provider.h"
#include "core/bell.h"
#include "core/mem.h"
#include "core/net.h"
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

static const struct job_kind *const kinds[] = {
        &session_start_kind,  &session_stop_kind, &session_restart_kind,
        &session_extend_kind, &session_pin_kind,  &session_unpin_kind,
        &session_exec_kind,   &session_reap_kind, NULL};

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
        {.key = "TELEGRAM_HOST", .type = SETTING_TEXT},
        {.key = "BOT_HOST", .type = SETTING_TEXT},
        {.key = "TELEGRAM_RATE_LIMIT", .type = SETTING_TEXT},
        {.key = "AUTHORIZED_USER_IDS", .type = SETTING_IDS},
        {.key = "ADMIN_USER_IDS", .type = SETTING_IDS},
        {.key = NULL},
};

static inline int bind_port(int64_t port)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0), one = 1;
	struct sockaddr_in a = {.sin_family = AF_INET,
	                        .sin_port = htons((uint16_t)port),
	                        .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	return bind(fd, (struct sockaddr *)&a, sizeof(a)) || listen(fd, 5);
}

static inline bool fault_file(const struct config *cfg, const char *name)
{
	cleanup_free char *path = mem_printf("%s/../../../fault-%s", config_text(cfg, "STATE_DIR"), name);
	return path_exists(path);
}

/* How the test wants ${service} to misbehave: the content of fault-<service> in the outer state directory. */
static inline void misbehave(const struct config *cfg, const char *service)
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
static inline void nest(const struct config *cfg)
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

static inline int service_main(const char *service, const char *env_file)
{
	static const struct setting *const tables[] = {state_settings,
	                                               worker_settings,
	                                               provider_settings,
	                                               session_settings,
	                                               test_other_settings,
	                                               service_settings,
	                                               NULL};
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

static inline void kill_at(const char *step, bool done)
{
	if (!strcmp(step, kill_step) && done == kill_done)
		raise(SIGKILL);
}

/* Cancelled at the step "launch" of session "slow", which then fails. */
static inline void cancel_at_launch(const char *step, bool done)
{
	cleanup_free char *log = mem_printf("%s/sessions/slow/supervisor.log", getenv("STATE_DIR"));
	if (!strcmp(step, "launch") && !done && symlink("nowhere", log) == 0)
		raise(SIGTERM);
}

static inline int open_quiet(struct test_state *t)
{
	static const struct setting *const tables[] = {state_settings,      worker_settings,
	                                               provider_settings,   session_settings,
	                                               test_other_settings, NULL};
	struct err err = {0};
	return config_load(&t->cfg, tables, NULL, false, &err) || state_open(&t->st, t->cfg, &err);
}

static inline int exec_main(const char *id, struct test_state *t, struct err *err)
{
	const char *kill_text = getenv("CF_TEST_KILL");
	if (kill_text && sscanf(kill_text, "%63[^.]", kill_step) == 1) {
		kill_done = strstr(kill_text, ".done");
		step_hook = strstr(kill_text, ".cancel") ? cancel_at_launch : kill_at;
	}
	return jobs_exec(t->st, kinds, atoll(id), err);
}

static inline int again_main(int argc, char **argv)
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

static inline int setup(void **data)
{
	struct test_state *t = mem_alloc(sizeof(*t));
	test_sessions_open(t);
	*data = t;
	return 0;
}

static inline int64_t count(struct test_state *t, const char *sql)
{
	int64_t n = -1;
	assert_ok(db_get_int(t->st->db, &n, err, sql, ""));
	return n;
}

/* For step_hook: whenever services are about to end, files to go or services to start, all ports of the only session of ${held_of} are claimed. */
static struct test_state *held_of;
static int held_looks;

static inline void ports_are_held(const char *step, bool done)
{
	if (done || (strcmp(step, "services") && strcmp(step, "files") && strcmp(step, "launch")))
		return;
	int64_t port = count(held_of, "SELECT min(value) FROM leases WHERE kind = 'port'"),
	        last = count(held_of, "SELECT max(value) FROM leases WHERE kind = 'port'");
	assert_true(port > 0);
	for (; port <= last; port++) {
		int fd;
		cleanup_free char *what = mem_printf("port-%lld", (long long)port);
		if (net_claim(what, &fd))
			fail_msg("%s: another installation may take %s", step, what);
	}
	held_looks++;
}

static inline int processes(struct test_state *t)
{
	cleanup_free struct marker_proc *list = NULL;
	struct err err = {0};
	return marker_find(t->st->install, NULL, &list, &err);
}

static inline void assert_nothing_left(struct test_state *t)
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

static inline int teardown(void **data)
{
	struct test_state *t = *data;
	struct err err = {0};
	step_hook = NULL;
	int left = marker_kill(t->st->install, NULL, 0, &err);
	while (waitpid(-1, NULL, WNOHANG) > 0)
		;
	test_state_close(t);
	free(t);
	return left;
}

static inline int run_as(struct test_state *t, const char *kind, const char *owner, const char *args,
                         cJSON **result, struct err *err)
{
	cleanup_json cJSON *a = cJSON_Parse(args);
	assert_non_null(a);
	struct job_request request = {.kind = kind, .args = a, .owner = owner};
	return jobs_run(t->st, kinds, &request, NULL, NULL, result, err);
}

static inline cJSON *run(struct test_state *t, const char *kind, const char *args)
{
	cJSON *result = NULL;
	assert_ok(run_as(t, kind, "cli:test", args, &result, err));
	assert_non_null(result);
	return result;
}

static inline void does(struct test_state *t, const char *kind, const char *args)
{
	cJSON_Delete(run(t, kind, args));
}

static inline void refused(struct test_state *t, const char *kind, const char *args, enum err_code code,
                           const char *text)
{
	struct err err = {0};
	cJSON *result = NULL;
	assert_int_equal(run_as(t, kind, "cli:test", args, &result, &err), -1);
	if (err.code != code || !strstr(err.msg, text))
		fail_msg("%s %s: %s: %s (expected %s: %s)", kind, args, err_name(err.code), err.msg,
		         err_name(code), text);
}

static inline void assert_clean(const cJSON *receipt)
{
	static const char *const keys[] = {"processes", "ports", "files", "leases", "rows"};
	assert_true(json_bool(receipt, "ok", false));
	for (size_t i = 0; i < ARRAY_LEN(keys); i++)
		assert_int_equal(json_int(receipt, keys[i], -1), 0);
}

static inline void stop_clean(struct test_state *t, const char *name)
{
	cleanup_free char *args = mem_printf("{\"name\":\"%s\"}", name);
	cleanup_json cJSON *result = run(t, "session.stop", args);
	assert_clean(json_at(result, "receipt"));
}

static inline void fault(struct test_state *t, const char *service, const char *how)
{
	cleanup_free char *path = state_path(t->st, "fault-%s", service);
	if (how)
		assert_ok(file_write(path, how, strlen(how), 0600, err));
	else
		unlink(path);
}

static inline int64_t enqueue(struct test_state *t, const char *kind, const char *args)
{
	int64_t id = 0;
	cleanup_json cJSON *a = cJSON_Parse(args);
	struct job_request request = {.kind = kind, .args = a, .owner = "cli:test"};
	assert_ok(jobs_enqueue(t->st, &request, &id, NULL, err));
	return id;
}

static inline pid_t spawn_job(int64_t id, const char *kill_text)
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

static inline int wait_for(pid_t pid)
{
	int status = 0;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

static inline void job_ended(struct test_state *t, int64_t id, enum job_state state)
{
	struct job_row row = {0};
	assert_ok(jobs_get(t->st, id, &row, err));
	if (row.state != state)
		fail_msg("job %lld is %s: %s", (long long)id, job_state_name(row.state),
		         row.error ? row.error : "");
	job_row_free(&row);
}

static inline bool answers(const char *url)
{
	struct sockaddr_in a = {.sin_family = AF_INET,
	                        .sin_port = htons((uint16_t)atoi(strrchr(url, ':') + 1)),
	                        .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	cleanup_close int fd = socket(AF_INET, SOCK_STREAM, 0);
	return connect(fd, (struct sockaddr *)&a, sizeof(a)) == 0;
}

static inline bool is_supervisor(pid_t pid, const char *name)
{
	char path[64], cmdline[512] = "";
	snprintf(path, sizeof(path), "/proc/%d/cmdline", (int)pid);
	ssize_t len = file_peek(path, cmdline, sizeof(cmdline));
	return len > 0 && memmem(cmdline, (size_t)len, "supervise", 9) &&
	       (!name || memmem(cmdline, (size_t)len, name, strlen(name) + 1));
}

static inline const cJSON *only_removed(const cJSON *reaped)
{
	assert_int_equal(cJSON_GetArraySize(json_at(reaped, "removed")), 1);
	return json_at(reaped, "removed")->child;
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

#endif
