/* `codefoundry session cp`: files into and out of a service, like `docker cp`. */
#include "cli/args.h"
#include "cli/cmd_session.h"
#include "cli/term.h"
#include "core/clock.h"
#include "core/mem.h"
#include "sessions/session.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PATIENCE_MS 1000 /* what is over by then needs no progress */
#define DRAW_MS 200

struct drawing {
	int64_t begun_ms, drawn_ms, bytes;
};

static void draw(void *arg, int64_t bytes)
{
	struct drawing *d = arg;
	int64_t now = clock_mono_ms(), passed = now - d->begun_ms;
	d->bytes += bytes;
	if (passed < PATIENCE_MS || now - d->drawn_ms < DRAW_MS)
		return;
	double mib = (double)d->bytes / (1 << 20);
	d->drawn_ms = now;
	fprintf(stderr, "\r\033[K%.1f MiB, %.1f MiB/s", mib, mib * 1000 / (double)passed);
	fflush(stderr);
}

/* The place in a session that ${word} names, NAME:[SERVICE:]PATH, cut into its parts in place; false for a path of this machine, which may have
 * a ":" behind a "/" or a "." at its beginning. */
static bool cut(char *word, struct session_copy *c)
{
	struct err ignored = {0};
	char *path = strchr(word, ':'), *service = NULL;
	if (!path || *word == '/' || *word == '.')
		return false;
	*path++ = '\0';
	char *second = *path == '/' ? NULL : strchr(path, ':');
	if (second && !memchr(path, '/', (size_t)(second - path))) {
		service = path;
		path = second + 1;
		*second = '\0';
	}
	if (session_name_check(word, &ignored)) {
		*(path - 1) = ':';
		return false;
	}
	c->session = word;
	c->service = service;
	c->path = path;
	return true;
}

static int parse(char *from, char *to, struct session_copy *c, struct err *err)
{
	struct session_copy other = {0};
	bool out = cut(from, c), in = cut(to, out ? &other : c);
	if (out == in)
		return err_set(err, ERR_USAGE,
		               "one of the two must be in a session, NAME:PATH or NAME:SERVICE:PATH, and the "
		               "other one here");
	c->out = out;
	c->local = out ? to : from;
	if (!*c->path || !*c->local || (c->service && !*c->service))
		return err_set(err, ERR_USAGE, "say which file: NAME:PATH or NAME:SERVICE:PATH");
	if (out && !strcmp(to, "-") && isatty(STDOUT_FILENO))
		return err_set(
		        err, ERR_USAGE,
		        "this writes a tar archive: send it to a file or a program, not to the terminal");
	return 0;
}

int session_verb_cp(const struct config *cfg, int argc, char **argv, struct err *err)
{
	static const struct arg table[] = {{0}};
	struct args a = {"codefoundry session cp NAME:[SERVICE:]PATH FILE | FILE NAME:[SERVICE:]PATH   e.g. "
	                 "session cp "
	                 "demo:gateway:/etc/hosts .   (FILE -: a tar stream)",
	                 table, 2, 2};
	struct drawing drawing = {.begun_ms = clock_mono_ms()};
	struct session_copy copy = {.arg = &drawing, .moved = isatty(STDERR_FILENO) ? draw : NULL};
	cleanup_state struct state *st = NULL;
	if (args_parse(&a, argc, argv, err))
		return -1;
	cleanup_free char *from = mem_strdup(a.words[0]), *to = mem_strdup(a.words[1]);
	if (parse(from, to, &copy, err) || state_open(&st, cfg, err))
		return -1;
	int rc = session_copy(st, &copy, err);
	if (drawing.drawn_ms)
		fprintf(stderr, "\r\033[K");
	if (rc == 0 && copy.skipped)
		fprintf(stderr, "%ld left out: only files, directories and links are copied\n", copy.skipped);
	return rc;
}
