#include "testsuite/suite.h"
#include "core/clock.h"
#include "core/mem.h"
#include "testsuite/errand.h"
#include "testsuite/play.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define MAX_PARALLEL 16
#define GRACE_MS 5000 /* for a play that overruns its time and does not see it */
#define MAX_LINE (1u << 20)

/* One entry of the list to run; with `repeat` a scenario has several. */
struct entry {
	const struct scenario *sc;
	int round, attempts;
	bool started;
	cJSON *result; /* NULL until it is known */
	int64_t spent_ms;
};

/* One slot: the process that plays an entry. Parent and child talk in JSON lines over a socket pair. */
struct slot {
	struct entry *entry; /* NULL: free */
	pid_t pid;
	int fd;
	int64_t deadline;
	char *dir;
	struct str in;
	cJSON *outcome;
};

struct suite {
	const struct suite_options *o;
	struct entry *entries;
	size_t n, done;
	int plays; /* begun so far: names their directories, shortly, as sockets' paths are */
	struct slot slots[MAX_PARALLEL];
	suite_fn *fn;
	void *arg;
};

static void be_child(const struct suite *s, const struct slot *slot, int slot_index, int fd)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	signal(SIGINT, SIG_DFL);
	signal(SIGTERM, SIG_DFL);
	signal(SIGHUP, SIG_DFL);
	if (s->o->target)
		errand_through(s->o->target, &fd);
	struct play_options options = {.target = s->o->target,
	                               .slot = slot_index,
	                               .dir = slot->dir,
	                               .timeout_ms = s->o->timeout_ms,
	                               .step_ms = s->o->step_ms};
	cJSON *outcome = play_scenario(slot->entry->sc, &options), *line = json_object();
	json_add(line, "outcome", outcome);
	_exit(errand_line(fd, line) ? 1 : 0);
}

static int start(struct suite *s, int index, struct entry *e, struct err *err)
{
	struct slot *slot = &s->slots[index];
	int pair[2];
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair))
		return err_sys(err, errno, "socketpair");
	e->started = true;
	e->attempts++;
	int64_t timeout = e->sc->timeout_ms ? e->sc->timeout_ms : s->o->timeout_ms;
	*slot = (struct slot){.entry = e,
	                      .fd = pair[0],
	                      .deadline = clock_mono_ms() + timeout + GRACE_MS,
	                      .dir = mem_printf("%s/%d", s->o->dir, ++s->plays),
	                      .in = STR_INIT_MAX(MAX_LINE)};
	fflush(NULL);
	slot->pid = fork();
	if (slot->pid == 0)
		be_child(s, slot, index, pair[1]);
	close(pair[1]);
	if (slot->pid < 0) {
		err_sys(err, errno, "fork");
		close(slot->fd);
		free(slot->dir);
		*slot = (struct slot){0};
		return -1;
	}
	return 0;
}

static cJSON *result_of(const struct entry *e, const char *status, const char *message)
{
	cJSON *r = json_object();
	json_add_text(r, "name", e->sc->name);
	json_add_text(r, "title", e->sc->title);
	json_add_text(r, "file", e->sc->file);
	json_add_text(r, "status", status);
	json_add_int(r, "attempts", e->attempts);
	if (e->round > 1)
		json_add_int(r, "round", e->round);
	json_add_int(r, "duration_ms", e->spent_ms);
	if (message)
		json_add_text(r, "message", message);
	return r;
}

static void settle(struct suite *s, struct entry *e, const char *status, const char *message)
{
	e->result = result_of(e, status, message);
	s->done++;
	if (s->fn)
		s->fn(s->arg, e->result, s->done, s->n);
}

static cJSON *outcome_of_death(int status, bool overrun)
{
	cJSON *o = json_object();
	json_add_text(o, "status", "failed");
	cleanup_free char *why =
	        overrun ? mem_strdup("its time was over and it did not end by itself")
	        : WIFSIGNALED(status)
	                ? mem_printf("the scenario's process died of signal %d", WTERMSIG(status))
	                : mem_printf("the scenario's process ended with %d", WEXITSTATUS(status));
	json_add_text(o, "message", why);
	return o;
}

/* The child is gone: note the outcome, or have another try. */
static void ended(struct suite *s, struct slot *slot, bool overrun)
{
	int status = 0;
	struct entry *e = slot->entry;
	if (overrun)
		kill(slot->pid, SIGKILL);
	while (waitpid(slot->pid, &status, 0) < 0 && errno == EINTR)
		;
	play_sweep(slot->dir);
	cleanup_json cJSON *outcome = slot->outcome ? slot->outcome : outcome_of_death(status, overrun);
	e->spent_ms += json_int(outcome, "duration_ms", 0);
	const char *how = json_text(outcome, "status");
	bool passed = how && strcmp(how, "passed") == 0;
	if (passed || e->attempts > s->o->retry)
		settle(s, e,
		       !passed           ? "failed"
		       : e->attempts > 1 ? "flaky"
		                         : "passed",
		       json_text(outcome, "message"));
	else
		e->started = false;
	close(slot->fd);
	free(slot->dir);
	str_free(&slot->in);
	*slot = (struct slot){0};
}

static void take_lines(struct suite *s, struct slot *slot)
{
	char *end;
	while (slot->in.len && (end = memchr(slot->in.p, '\n', slot->in.len))) {
		struct err ignored = {0};
		size_t len = (size_t)(end - slot->in.p);
		cleanup_json cJSON *line = json_parse(slot->in.p, len, &ignored);
		cJSON *outcome = cJSON_DetachItemFromObjectCaseSensitive(line, "outcome");
		if (outcome)
			slot->outcome = outcome;
		else if (errand_serve(s->o->target, slot->fd, line))
			kill(slot->pid, SIGKILL);
		size_t rest = slot->in.len - len - 1;
		memmove(slot->in.p, end + 1, rest);
		str_cut(&slot->in, rest);
	}
}

static void readable(struct suite *s, struct slot *slot)
{
	char buf[8192];
	ssize_t n = recv(slot->fd, buf, sizeof(buf), MSG_DONTWAIT);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		ended(s, slot, false);
		return;
	}
	str_addn(&slot->in, buf, (size_t)n);
	take_lines(s, slot);
}

static struct entry *next_entry(struct suite *s, bool alone)
{
	for (size_t i = 0; i < s->n; i++) {
		struct entry *e = &s->entries[i];
		if (!e->started && !e->result && e->sc->alone == alone)
			return e;
	}
	return NULL;
}

static int free_slot(const struct suite *s, int *running, bool *alone)
{
	int slot = -1;
	*running = 0;
	*alone = false;
	for (int i = s->o->parallel - 1; i >= 0; i--) {
		const struct entry *e = s->slots[i].entry;
		if (!e) {
			slot = i;
			continue;
		}
		++*running;
		*alone |= e->sc->alone;
	}
	return slot;
}

static int fill(struct suite *s, struct err *err)
{
	for (;;) {
		int running;
		bool alone;
		int slot = free_slot(s, &running, &alone);
		if (slot < 0 || alone)
			return 0;
		struct entry *e = next_entry(s, false);
		if (!e && running == 0)
			e = next_entry(s, true);
		if (!e)
			return 0;
		if (start(s, slot, e, err))
			return -1;
	}
}

/* One wait for the plays that run. */
static int turn(struct suite *s, struct job *job, struct err *err)
{
	struct pollfd fds[MAX_PARALLEL];
	struct slot *of[MAX_PARALLEL];
	nfds_t n = 0;
	int64_t now = clock_mono_ms(), wait = INT32_MAX;
	for (int i = 0; i < s->o->parallel; i++) {
		struct slot *slot = &s->slots[i];
		if (!slot->entry)
			continue;
		fds[n] = (struct pollfd){.fd = slot->fd, .events = POLLIN};
		of[n++] = slot;
		wait = slot->deadline - now < wait ? slot->deadline - now : wait;
	}
	if (job_poll(job, fds, n, wait > 0 ? wait : 0, err) < 0)
		return -1;
	for (nfds_t i = 0; i < n; i++) {
		if (fds[i].revents)
			readable(s, of[i]);
		else if (clock_mono_ms() >= of[i]->deadline)
			ended(s, of[i], true);
	}
	return 0;
}

static void end_all(struct suite *s)
{
	s->fn = NULL;
	for (int i = 0; i < MAX_PARALLEL; i++)
		if (s->slots[i].entry)
			ended(s, &s->slots[i], true);
}

/* Why a scenario cannot be run against this target; NULL: it can. */
static const char *skip_reason(const struct suite *s, const struct scenario *sc)
{
	if (sc->talks && s->o->target && !target_key(s->o->target))
		return "needs the built-in Telegram server, and this session talks to the real one";
	return NULL;
}

static int run_entries(struct suite *s, struct job *job, struct err *err)
{
	for (size_t i = 0; i < s->n; i++) {
		const char *reason = skip_reason(s, s->entries[i].sc);
		if (reason)
			settle(s, &s->entries[i], "skipped", reason);
	}
	while (s->done < s->n)
		if (fill(s, err) || (s->done < s->n && turn(s, job, err)))
			return -1;
	return 0;
}

int suite_run(struct job *job, const struct scenario *const *scenarios, size_t n,
              const struct suite_options *options, suite_fn *fn, void *arg, cJSON **results, struct err *err)
{
	struct suite_options o = *options;
	o.parallel = o.parallel < 1 ? 1 : o.parallel > MAX_PARALLEL ? MAX_PARALLEL : o.parallel;
	o.repeat = o.repeat < 1 ? 1 : o.repeat;
	struct suite s = {.o = &o, .n = n * (size_t)o.repeat, .fn = fn, .arg = arg};
	s.entries = mem_alloc((s.n + 1) * sizeof(*s.entries));
	for (size_t i = 0; i < s.n; i++)
		s.entries[i] = (struct entry){.sc = scenarios[i / (size_t)o.repeat],
		                              .round = (int)(i % (size_t)o.repeat) + 1};
	int rc = run_entries(&s, job, err);
	end_all(&s);
	cJSON *list = json_array();
	for (size_t i = 0; i < s.n; i++)
		if (s.entries[i].result)
			cJSON_AddItemToArray(list, s.entries[i].result);
	free(s.entries);
	if (rc)
		cJSON_Delete(list);
	else
		*results = list;
	return rc;
}
