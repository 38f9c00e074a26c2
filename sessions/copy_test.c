/* Copying into and out of sessions of both engines. The places are the same in both: what is /files in a container is
 * /files below the state directory. */
#include "sessions/test_compose.h"
#include <sched.h>
#include <sys/mount.h>

static struct test_state *t;
static char here[80]; /* a directory of this machine */

static char *local(const char *name)
{
	return mem_printf("%s/%s", here, name);
}

static int copy(const char *path, const char *name, bool out, struct err *err)
{
	cleanup_free char *file = local(name);
	struct session_copy c = {
	        .session = "demo", .path = path, .local = strcmp(name, "-") ? file : name, .out = out};
	*err = (struct err){0};
	int rc = session_copy(t->st, &c, err);
	return rc ? -1 : (int)c.skipped;
}

static void copies(const char *path, const char *name, bool out)
{
	struct err err;
	if (copy(path, name, out, &err))
		fail_msg("%s %s %s: %s", path, out ? "to" : "from", name, err.msg);
}

static void refuses(const char *path, const char *name, bool out, enum err_code code, const char *says)
{
	struct err err;
	if (copy(path, name, out, &err) != -1)
		fail_msg("%s %s %s is done", path, out ? "to" : "from", name);
	if (err.code != code || !strstr(err.msg, says))
		fail_msg("%s %s %s: %s: %s", path, out ? "to" : "from", name, err_name(err.code), err.msg);
}

static void write_local(const char *name, const char *text, mode_t mode)
{
	cleanup_free char *path = local(name);
	assert_ok(file_write(path, text, strlen(text), mode, err));
	chmod(path, mode);
}

static void make_local(const char *name)
{
	cleanup_free char *path = local(name);
	assert_int_equal(mkdir(path, 0755), 0);
}

static void assert_local(const char *name, const char *text, mode_t mode)
{
	cleanup_free char *path = local(name), *got = NULL;
	struct stat s;
	assert_ok(file_read(path, 1 << 20, &got, NULL, err));
	assert_string_equal(got, text);
	assert_int_equal(stat(path, &s), 0);
	assert_int_equal(s.st_mode & 07777, mode);
	assert_int_equal(s.st_uid, geteuid());
}

static bool local_exists(const char *name)
{
	cleanup_free char *path = local(name);
	return path_exists(path);
}

static long local_count(void)
{
	return tree_count(here);
}

static void begin(void **data)
{
	t = *data;
	snprintf(here, sizeof(here), "%s/here", t->dir);
	assert_int_equal(mkdir(here, 0700), 0);
}

/* -- of both engines -- */

static void there_and_back(void)
{
	make_local("src");
	make_local("src/sub");
	write_local("src/a", "first", 0640);
	write_local("src/sub/b", "second", 0755);
	cleanup_free char *link = local("src/link"), *fifo = local("src/fifo"), *target = local("back/link");
	assert_int_equal(symlink("/etc/passwd", link), 0);
	copies("/files", "src", false); /* is not there: it becomes that */
	copies("/files/sub/", "src/a", false);
	copies("/files/renamed", "src/a", false);
	copies("/files", "src", false); /* is there now: it goes into it */

	copies("/files", "back", true);
	assert_local("back/a", "first", 0640);
	assert_local("back/sub/b", "second", 0755);
	assert_local("back/sub/a", "first", 0640);
	assert_local("back/renamed", "first", 0640);
	assert_local("back/src/sub/b", "second", 0755);
	char text[64] = "";
	assert_int_equal(readlink(target, text, sizeof(text) - 1), 11);

	copies("/files/a", "file", true);
	assert_local("file", "first", 0640);
	copies("/files/sub/b", "file", true); /* in its place */
	assert_local("file", "second", 0755);
	make_local("into");
	copies("files/a", "into", true);
	assert_local("into/a", "first", 0640);
	copies("/files/sub", "into", true);
	assert_local("into/sub/b", "second", 0755);
	copies("/files/sub/.", "into/", true);
	assert_local("into/b", "second", 0755);
	copies("/files/sub/.", "fresh", true);
	assert_local("fresh/b", "second", 0755);
	copies("/files/inner", "src/.", false); /* what is in it */
	copies("/files/inner/sub/.", "inner", true);
	assert_local("inner/b", "second", 0755);

	assert_int_equal(mkfifo(fifo, 0600), 0);
	struct err err;
	assert_int_equal(copy("/files/odd", "src", false, &err), 1);
}

static void what_cannot_be(void)
{
	long before = local_count();
	refuses("/files/nothing", "x", true, ERR_NOT_FOUND, "/files/nothing");
	refuses("/files/a", "no/dir", true, ERR_NOT_FOUND, "no");
	refuses("/files/a", "none/", true, ERR_NOT_FOUND, "there is no directory");
	refuses("/files", "file", true, ERR_EXISTS, "is no directory");
	refuses("/files/../a", "x", true, ERR_INVALID, "without ..");
	refuses("..", "x", true, ERR_INVALID, "without ..");
	refuses("/files/x", "nothing", false, ERR_NOT_FOUND, "nothing");
	refuses("/nowhere/x", "file", false, ERR_NOT_FOUND, "there is no directory /nowhere");
	refuses("/files/none/", "file", false, ERR_NOT_FOUND, "there is no directory /files/none/");
	refuses("/files/fifo", "src/fifo", false, ERR_INVALID, "no file, directory or link");
	refuses("/files/a", "-", false, ERR_NOT_FOUND, "there is no directory");
	assert_int_equal(local_count(), before);

	/* told to end before it began: nothing stands there */
	sigset_t set, old;
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigprocmask(SIG_BLOCK, &set, &old);
	kill(getpid(), SIGTERM);
	refuses("/files", "cut-off", true, ERR_CANCELLED, "");
	kill(getpid(), SIGTERM);
	refuses("/files/cut-off", "src", false, ERR_CANCELLED, "");
	sigprocmask(SIG_SETMASK, &old, NULL);
	assert_int_equal(local_count(), before);
	refuses("/files/cut-off", "x", true, ERR_NOT_FOUND, "cut-off");
}

/* In a mount namespace of its own, where a small file system is full. */
static void onto_a_full_disk(void)
{
	cleanup_free char *big = mem_alloc(4 << 20);
	memset(big, 'x', (4 << 20) - 1);
	write_local("big", big, 0600);
	copies("/files/big", "big", false);
	make_local("full");
	fflush(NULL);
	pid_t pid = fork();
	if (pid == 0) {
		struct err err;
		cleanup_free char *full = local("full");
		if (unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
		    mount("none", full, "tmpfs", 0, "size=1m"))
			_exit(77); /* not root */
		int rc = copy("/files/big", "full/x", true, &err);
		long left = tree_count(full);
		if (rc != -1 || err.code != ERR_IO || !strstr(err.msg, "No space left") || left != 1)
			fprintf(stderr, "%d %s: %s, %ld\n", rc, err_name(err.code), err.msg, left);
		_exit(rc == -1 && err.code == ERR_IO && strstr(err.msg, "No space left") && left == 1 ? 0
		                                                                                      : 1);
	}
	int code = test_wait_end(pid);
	assert_true(code == 0 || (code == 77 && geteuid() != 0));
}

/* As an archive on standard output, and from standard input. */
static void as_an_archive(void)
{
	cleanup_free char *tar = local("all.tar");
	cleanup_close int file = open(tar, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	cleanup_close int out = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3),
	                  in = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3);
	fflush(stdout);
	dup2(file, STDOUT_FILENO);
	struct err err;
	int rc = copy("/files/sub", "-", true, &err);
	dup2(out, STDOUT_FILENO);
	assert_int_equal(rc, 0);
	lseek(file, 0, SEEK_SET);
	dup2(file, STDIN_FILENO);
	rc = copy("/files/inner", "-", false, &err);
	dup2(in, STDIN_FILENO);
	if (rc)
		fail_msg("%s", err.msg);
	copies("/files/inner/sub/b", "unpacked", true);
	assert_local("unpacked", "second", 0755);
}

static void all_of_it(void)
{
	there_and_back();
	what_cannot_be();
	onto_a_full_disk();
	as_an_archive();
}

/* -- each -- */

static void of_containers(void **data)
{
	begin(data);
	cJSON_Delete(start(t, "demo",
	                   "services:\n  a:\n    image: '@'\n    stop_signal: SIGKILL\n"
	                   "    command: [sleep, '1000']\n    user: '1234:5678'\n    working_dir: /tmp\n"));
	all_of_it();
	cleanup_free char *owner = sh(t, "demo", "a", "ls -lnd /files/sub/b /files/sub");
	int lines = 0;
	for (const char *p = owner; (p = strstr(p, " 1234     5678 ")); p++)
		lines++;
	assert_int_equal(lines, 2);

	/* a directory does not replace a file in it */
	refuses("/files/a/", "src", false, ERR_FAILED, "");
	/* from one that is stopped and kept */
	does(t, "session.stop", "{\"name\":\"demo\",\"keep\":true}");
	copies("/files/a", "kept", true);
	assert_local("kept", "first", 0640);
	stop_gone(t, "demo");
	refuses("/files/a", "kept", true, ERR_NOT_FOUND, "demo");
	assert_gone(t);
}

static void of_processes(void **data)
{
	begin(data);
	does(t, "session.start", "{\"name\":\"demo\",\"services\":[\"gateway\"]}");
	all_of_it();

	/* no link leads out, whoever put it there */
	cleanup_free char *link = state_path(t->st, "sessions/demo/state/files/out"),
	                  *dir = state_path(t->st, "sessions/demo/state/out");
	assert_int_equal(symlink(here, link), 0);
	assert_int_equal(symlink(here, dir), 0);
	long before = local_count();
	refuses("/out/src", "x", true, ERR_INVALID, "no link is followed");
	refuses("/out", "src", false, ERR_EXISTS, "remove it first");
	refuses("/files/out/x", "file", false, ERR_INVALID, "no link is followed");
	refuses("/out/.", "x", true, ERR_INVALID, "no link is followed");
	copies("/out", "link", true); /* the link itself */
	cleanup_free char *copied = local("link");
	struct stat s;
	assert_int_equal(lstat(copied, &s), 0);
	assert_true(S_ISLNK(s.st_mode));
	assert_int_equal(local_count(), before + 1);
	assert_true(local_exists("src"));
	does(t, "session.stop", "{\"name\":\"demo\",\"keep\":true}");
	copies("/files/a", "kept", true);
	assert_local("kept", "first", 0640);
	stop_clean(t, "demo");
}

int main(int argc, char **argv)
{
	if (argc > 1)
		return again_main(argc, argv);
	signal(SIGPIPE, SIG_IGN); /* as in the program */
	const struct CMUnitTest tests[] = {T(of_processes), V1(of_containers)};
	return cmocka_run_group_tests_name("copy", tests, group_setup, group_teardown);
}
