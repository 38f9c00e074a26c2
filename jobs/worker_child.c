/* Processes of jobs. All are watched by pidfd, ours and others' alike, so that the end of each is seen at once. */
#include "core/clock.h"
#include "core/log.h"
#include "core/mem.h"
#include "jobs/line.h"
#include "jobs/worker_private.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define LOG_MAX_BYTES (4 << 20)
#define LOG_TAIL_BYTES 600
#define LAUNCH_RETRIES 10 /* within worker_grace_ms */

int64_t worker_grace_ms = 10000;

struct child *child_find(struct worker *w, int64_t job)
{
	struct child *child = w->children;
	while (child && child->job != job)
		child = child->next;
	return child;
}

/* The end of what the process wrote, on one line; it names the bad setting when it could not even begin. */
static char *last_words(struct worker *w, int64_t job)
{
	cleanup_free char *path = state_path(w->st, "jobs/%lld.log", (long long)job);
	char buf[LOG_TAIL_BYTES];
	struct stat st;
	cleanup_close int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0 || fstat(fd, &st))
		return mem_strdup("");
	off_t from = st.st_size > LOG_TAIL_BYTES ? st.st_size - LOG_TAIL_BYTES : 0;
	ssize_t n = pread(fd, buf, sizeof(buf), from);
	char *text = line_clean(buf, n > 0 ? (size_t)n : 0, LOG_TAIL_BYTES);
	for (size_t len = strlen(text); len && text[len - 1] == '\n';)
		text[--len] = '\0';
	return text;
}

static int record_launch(struct child *child, const char *text, struct err *err)
{
	struct db *db = child->w->st->db;
	int64_t times = 0;
	if (job_store_event(child->w->st, child->job, "log", "launch", -1, text, err) ||
	    db_get_int(db, &times, err,
	               "SELECT count(*) FROM job_events WHERE job = ? AND type = 'log' AND stage = 'launch'",
	               "i", child->job))
		return -1;
	if (times >= WORKER_LAUNCHES_MAX)
		return job_store_finish(child->w->st, child->job, JOB_FAILED, ERR_FAILED, text, NULL, err);
	return db_run(db, err, "UPDATE jobs SET not_before = ? WHERE id = ?", "ii",
	              clock_now_ms() + worker_grace_ms / LAUNCH_RETRIES * times, child->job);
}

/* Our child ended: when its row was never touched it could not even begin, and would be started for ever. */
static void check_launch(struct child *child, int status)
{
	struct worker *w = child->w;
	struct err err = {0};
	int64_t untouched = 0;
	if (db_get_int(w->st->db, &untouched, &err,
	               "SELECT 1 FROM jobs WHERE id = ? AND state = 'queued' AND attempt = ? AND not_before "
	               "<= ?",
	               "iii", child->job, (int64_t)child->attempt, clock_now_ms()) ||
	    !untouched)
		return;
	cleanup_free char *words = last_words(w, child->job);
	cleanup_free char *text =
	        mem_printf("its process could not begin (exit %d): %s",
	                   WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status), words);
	log_warn("job %lld: %s", (long long)child->job, text);
	if (db_begin(w->st->db, &err) || record_launch(child, text, &err) || db_commit(w->st->db, &err)) {
		db_rollback(w->st->db);
		log_warn("job %lld: %s", (long long)child->job, err.msg);
	}
	state_ring(w->st);
}

static void ended(void *arg)
{
	struct child *child = arg;
	struct worker *w = child->w;
	int status = 0;
	if (child->own && waitpid(child->proc.pid, &status, WNOHANG) == child->proc.pid)
		check_launch(child, status);
	log_debug("job %lld: its process ended", (long long)child->job);
	child_free(child);
	worker_look_soon(w);
}

static void signal_child(const struct child *child, int sig)
{
	if (child->terminal)
		proc_signal(&child->proc, sig);
	else if (proc_alive(&child->proc))
		kill(-child->proc.pid, sig);
}

static void kill_now(void *arg)
{
	struct child *child = arg;
	log_warn("job %lld did not end when told to: killed", (long long)child->job);
	signal_child(child, SIGKILL);
}

void child_stop(struct child *child)
{
	if (child->told)
		return;
	child->told = true;
	signal_child(child, SIGTERM);
	loop_timer_set(child->kill_timer, worker_grace_ms, 0);
}

static struct child *watch(struct worker *w, int64_t job, struct proc_id proc)
{
	int fd = (int)syscall(SYS_pidfd_open, proc.pid, 0);
	if (fd < 0)
		return NULL;
	struct child *child = mem_alloc(sizeof(*child));
	*child = (struct child){.w = w, .next = w->children, .job = job, .proc = proc, .pidfd = fd};
	child->since = clock_mono_ms();
	child->watch = loop_watch_new(w->loop, fd, ended, child);
	child->kill_timer = loop_timer_new(w->loop, kill_now, child);
	w->children = child;
	return child;
}

void child_adopt(struct worker *w, int64_t job, struct proc_id proc, bool terminal)
{
	struct child *child = proc_alive(&proc) ? watch(w, job, proc) : NULL;
	if (!child)
		return;
	child->terminal = terminal;
	log_info("job %lld goes on in process %d, which we did not start", (long long)job, (int)proc.pid);
}

static int open_log(struct worker *w, int64_t job)
{
	cleanup_free char *path = state_path(w->st, "jobs/%lld.log", (long long)job);
	return open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
}

int child_start(struct worker *w, int64_t job, int attempt, struct err *err)
{
	cleanup_free char *id = mem_printf("%lld", (long long)job),
	                  *dir = mem_printf("STATE_DIR=%s", w->st->dir);
	const char *file = config_file(w->st->cfg);
	const char *argv[] = {proc_self(), "job", "exec", id, file ? "--env" : NULL, file, NULL};
	const char *env[] = {dir, NULL};
	cleanup_close int log = open_log(w, job);
	if (log < 0)
		return err_sys(err, errno, "open the log of job %s", id);
	struct proc_spec spec = PROC_SPEC_INIT;
	spec.argv = argv;
	spec.env = env;
	spec.out = spec.errfd = log;
	struct proc_id proc = {0};
	if (proc_spawn(&spec, &proc.pid, err))
		return -1;
	proc_identify(proc.pid, &proc);
	struct child *child = watch(w, job, proc);
	if (!child) { /* it runs all the same: found again by its lock */
		log_warn("job %s: cannot watch process %d: %s", id, (int)proc.pid, strerror(errno));
		return 0;
	}
	child->own = true;
	child->attempt = attempt;
	return 0;
}

void child_free(struct child *child)
{
	for (struct child **p = &child->w->children; *p; p = &(*p)->next) {
		if (*p == child) {
			*p = child->next;
			break;
		}
	}
	loop_watch_free(child->watch);
	loop_timer_free(child->kill_timer);
	close(child->pidfd);
	free(child);
}

void child_bound_logs(struct worker *w)
{
	static const char mark[] = "… (older lines were cut)\n";
	for (struct child *child = w->children; child; child = child->next) {
		struct stat st;
		cleanup_close int fd = child->terminal ? -1 : open_log(w, child->job);
		if (fd < 0 || fstat(fd, &st) || st.st_size <= LOG_MAX_BYTES)
			continue;
		if (ftruncate(fd, 0) || write(fd, mark, sizeof(mark) - 1) < 0)
			log_warn("job %lld: its log cannot be cut: %s", (long long)child->job,
			         strerror(errno));
	}
}
