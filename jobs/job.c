/* Within a job's function: progress, log lines, cancel and timeout. A signal sets a flag and an eventfd, so that no
 * wait can miss it; the bell brings cancels that come through the database. */
#include "jobs/job.h"
#include "core/clock.h"
#include "core/log.h"
#include "core/mem.h"
#include "jobs/job_private.h"
#include "jobs/line.h"
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

static volatile sig_atomic_t signalled;
static int signal_fd = -1;
/* Each asks for the end: that of the connection, too, over which somebody works (SIGHUP). */
static const int ends[] = {SIGTERM, SIGINT, SIGHUP};
static struct sigaction old_ends[ARRAY_LEN(ends)];
/* jobs_run within a job: the inner one begins without a signal, the outer one keeps its own */
static unsigned signal_depth;
static bool outer_signalled;

static void on_signal(int sig)
{
	(void)sig;
	int kept = errno;
	uint64_t one = 1;
	signalled = 1;
	if (write(signal_fd, &one, sizeof(one)) < 0)
		errno = kept; /* the counter is full: it is readable already */
	errno = kept;
}

int job_signals_on(struct err *err)
{
	struct sigaction sa = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
	uint64_t count;
	if (signal_depth++) {
		outer_signalled |= signalled;
		if (read(signal_fd, &count, sizeof(count)) < 0)
			errno = 0; /* nothing was there */
		signalled = 0;
		return 0;
	}
	outer_signalled = false;
	signalled = 0;
	signal_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (signal_fd < 0) {
		signal_depth--;
		return err_sys(err, errno, "eventfd");
	}
	for (size_t i = 0; i < ARRAY_LEN(ends); i++) {
		sigaction(ends[i], NULL, &old_ends[i]);
		if (ends[i] != SIGHUP || old_ends[i].sa_handler != SIG_IGN) /* nohup: it is to go on */
			sigaction(ends[i], &sa, NULL);
	}
	return 0;
}

void job_signals_off(void)
{
	if (signal_fd < 0)
		return;
	if (--signal_depth) {
		if (outer_signalled && !signalled)
			on_signal(SIGTERM);
		return;
	}
	for (size_t i = 0; i < ARRAY_LEN(ends); i++)
		sigaction(ends[i], &old_ends[i], NULL);
	close(TAKE_FD(signal_fd));
}

int64_t job_id(const struct job *job)
{
	return job->row.id;
}

const cJSON *job_args(const struct job *job)
{
	return job->row.args;
}

const char *job_owner(const struct job *job)
{
	return job->row.owner;
}

int job_attempt(const struct job *job)
{
	return job->row.attempt;
}

struct state *job_state(const struct job *job)
{
	return job->st;
}

void job_result(struct job *job, cJSON *result)
{
	cJSON_Delete(job->result);
	job->result = result;
}

void job_shield(struct job *job)
{
	job->shielded = true;
}

static void relay_one(void *arg, const struct job_event *event)
{
	struct job *job = arg;
	job->seen = event->id;
	job->fn(job->arg, event);
}

void job_relay(struct job *job)
{
	struct err ignored = {0}; /* the next event brings what was missed */
	if (job->fn)
		jobs_events(job->st, job->row.id, job->seen, 1000, relay_one, job, &ignored);
}

/* See whether the row asks for the end. A database that cannot be read now is asked again at the next step. */
static void look_for_cancel(struct job *job)
{
	struct err ignored = {0};
	int64_t asked = 0;
	if (job->cancelled || db_get_int(job->st->db, &asked, &ignored,
	                                 "SELECT cancel_at FROM jobs WHERE id = ?", "i", job->row.id))
		return;
	if (!asked)
		return;
	job->cancelled = true;
	free(job->cancel_by);
	db_get_text(job->st->db, &job->cancel_by, &ignored, "SELECT cancel_by FROM jobs WHERE id = ?", "i",
	            job->row.id);
}

/* Past the bound only the row moves on; one last line says so. Returns whether the event is to be inserted. */
static bool event_fits(struct job *job, const char **type, const char **text)
{
	job->events++;
	if (job->events < JOB_EVENTS_MAX)
		return true;
	if (job->events > JOB_EVENTS_MAX)
		return false;
	*type = "log";
	*text = "more lines were left out";
	return true;
}

static int record(struct job *job, const char *type, const char *stage, int percent, const char *text,
                  struct err *err)
{
	struct db *db = job->st->db;
	if (stage && db_run(db, err, "UPDATE jobs SET stage = ?, percent = ?, message = ? WHERE id = ?",
	                    "titi", stage, (int64_t)percent, text, job->row.id))
		return -1;
	if (!event_fits(job, &type, &text))
		return 0;
	return job_store_event(job->st, job->row.id, type, stage, percent, text, err);
}

/* One event, in one transaction with the row unless the function is inside a transaction of its own. */
static void tell(struct job *job, const char *type, const char *stage, int percent, const char *text)
{
	struct db *db = job->st->db;
	struct err err = {0};
	cleanup_free char *clean = line_clean(text, strlen(text), JOB_TEXT_MAX);
	bool own = !db_in_transaction(db);
	if ((own && db_begin(db, &err)) || record(job, type, stage, percent, clean, &err) ||
	    (own && db_commit(db, &err))) {
		if (own)
			db_rollback(db);
		log_warn("job %lld: could not record \"%s\": %s", (long long)job->row.id, clean, err.msg);
		return;
	}
	if (own)
		state_ring(job->st);
	job_relay(job);
	look_for_cancel(job);
}

void job_progress(struct job *job, const char *stage, int percent, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	cleanup_free char *text = NULL;
	if (vasprintf(&text, fmt, ap) < 0)
		abort();
	va_end(ap);
	percent = percent > 100 ? 100 : percent;
	if (percent > job->row.percent)
		job->row.percent = percent;
	tell(job, "progress", stage, job->row.percent, text);
}

void job_log(struct job *job, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	cleanup_free char *text = NULL;
	if (vasprintf(&text, fmt, ap) < 0)
		abort();
	va_end(ap);
	tell(job, "log", NULL, -1, text);
}

int job_check(struct job *job, struct err *err)
{
	if (job->shielded)
		return 0;
	if (clock_mono_ms() >= job->deadline) {
		char limit[32];
		return err_set(err, ERR_TIMEOUT, "%s took longer than its limit of %s", job->row.kind,
		               clock_duration(job->timeout_ms, limit, sizeof(limit)));
	}
	if (!signalled && !job->cancelled)
		return 0;
	look_for_cancel(job); /* who asked may stand in the row */
	return err_set(err, ERR_CANCELLED, "cancelled%s%s", job->cancel_by ? " by " : "",
	               job->cancel_by ? job->cancel_by : "");
}

static int poll_once(struct job *job, struct pollfd *all, nfds_t n, int64_t until)
{
	bool alert = !job->shielded;
	all[n] = (struct pollfd){.fd = alert ? signal_fd : -1, .events = POLLIN};
	all[n + 1] = (struct pollfd){.fd = alert && job->bell ? bell_fd(job->bell) : -1, .events = POLLIN};
	int64_t wait = until - clock_mono_ms();
	int rc = poll(all, n + 2, wait < 0 ? 0 : wait > INT_MAX ? INT_MAX : (int)wait);
	if (rc <= 0)
		return rc < 0 && errno != EINTR ? -1 : 0;
	if (all[n + 1].revents) {
		bell_drain(job->bell);
		look_for_cancel(job);
	}
	int ready = 0;
	for (nfds_t i = 0; i < n; i++)
		ready += all[i].revents != 0;
	return ready;
}

int job_poll(struct job *job, struct pollfd *fds, nfds_t n, int64_t timeout_ms, struct err *err)
{
	int64_t end = timeout_ms < 0 ? INT64_MAX : clock_mono_ms() + timeout_ms;
	cleanup_free struct pollfd *all = mem_alloc((n + 2) * sizeof(*all));
	for (;;) {
		if (job_check(job, err))
			return -1;
		for (nfds_t i = 0; i < n; i++)
			all[i] = (struct pollfd){.fd = fds[i].fd, .events = fds[i].events};
		bool limited = !job->shielded && job->deadline < end;
		int ready = poll_once(job, all, n, limited ? job->deadline : end);
		if (ready < 0)
			return err_sys(err, errno, "poll");
		if (!ready && clock_mono_ms() < end)
			continue;
		for (nfds_t i = 0; i < n; i++)
			fds[i].revents = all[i].revents;
		return job_check(job, err) ? -1 : ready;
	}
}
