/* What can go wrong. A fault may strike in the operation itself, in one of its children, or from outside, so it finds its
 * victims in the cell's files. */
#include "compose/docker.h"
#include "compose/override.h"
#include "core/bell.h"
#include "core/clock.h"
#include "core/file.h"
#include "core/mem.h"
#include "core/proc.h"
#include "jobs/worker.h"
#include "sessions/test_sessions.h"
#include "tests/crash/crash.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <unistd.h>

#define FLOOD_BYTES (100 << 20)
#define READY_MS 20000

/* -- killing -- */

static void kill_number(const char *name, bool second)
{
	int64_t a, b;
	cell_numbers(name, &a, &b);
	pid_t pid = (pid_t)(second ? b : a);
	if (pid > 1)
		kill(pid, SIGKILL);
}

/* The worker first: who strikes may be the operation itself. */
static int strike_worker(void)
{
	kill_number("worker.pid", false);
	return 0;
}

static int strike_op(void)
{
	kill_number("op.pid", false);
	return 0;
}

static int strike_both(void)
{
	strike_worker();
	return strike_op();
}

/* -- the database is locked -- */

int locker_main(void)
{
	struct test_state t = {0};
	test_sessions_connect(&t);
	assert_ok(db_begin(t.st->db, err));
	proc_ready();
	while (pause())
		;
	return 0;
}

static int strike_lock(void)
{
	const char *argv[] = {proc_self(), "--as", "locker", NULL};
	cleanup_free char *dir = cell_path("state"), *state = mem_printf("STATE_DIR=%s", dir);
	const char *env[] = {state, "CODEFOUNDRY_SESSION_PATH", NULL};
	struct proc_spec spec = PROC_SPEC_INIT;
	struct err err = {0};
	int ends[2];
	pid_t pid = 0;
	char c;
	if (pipe2(ends, O_CLOEXEC))
		abort();
	spec.argv = argv;
	spec.env = env;
	spec.new_session = true;
	spec.ready_fd = ends[1];
	int rc = proc_spawn(&spec, &pid, &err);
	close(ends[1]);
	struct pollfd p = {.fd = ends[0], .events = POLLIN};
	if (rc || poll(&p, 1, READY_MS) != 1 || read(ends[0], &c, 1) != 1)
		fprintf(stderr, "the database was not locked: %s\n", err.msg);
	close(ends[0]);
	cleanup_free char *text = mem_printf("%d", (int)pid);
	cell_note("locker.pid", text);
	return 0;
}

static void mend_lock(void)
{
	kill_number("locker.pid", false);
}

/* -- the state directory is full, or read-only -- */

static int strike_fill(void)
{
	static const char block[1 << 16];
	cleanup_free char *path = cell_path("state/filler");
	cleanup_close int fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	for (size_t size = sizeof(block); fd >= 0 && size; size /= 2)
		while (write(fd, block, size) == (ssize_t)size)
			;
	return 0;
}

static void mend_fill(void)
{
	cleanup_free char *path = cell_path("state/filler");
	unlink(path);
}

/* The kernel refuses it while files are open for writing, and so nothing could be hurt in its middle: the directory is
 * covered by a read-only view of itself, and this process's open database fails as it would. */
static int strike_read_only(void)
{
	cleanup_free char *dir = cell_path("state");
	if (mount(dir, dir, NULL, MS_BIND, NULL) ||
	    mount(NULL, dir, NULL, MS_REMOUNT | MS_BIND | MS_RDONLY, NULL))
		perror("read-only");
	hurt_database(SQLITE_READONLY);
	return 0;
}

static void mend_read_only(void)
{
	cleanup_free char *dir = cell_path("state");
	umount2(dir, MNT_DETACH);
}

/* -- the engine -- */

static int strike_engine(void)
{
	engine_kill();
	return 0;
}

static int strike_engine_full(void)
{
	engine_fill();
	return 0;
}

/* Somebody else's container is put into the session's network, when there is one. */
static cJSON *networks(void)
{
	struct err err = {0};
	char install[64] = "";
	cleanup_free char *path = cell_path("state/install");
	file_peek(path, install, sizeof(install));
	install[strcspn(install, "\n")] = '\0';
	cleanup_free char *label = mem_printf(LABEL_INSTALL "=%s", install);
	return docker_list(DOCKER_NETWORK, (const char *const[]){label, NULL}, &err);
}

static int move_stranger(const char *how)
{
	struct err err = {0};
	int n = 0;
	cleanup_json cJSON *list = networks(), *body = json_object();
	const cJSON *one;
	json_add_text(body, "Container", stranger_container());
	cJSON_ArrayForEach(one, list)
	{
		cleanup_free char *path = mem_printf("/networks/%s/%s", json_text_or(one, "id", ""), how);
		n += docker_call("POST", path, body, 0, NULL, &err) == 0;
	}
	return n;
}

static int strike_stranger(void)
{
	if (move_stranger("connect") == 0)
		cell_note("missed", "");
	return 0;
}

static void mend_stranger(void)
{
	move_stranger("disconnect");
}

/* -- the compose tool: these strike in its stand-in, which ends with them -- */

static int fails(void)
{
	fputs("it went wrong\n", stderr);
	exit(1);
}

static int hangs(void)
{
	cleanup_free char *state = cell_path("state");
	signal(SIGTERM, SIG_IGN);
	cell_note("hanging", "");
	bell_ring(state);
	while (pause())
		;
	return 0;
}

static int prints_garbage(void)
{
	unsigned state = 1;
	for (int i = 0; i < 1 << 16; i++) {
		state = state * 1103515245 + 12345;
		fputc((int)(state >> 16 & 0xff), i % 2 ? stdout : stderr);
	}
	exit(0);
}

static int floods(void)
{
	static char line[1 << 12];
	memset(line, 'x', sizeof(line));
	line[sizeof(line) - 1] = '\n';
	for (int i = 0; i < FLOOD_BYTES / (int)sizeof(line); i++)
		if (write(i % 2 ? 1 : 2, line, sizeof(line)) < 0)
			exit(1);
	exit(0);
}

/* -- below: a statement, a child -- */

static int strike_self(void)
{
	raise(SIGKILL);
	return 0;
}

static int fails_once(void)
{
	return SQLITE_IOERR;
}

static int fails_from_now_on(void)
{
	hurt_database(SQLITE_FULL);
	return SQLITE_FULL;
}

static int cannot_start(void)
{
	return EAGAIN;
}

/* -- all of them -- */

#define ANYWHERE (BIT(AT_STEP) | BIT(AT_SERVICE) | BIT(AT_SERVICE_END) | BIT(AT_EVENT))
#define BOTH (BIT(ON_PROCESS) | BIT(ON_COMPOSE))
#define COMPOSE BIT(ON_COMPOSE)
#define PROCESS BIT(ON_PROCESS)

const struct fault faults[] = {
        {"kill -9 job", BOTH, ANYWHERE, .strike = strike_op},
        {"kill -9 job, reaped before a worker comes", BOTH, ANYWHERE, .strike = strike_op,
         .reap_first = true},
        {"kill -9 in a terminal", BOTH, ANYWHERE, .strike = strike_op, .runner = IN_TERMINAL},
        {"kill -9 worker", BOTH, ANYWHERE, .strike = strike_worker, .runner = BY_WORKER},
        {"kill -9 worker and job", BOTH, ANYWHERE, .strike = strike_both, .runner = BY_WORKER},
        {"kill -9 job, services deaf to TERM", BOTH, ANYWHERE, .strike = strike_op, .deaf = true},
        {"database locked", BOTH, ANYWHERE | BIT(AT_BEGIN), .strike = strike_lock, .mend = mend_lock,
         .short_busy = true},
        {"disk full", BOTH, ANYWHERE | BIT(AT_BEGIN), .strike = strike_fill, .mend = mend_fill},
        {"state directory read-only", BOTH, ANYWHERE | BIT(AT_BEGIN), .strike = strike_read_only,
         .mend = mend_read_only},
        {"kill -9 dockerd", COMPOSE, ANYWHERE | BIT(AT_BEGIN), .strike = strike_engine, .mend = engine_start},
        {"Docker's disk full", COMPOSE, ANYWHERE | BIT(AT_BEGIN), .strike = strike_engine_full,
         .mend = engine_empty},
        {"stranger in the network", COMPOSE, ANYWHERE | BIT(AT_BEGIN), .strike = strike_stranger,
         .mend = mend_stranger},
        {"tool fails", COMPOSE, BIT(AT_TOOL), .strike = fails},
        {"tool hangs", COMPOSE, BIT(AT_TOOL), .strike = hangs},
        {"tool prints garbage", COMPOSE, BIT(AT_TOOL), .strike = prints_garbage},
        {"tool prints 100 MB", COMPOSE, BIT(AT_TOOL), .strike = floods},
        {"kill -9 there", PROCESS, BIT(AT_SQL), .strike = strike_self},
        {"it fails", PROCESS, BIT(AT_SQL), .strike = fails_once},
        {"it and all after it fail", PROCESS, BIT(AT_SQL), .strike = fails_from_now_on},
        {"child cannot be started", PROCESS, BIT(AT_SPAWN) | BIT(AT_INNER), .strike = cannot_start},
};
const size_t fault_count = ARRAY_LEN(faults);
