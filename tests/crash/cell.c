/* One cell of the matrix, in a process of its own with a state directory of its own on a disk of its own. */
#include "sessions/test_compose.h"
#include "tests/crash/crash.h"
#include "tests/crash/promise.h"
#include <sched.h>
#include <sys/mount.h>

#define LIMIT_MS 100000 /* an operation that takes longer hangs */
#define CANCEL_MS 8000  /* between asking one that hangs to end, and killing it */
#define SETTLE_MS 60000 /* until the worker has nothing left to do */
#define EVENTS_MAX 12   /* of containers, in one operation */
#define EXTEND_MINUTES 60
#define STATE_DISK "size=400m"

static const char plain_file[] = "services:\n"
                                 "  web:\n"
                                 "    image: '@'\n"
                                 "    stop_signal: SIGKILL\n"
                                 "    command: [sleep, '10000']\n"
                                 "    volumes: ['data:/data']\n"
                                 "    healthcheck: {test: [CMD, 'true'], interval: 30s}\n"
                                 "volumes: {data: {}}\n";
static const char deaf_file[] = "services:\n"
                                "  web:\n"
                                "    image: '@'\n"
                                "    stop_grace_period: 1s\n"
                                "    command: [sh, -c, \"trap '' TERM; while :; do sleep 10000; done\"]\n"
                                "    volumes: ['data:/data']\n"
                                "    healthcheck: {test: [CMD, 'true'], interval: 30s}\n"
                                "volumes: {data: {}}\n";

const struct op ops[] = {
        {"start", "session.start", NULL, FROM_NOTHING, "running"},
        {"resume", "session.start", NULL, FROM_STOPPED, "running"},
        {"restart", "session.restart", "{\"name\":\"demo\"}", FROM_RUNNING, "running"},
        {"restart one service", "session.restart", "{\"name\":\"demo\",\"service\":\"%s\"}", FROM_RUNNING,
         "running"},
        {"stop", "session.stop", "{\"name\":\"demo\"}", FROM_RUNNING, ""},
        {"stop and keep", "session.stop", "{\"name\":\"demo\",\"keep\":true}", FROM_RUNNING, "stopped"},
        {"extend", "session.extend", "{\"name\":\"demo\",\"minutes\":60}", FROM_RUNNING, "running"},
        {"reap what expired", "session.reap", "{}", FROM_EXPIRED, ""},
        {"reap what has no row", "session.reap", "{}", FROM_ORPHANED, NULL},
};
const size_t op_count = ARRAY_LEN(ops);

struct run {
	const struct cell *cell;
	const struct fault *fault; /* NULL: unhurt */
	struct test_state t;
	pid_t runner, worker;
	int64_t job, expires_at, cancelled_ms;
	bool over;
	struct bell *bell;
	int events; /* seen so far */
	struct str what;
	int bad;
};

static void complain(struct run *r, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void complain(struct run *r, const char *fmt, ...)
{
	va_list ap;
	char text[1200];
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	str_addf(&r->what, "%s\n", text);
	r->bad++;
}

/* -- the scene -- */

/* What the tool said of itself and of the file before, unless it is about what it says: half of a cell's time. */
static void share_cache(struct run *r)
{
	cleanup_free char *mine = state_path(r->t.st, "cache");
	const char *all = getenv("CRASH_CACHE");
	if (r->cell->engine == ON_PROCESS || !r->fault || r->cell->point.source == AT_TOOL)
		return;
	const char *argv[] = {"cp", "-a", all, mine, NULL};
	struct proc_spec spec = PROC_SPEC_INIT;
	struct proc_result result;
	spec.argv = argv;
	assert_ok(proc_run(&spec, NULL, 10000, 4096, &result, err));
	proc_result_free(&result);
}

static void keep_cache(struct run *r)
{
	cleanup_free char *mine = state_path(r->t.st, "cache");
	const char *all = getenv("CRASH_CACHE"), *argv[] = {"cp", "-a", "-T", mine, all, NULL};
	struct proc_spec spec = PROC_SPEC_INIT;
	struct proc_result result;
	if (r->cell->engine == ON_PROCESS || r->fault)
		return;
	spec.argv = argv;
	assert_ok(proc_run(&spec, NULL, 10000, 4096, &result, err));
	proc_result_free(&result);
}

static char *start_args(struct run *r)
{
	if (r->cell->engine == ON_PROCESS)
		return mem_strdup("{\"name\":\"demo\",\"services\":[\"telegram\",\"gateway\"]}");
	return with_file(&r->t, "demo", r->fault && r->fault->deaf ? deaf_file : plain_file);
}

static char *args_of(struct run *r)
{
	bool process = r->cell->engine == ON_PROCESS;
	const char *args = r->cell->op->args;
	if (!args)
		return start_args(r);
	if (!strstr(args, "%s"))
		return mem_strdup(args);
	return mem_printf("{\"name\":\"demo\",\"service\":\"%s\"}", process ? "gateway" : "web");
}

static void open_state(struct run *r)
{
	cleanup_free char *dir = cell_path("state");
	if (unshare(CLONE_NEWNS) || mkdir(dir, 0700) || mount("none", dir, "tmpfs", 0, STATE_DISK))
		fail_msg("a disk for %s: %s", dir, strerror(errno));
	snprintf(r->t.dir, sizeof(r->t.dir), "%s", dir);
	setenv("STATE_DIR", dir, 1);
	setenv("SESSION_PORT_RANGE", "20000-20159", 1);
	setenv("SESSION_NESTED_PORTS", "4", 1);
	setenv("SESSION_SUBNET_POOL", "10.214.0.0/16", 1);
	setenv("SESSION_START_TIMEOUT", "30", 1);
	setenv("SESSION_DISK_RESERVE_MB", "64", 1);
	setenv("COMPOSE_PROJECT_NAME", "cfm", 1);
	setenv("ENGINE", r->cell->engine == ON_PROCESS ? "process" : "compose", 1);
	if (r->cell->engine == ON_COMPOSE)
		snprintf(docker.image, sizeof(docker.image), "%s", engine_image());
	test_sessions_connect(&r->t);
	assert_ok(bell_open(&r->bell, dir, err));
	if (r->fault && r->fault->deaf && r->cell->engine == ON_PROCESS)
		fault(&r->t, "gateway", "daemon");
}

static void set_scene(struct run *r)
{
	enum start from = r->cell->op->start;
	cleanup_free char *args = start_args(r);
	if (from == FROM_NOTHING)
		return;
	does(&r->t, "session.start", args);
	if (from == FROM_STOPPED)
		does(&r->t, "session.stop", "{\"name\":\"demo\",\"keep\":true}");
	if (from == FROM_EXPIRED)
		assert_ok(db_run(r->t.st->db, err, "UPDATE sessions SET expires_at = 1, hard_expires_at = 1",
		                 ""));
	if (from == FROM_ORPHANED)
		assert_ok(db_run(r->t.st->db, err, "DELETE FROM session_steps", "") ||
		          db_run(r->t.st->db, err, "DELETE FROM sessions", ""));
	r->expires_at = 0;
	assert_ok(db_get_int(r->t.st->db, &r->expires_at, err, "SELECT expires_at FROM sessions", ""));
}

/* -- other processes -- */

static pid_t spawn_as(const char *role, const char *kind, const char *args, int ready)
{
	const char *argv[] = {proc_self(), "--as", role, kind, args, NULL};
	struct proc_spec spec = PROC_SPEC_INIT;
	pid_t pid = 0;
	spec.argv = argv;
	spec.ready_fd = ready;
	assert_ok(proc_spawn(&spec, &pid, err));
	return pid;
}

static void start_worker(struct run *r)
{
	int ends[2];
	char c;
	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	r->worker = spawn_as("worker", NULL, NULL, ends[1]);
	close(ends[1]);
	struct pollfd p = {.fd = ends[0], .events = POLLIN};
	if (poll(&p, 1, SETTLE_MS) != 1 || read(ends[0], &c, 1) != 1)
		fail_msg("the worker does not start");
	close(ends[0]);
	cleanup_free char *text = mem_printf("%d", (int)r->worker);
	cell_note("worker.pid", text);
}

static void end_worker(struct run *r)
{
	if (r->worker <= 0)
		return;
	kill(r->worker, SIGTERM);
	waitpid(r->worker, NULL, 0);
	r->worker = 0;
}

static pid_t op_pid(void)
{
	int64_t pid, parent;
	cell_numbers("op.pid", &pid, &parent);
	return (pid_t)pid;
}

static bool is_there(const char *name)
{
	cleanup_free char *path = cell_path(name);
	return path_exists(path);
}

/* Whether the process of the operation has come and gone. */
static bool is_over(struct run *r)
{
	struct proc_id id;
	if (r->over)
		return true;
	if (r->runner)
		return r->over = waitpid(r->runner, NULL, WNOHANG) != 0;
	if (op_pid())
		return r->over = proc_identify(op_pid(), &id) != 0;
	return false;
}

/* -- the operation -- */

static void begin(struct run *r)
{
	const struct op *op = r->cell->op;
	cleanup_free char *args = args_of(r);
	struct plan plan = {.record = !r->fault,
	                    .source = r->cell->point.source,
	                    .n = r->cell->point.n,
	                    .fault = r->cell->fault};
	enum runner how = r->fault ? r->fault->runner : BY_ITSELF;
	if (how != IN_TERMINAL)
		plan.job = r->job = enqueue(&r->t, op->kind, args);
	hurt_write(&plan);
	if (r->fault && plan.source == AT_BEGIN)
		r->fault->strike();
	if (how == BY_WORKER) {
		start_worker(r);
	} else if (how == IN_TERMINAL) {
		r->runner = spawn_as("terminal", op->kind, args, 0);
	} else {
		cleanup_free char *id = mem_printf("%lld", (long long)r->job);
		r->runner = spawn_as("job", id, NULL, 0);
	}
}

/* A tool that hangs: somebody loses patience, first politely. */
static void lose_patience(struct run *r)
{
	struct err ignored = {0};
	int64_t now = clock_mono_ms();
	if (!is_there("hanging"))
		return;
	if (!r->cancelled_ms) {
		r->cancelled_ms = now;
		jobs_cancel(r->t.st, r->job, "cli:test", &ignored);
	} else if (now - r->cancelled_ms > CANCEL_MS && op_pid()) {
		kill(op_pid(), SIGKILL);
	}
}

static void await_op(struct run *r)
{
	int64_t until = clock_mono_ms() + LIMIT_MS;
	while (!is_over(r)) {
		cleanup_close int fd = op_pid() ? (int)syscall(SYS_pidfd_open, op_pid(), 0) : -1;
		struct pollfd p[] = {{.fd = fd, .events = POLLIN},
		                     {.fd = bell_fd(r->bell), .events = POLLIN}};
		poll(p, 2, 1000);
		bell_drain(r->bell);
		lose_patience(r);
		if (clock_mono_ms() < until)
			continue;
		complain(r, "the operation hangs");
		kill(op_pid(), SIGKILL);
		until += LIMIT_MS;
	}
}

/* -- engine events -- */

static bool on_event(void *arg, const cJSON *event)
{
	struct run *r = arg;
	char what[48];
	const char *action = json_text_or(event, "Action", "");
	if (strcmp(json_text_or(event, "Type", ""), "container") != 0 || !strncmp(action, "exec_", 5) ||
	    r->events >= EVENTS_MAX)
		return true;
	snprintf(what, sizeof(what), "during: %.30s", action);
	r->events++;
	if (!r->fault) {
		cleanup_free char *path = cell_path("points");
		FILE *f = fopen(path, "ae");
		fprintf(f, "%d %s\n", AT_EVENT, what);
		fclose(f);
		return true;
	}
	if (r->events < r->cell->point.n)
		return true;
	cleanup_free char *plan = cell_path("plan");
	if (unlink(plan) == 0)
		r->fault->strike();
	return false;
}

static bool until_over(void *arg)
{
	return !is_over(arg);
}

static void watch_engine(struct run *r, int64_t since_ms)
{
	cleanup_free char *label = mem_printf(LABEL_INSTALL "=%s", r->t.st->install);
	struct err ignored = {0};
	docker_events(since_ms, label, on_event, until_over, r, &ignored);
}

static void operate(struct run *r)
{
	bool events = r->cell->engine == ON_COMPOSE && (!r->fault || r->cell->point.source == AT_EVENT);
	int64_t since_ms = clock_now_ms();
	begin(r);
	if (events)
		watch_engine(r, since_ms);
	await_op(r);
}

/* -- recovery, as on a user's machine -- */

static bool is_quiet(struct run *r)
{
	return is_there("ticked") &&
	       count(&r->t, "SELECT count(*) FROM jobs WHERE state IN ('queued','running')") == 0;
}

static void settle(struct run *r)
{
	if (!r->worker)
		return;
	int64_t until = clock_mono_ms() + SETTLE_MS;
	while (!is_quiet(r) && clock_mono_ms() < until)
		bell_wait(r->bell, 500);
	if (!is_quiet(r))
		complain(r, "the worker is not done");
}

static void reap(struct run *r)
{
	struct err err = {0};
	/* a receipt that is open is tried again when its time comes: now */
	assert_ok(db_run(r->t.st->db, err, "UPDATE receipts SET next_try_at = 1 WHERE ok = 0", ""));
	if (run_as(&r->t, "session.reap", "cli:test", "{}", NULL, &err))
		complain(r, "reap: %s", err.msg);
}

static void recover(struct run *r)
{
	if (r->fault && r->fault->mend)
		r->fault->mend();
	end_worker(r);
	if (r->fault && r->fault->reap_first)
		reap(r);
	start_worker(r);
	settle(r);
	reap(r);
	settle(r);
}

/* -- the verdict -- */

/* Done is only what was done; whatever else it says, it says why. */
static void check_truth(struct run *r)
{
	const struct op *op = r->cell->op;
	struct job_row job = {0};
	int64_t expires_at = 0;
	if (!r->job)
		r->job = count(&r->t, "SELECT coalesce(min(id), 0) FROM jobs WHERE owner = 'cli:hurt'");
	if (!r->job) /* it could not even be asked for */
		return;
	assert_ok(jobs_get(r->t.st, r->job, &job, err));
	cleanup_free char *state = promise_state(&r->t);
	cleanup_free char *receipts = NULL;
	assert_ok(db_get_text(r->t.st->db, &receipts, err, "SELECT group_concat(reason) FROM receipts", ""));
	str_addf(&r->what, "(the job is %s%s%.300s; the session is %s; removed: %s)\n",
	         job_state_name(job.state), job.error ? ": " : "", job.error ? job.error : "",
	         *state ? state : "gone", receipts ? receipts : "never");
	if (job.state == JOB_DONE && op->goal && strcmp(op->goal, state) != 0)
		complain(r, "the job says that it is done");
	assert_ok(db_get_int(r->t.st->db, &expires_at, err, "SELECT expires_at FROM sessions", ""));
	/* one that was cut off may have done it, but not twice */
	int64_t more = expires_at - r->expires_at, wish = EXTEND_MINUTES * 60000;
	if (!strcmp(op->name, "extend") && *state && more != wish && (more || job.state == JOB_DONE))
		complain(r, "it was extended by %lld minutes", (long long)more / 60000);
	job_row_free(&job);
}

/* A further start of that name works, and its stop leaves nothing. */
static void go_on(struct run *r)
{
	struct err err = {0};
	cleanup_free char *state = promise_state(&r->t), *args = start_args(r);
	if (!strcmp(state, "running") &&
	    run_as(&r->t, "session.stop", "cli:test", "{\"name\":\"demo\"}", NULL, &err))
		complain(r, "a further stop: %s", err.msg);
	if (run_as(&r->t, "session.start", "cli:test", args, NULL, &err))
		complain(r, "a further start: %s", err.msg);
	else if (run_as(&r->t, "session.stop", "cli:test", "{\"name\":\"demo\"}", NULL, &err))
		complain(r, "its stop: %s", err.msg);
	settle(r);
	cleanup_free char *after = promise_state(&r->t);
	if (*after)
		complain(r, "after the last stop the session is %s", after);
}

void cell_run(const struct cell *cell, FILE *out)
{
	struct run r = {
	        .cell = cell, .fault = cell->fault < 0 ? NULL : &faults[cell->fault], .what = STR_INIT};
	open_state(&r);
	share_cache(&r);
	set_scene(&r);
	operate(&r);
	keep_cache(&r);
	bool missed = is_there("missed") || (cell->point.source != AT_BEGIN && is_there("plan"));
	cleanup_free char *plan = cell_path("plan");
	unlink(plan);            /* what follows is no part of the operation */
	if (r.fault && missed) { /* in vain: the operation was not hurt */
		does(&r.t, "session.reap", "{}");
		go_on(&r);
		end_worker(&r);
		fprintf(out, "-1\n");
	} else {
		recover(&r);
		r.bad += promise_leftovers(&r.t, &r.what);
		check_truth(&r);
		int before = r.bad;
		go_on(&r);
		if (r.bad == before)
			r.bad += promise_leftovers(&r.t, &r.what);
		end_worker(&r);
		fprintf(out, "%d\n%s", r.bad, str_text(&r.what));
	}
	str_free(&r.what);
	bell_close(r.bell);
	test_state_disconnect(&r.t);
}
