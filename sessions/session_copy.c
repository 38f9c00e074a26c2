/* Copying files between this machine and a service: two sides with a pipe between them, one of them on a thread of its own. Odd rule:
 * whichever side fails first says why, and stops the other before it closes the pipe, so that an end too early is never taken for
 * the end. */
#include "core/mem.h"
#include "core/tar.h"
#include "sessions/operation.h"
#include "sessions/session.h"
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>

enum side { NOBODY, ENGINE_SIDE, LOCAL_SIDE };

struct copying {
	struct state *st;
	struct session_copy *c;
	struct session_row row;
	const struct engine *engine;
	const char *service;
	char *path; /* absolute, in the service */

	int signals, aborted, stop; /* stop is readable when one of the others is */
	sigset_t blocked, before;
	atomic_int first; /* enum side: who failed first */

	/* the side of this machine */
	pthread_t thread;
	int dirfd, pipe;
	char *name, *as;
	struct tar_options options;
	struct err err;
	int rc;
};

/* -- where -- */

static bool has_dots(const char *path)
{
	for (const char *p = path; (p = strstr(p, "..")); p += 2)
		if ((p == path || p[-1] == '/') && (p[2] == '/' || !p[2]))
			return true;
	return false;
}

static bool ends_in_slash(const char *path)
{
	size_t n = strlen(path);
	return n && path[n - 1] == '/';
}

/* "…/." and "/": what is in it, and not itself. */
static bool means_inside(const char *path)
{
	size_t n = strlen(path);
	return !strcmp(path, "/") || !strcmp(path, ".") || (n > 1 && !strcmp(path + n - 2, "/."));
}

/* The last part of ${path}, without slashes behind it; "" of the root. The caller frees it. */
static char *last_of(const char *path)
{
	size_t n = strlen(path);
	while (n && path[n - 1] == '/')
		n--;
	size_t from = n;
	while (from && path[from - 1] != '/')
		from--;
	return mem_strndup(path + from, n - from);
}

/* What stands before it: "/" at the least of an absolute one, "." of a word. The caller frees it. */
static char *above(const char *path)
{
	cleanup_free char *last = last_of(path);
	size_t n = strlen(path);
	while (n && path[n - 1] == '/')
		n--;
	n -= strlen(last);
	while (n > 1 && path[n - 1] == '/')
		n--;
	return n ? mem_strndup(path, n) : mem_strdup(".");
}

static int find(struct copying *k, struct err *err)
{
	const struct session_copy *c = k->c;
	if (has_dots(c->path))
		return err_set(err, ERR_INVALID, "%s: name the path in the session without ..", c->path);
	if (operation_find(k->st, c->session, &k->row, err))
		return -1;
	if (k->row.state != SESSION_RUNNING && k->row.state != SESSION_STOPPED)
		return err_set(err, ERR_STATE,
		               "session %s is %s: files are copied while it runs or is stopped and kept",
		               c->session, lifecycle_state_name(k->row.state));
	k->service = c->service ? c->service : operation_usual_service(&k->row);
	k->engine = engine_by_name(k->row.engine, err);
	if (!k->engine || operation_has_service(&k->row, k->service, err))
		return -1;
	k->path = *c->path == '/' ? mem_strdup(c->path) : mem_printf("/%s", c->path);
	return 0;
}

static int is_dir(struct copying *k, const char *path, struct err *err)
{
	return k->engine->is_dir(k->st, &k->row, k->service, path, err);
}

/* -- the side of this machine -- */

/* The first one to fail stops the other. An eventfd takes the number it is given. */
static void fails(struct copying *k, enum side side)
{
	int nobody = NOBODY;
	if (atomic_compare_exchange_strong(&k->first, &nobody, side))
		eventfd_write(k->aborted, 1);
}

static void *run_local(void *arg)
{
	struct copying *k = arg;
	if (k->c->out)
		k->rc = tar_receive(k->pipe, k->dirfd, k->as, &k->options, &k->err);
	else
		k->rc = tar_pack(k->dirfd, k->name, k->as, k->pipe, &k->options, &k->err);
	if (k->rc)
		fails(k, LOCAL_SIDE);
	close(k->pipe);
	return NULL;
}

/* Between a pipe of which the engine has the other end, ${*far}. */
static int begin_local(struct copying *k, int *far, struct err *err)
{
	int ends[2];
	if (pipe2(ends, O_CLOEXEC))
		return err_sys(err, errno, "pipe");
	k->pipe = ends[k->c->out ? 0 : 1];
	*far = ends[k->c->out ? 1 : 0];
	k->options.stop_fd = k->stop;
	k->options.moved = k->c->moved;
	k->options.arg = k->c->arg;
	int failed = pthread_create(&k->thread, NULL, run_local, k);
	if (!failed)
		return 0;
	close(ends[0]);
	close(ends[1]);
	return err_sys(err, failed, "start a thread");
}

/* -- both -- */

static int open_stop(struct copying *k, struct err *err)
{
	struct epoll_event readable = {.events = EPOLLIN};
	sigemptyset(&k->blocked);
	sigaddset(&k->blocked, SIGINT);
	sigaddset(&k->blocked, SIGTERM);
	sigaddset(&k->blocked, SIGHUP);
	pthread_sigmask(SIG_BLOCK, &k->blocked, &k->before);
	k->signals = signalfd(-1, &k->blocked, SFD_CLOEXEC | SFD_NONBLOCK);
	k->aborted = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	k->stop = epoll_create1(EPOLL_CLOEXEC);
	if (k->signals < 0 || k->aborted < 0 || k->stop < 0 ||
	    epoll_ctl(k->stop, EPOLL_CTL_ADD, k->signals, &readable) ||
	    epoll_ctl(k->stop, EPOLL_CTL_ADD, k->aborted, &readable))
		return err_sys(err, errno, "watch for signals");
	return 0;
}

static void close_stop(struct copying *k)
{
	struct signalfd_siginfo info;
	/* what was to end the copying has done so */
	while (k->signals >= 0 && read(k->signals, &info, sizeof(info)) > 0)
		;
	const int fds[] = {k->stop, k->aborted, k->signals, k->dirfd};
	for (size_t i = 0; i < ARRAY_LEN(fds); i++)
		if (fds[i] >= 0)
			close(fds[i]);
	pthread_sigmask(SIG_SETMASK, &k->before, NULL);
}

static int run_engine(struct copying *k, const char *path, int fd, struct err *err)
{
	return k->c->out ? k->engine->copy_out(k->st, &k->row, k->service, path, fd, k->stop, err)
	                 : k->engine->copy_in(k->st, &k->row, k->service, path, fd, k->stop, err);
}

static int run_both(struct copying *k, const char *path, struct err *err)
{
	int far = -1;
	if (begin_local(k, &far, err))
		return -1;
	int rc = run_engine(k, path, far, err);
	if (rc)
		fails(k, ENGINE_SIDE);
	close(far);
	pthread_join(k->thread, NULL);
	k->c->skipped = k->options.skipped;
	if (atomic_load(&k->first) == LOCAL_SIDE) {
		*err = k->err;
		return -1;
	}
	return rc;
}

/* -- out of a service -- */

/* Where it is to stand here: sets dirfd and as. */
static int place_here(struct copying *k, struct err *err)
{
	struct stat s;
	const char *to = k->c->local;
	bool there = stat(to, &s) == 0, inside = means_inside(k->path);
	int source_dir = there && S_ISDIR(s.st_mode) ? 0 : is_dir(k, k->path, err);
	if (source_dir < 0)
		return -1;
	if (there && !S_ISDIR(s.st_mode) && source_dir)
		return err_set(err, ERR_EXISTS, "%s is no directory, but %s is one", to, k->path);
	if (!there && ends_in_slash(to) && !source_dir)
		return err_set(err, ERR_NOT_FOUND, "there is no directory %s here: make it first", to);
	cleanup_free char *parent = there && S_ISDIR(s.st_mode) ? mem_strdup(to) : above(to);
	if (there && S_ISDIR(s.st_mode))
		k->as = inside ? mem_strdup("") : last_of(k->path);
	else
		k->as = last_of(to);
	k->dirfd = open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return k->dirfd < 0 ? err_sys(err, errno, "%s", parent) : 0;
}

static int copy_out(struct copying *k, struct err *err)
{
	if (!strcmp(k->c->local, "-"))
		return run_engine(k, k->path, STDOUT_FILENO, err);
	return place_here(k, err) ? -1 : run_both(k, k->path, err);
}

/* -- into a service -- */

static int open_source(struct copying *k, struct stat *s, struct err *err)
{
	const char *from = k->c->local;
	bool inside = means_inside(from);
	if (lstat(from, s))
		return err_sys(err, errno, "%s", from);
	cleanup_free char *parent = inside ? mem_strdup(from) : above(from), *last = last_of(from);
	if (!inside && (!strcmp(last, "..") || !*last))
		return err_set(err, ERR_INVALID, "%s: name what is to be copied by its own name", from);
	k->dirfd = open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	k->name = inside ? mem_strdup(".") : TAKE(last);
	return k->dirfd < 0 ? err_sys(err, errno, "%s", parent) : 0;
}

/* Which directory it goes into, and as what. The caller frees ${*into}. */
static int place_there(struct copying *k, const struct stat *s, char **into, struct err *err)
{
	bool inside = means_inside(k->c->local);
	int there = is_dir(k, k->path, err);
	if (there < 0)
		return -1;
	if (there) {
		k->as = inside ? mem_strdup(".") : last_of(k->c->local);
		*into = mem_strdup(k->path);
		return 0;
	}
	if (ends_in_slash(k->path) && !S_ISDIR(s->st_mode))
		return err_set(err, ERR_NOT_FOUND, "there is no directory %s in %s", k->path, k->service);
	*into = above(k->path);
	k->as = last_of(k->path);
	int parent = is_dir(k, *into, err);
	return parent > 0 ? 0
	       : parent < 0
	               ? -1
	               : err_set(err, ERR_NOT_FOUND, "there is no directory %s in %s", *into, k->service);
}

static int copy_in(struct copying *k, struct err *err)
{
	struct stat s;
	cleanup_free char *into = NULL;
	if (!strcmp(k->c->local, "-")) {
		int there = is_dir(k, k->path, err);
		return there < 0 ? -1
		       : there   ? run_engine(k, k->path, STDIN_FILENO, err)
		                 : err_set(err, ERR_NOT_FOUND,
		                           "there is no directory %s in %s, which an archive is unpacked in",
		                           k->path, k->service);
	}
	if (open_source(k, &s, err) || place_there(k, &s, &into, err) ||
	    k->engine->owner(k->st, &k->row, k->service, &k->options.uid, &k->options.gid, err))
		return -1;
	return run_both(k, into, err);
}

int session_copy(struct state *st, struct session_copy *c, struct err *err)
{
	struct copying k = {.st = st, .c = c, .signals = -1, .aborted = -1, .stop = -1, .dirfd = -1};
	c->skipped = 0;
	int rc = open_stop(&k, err);
	if (rc == 0)
		rc = find(&k, err);
	if (rc == 0 && k.row.state == SESSION_RUNNING)
		session_touch(st, c->session);
	if (rc == 0)
		rc = c->out ? copy_out(&k, err) : copy_in(&k, err);
	close_stop(&k);
	store_row_free(&k.row);
	free(k.path);
	free(k.name);
	free(k.as);
	return rc;
}
