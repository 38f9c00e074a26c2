#include "core/clock.h"
#include "core/file.h"
#include "core/mem.h"
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
/* after the standard headers */
#include <cmocka.h>

static char dir[64];
static struct err err;

static int setup(void **state)
{
	(void)state;
	snprintf(dir, sizeof(dir), "/tmp/file_test.XXXXXX");
	err_clear(&err);
	return mkdtemp(dir) ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	return tree_remove(dir, &err);
}

/* "dir/name"; good until the fourth call after it. */
static const char *in_dir(const char *name)
{
	static char paths[4][256];
	static unsigned next;
	char *path = paths[next++ % 4];
	snprintf(path, sizeof(paths[0]), "%s/%s", dir, name);
	return path;
}

static void put(const char *name, const char *text)
{
	if (file_write(in_dir(name), text, strlen(text), 0644, &err))
		fail_msg("%s", err.msg);
}

static int finished(pid_t pid)
{
	int status = 0;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* -- reading and writing -- */

/* What blocks, leads elsewhere or has no end is not read: the alarm ends whoever waits for a writer. */
static void reads_regular_files_only(void **state)
{
	(void)state;
	char *text = NULL;
	size_t len = 0;
	put("plain", "text");
	assert_int_equal(file_read_regular(in_dir("plain"), 100, &text, &len, &err), 0);
	assert_string_equal(text, "text");
	assert_int_equal(len, 4);
	free(text);
	assert_int_equal(mkfifo(in_dir("fifo"), 0600), 0);
	assert_int_equal(symlink("plain", in_dir("link")), 0);
	static const char *const odd[] = {"fifo", "link", "."};
	alarm(20);
	for (size_t i = 0; i < ARRAY_LEN(odd) + 1; i++) {
		const char *path = i < ARRAY_LEN(odd) ? in_dir(odd[i]) : "/dev/zero";
		assert_int_equal(file_read_regular(path, 100, &text, NULL, &err), -1);
		assert_int_equal(err.code, ERR_INVALID);
		assert_non_null(strstr(err.msg, "is not a regular file"));
	}
	alarm(0);
	assert_int_equal(file_read_regular(in_dir("none"), 100, &text, NULL, &err), -1);
	assert_int_equal(err.code, ERR_NOT_FOUND);
	assert_int_equal(file_read_regular(in_dir("plain"), 3, &text, NULL, &err), -1);
	assert_int_equal(err.code, ERR_LIMIT);
}

static void reads_within_a_bound(void **state)
{
	(void)state;
	static const struct {
		size_t size, max;
		enum err_code code;
	} cases[] = {{0, 0, ERR_NONE},
	             {0, 10, ERR_NONE},
	             {10, 10, ERR_NONE},
	             {11, 10, ERR_LIMIT},
	             {4095, 4095, ERR_NONE},
	             {4096, 4096, ERR_NONE},
	             {4096, 4095, ERR_LIMIT},
	             {1 << 20, 1 << 20, ERR_NONE},
	             {1 << 20, 99999, ERR_LIMIT},
	             {1, 0, ERR_LIMIT},
	             {5000, SIZE_MAX, ERR_NONE}};
	cleanup_free char *data = mem_alloc(1 << 20);
	for (size_t i = 0; i < 1 << 20; i++)
		data[i] = (char)i;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		cleanup_free char *text = NULL;
		size_t len = 77;
		assert_int_equal(file_write(in_dir("f"), data, cases[i].size, 0600, &err), 0);
		err_clear(&err);
		file_read(in_dir("f"), cases[i].max, &text, &len, &err);
		assert_int_equal(err.code, cases[i].code);
		if (cases[i].code) {
			assert_null(text);
			assert_non_null(strstr(err.msg, in_dir("f")));
			continue;
		}
		assert_int_equal(len, cases[i].size);
		assert_memory_equal(text, data, len);
		assert_int_equal(text[len], '\0');
	}
	char *text = NULL;
	assert_int_equal(file_read("/dev/zero", 100000, &text, NULL, &err), -1); /* without an end */
	assert_int_equal(err.code, ERR_LIMIT);
	assert_int_equal(file_read(in_dir("none"), 10, &text, NULL, &err), -1);
	assert_int_equal(err.code, ERR_NOT_FOUND);
	assert_int_equal(file_read(in_dir("f/x"), 10, &text, NULL, &err), -1);
	assert_int_equal(err.code, ERR_NOT_FOUND);
	assert_int_equal(file_read(dir, 10, &text, NULL, &err), -1);
	assert_int_equal(err.code, ERR_IO);
	assert_null(text);
}

static void peeks(void **state)
{
	(void)state;
	char buf[8];
	put("f", "0123456789");
	assert_int_equal(file_peek(in_dir("f"), buf, sizeof(buf)), 7);
	assert_string_equal(buf, "0123456");
	assert_int_equal(file_peek(in_dir("f"), buf, 1), 0);
	assert_string_equal(buf, "");
	assert_int_equal(file_peek(in_dir("none"), buf, sizeof(buf)), -1);
	assert_true(file_peek("/proc/self/stat", buf, sizeof(buf)) == 7);
}

static void writes_replace_whole_files(void **state)
{
	(void)state;
	struct stat st;
	mode_t old = umask(077);
	put("f", "old");
	assert_int_equal(file_write(in_dir("f"), "new\0!", 5, 0640, &err), 0);
	umask(old);
	assert_int_equal(stat(in_dir("f"), &st), 0);
	assert_int_equal(st.st_mode & 07777, 0640); /* as asked, whatever the umask */
	assert_int_equal(st.st_size, 5);
	assert_int_equal(file_write(in_dir("none/f"), "x", 1, 0600, &err), -1);
	assert_int_equal(err.code, ERR_NOT_FOUND);
	assert_int_equal(dir_make(in_dir("d"), 0700, &err), 0);
	assert_int_equal(file_write(in_dir("d"), "x", 1, 0600, &err), -1); /* a directory is in the way */
	put("target", "kept");
	assert_int_equal(symlink("target", in_dir("link")), 0);
	put("link", "own"); /* the link is replaced, not what it points to */
	cleanup_free char *text = NULL;
	assert_int_equal(file_read(in_dir("target"), 10, &text, NULL, &err), 0);
	assert_string_equal(text, "kept");
	assert_int_equal(tree_count(dir), 5); /* dir, f, d, target, link: no temporary file stayed */
}

static void a_failed_write_leaves_the_old(void **state)
{
	(void)state;
	put("f", "old");
	pid_t pid = fork();
	if (pid == 0) { /* a full disk, as seen through a file size limit */
		static char big[100000];
		signal(SIGXFSZ, SIG_IGN);
		struct rlimit limit = {50000, 50000};
		int rc = setrlimit(RLIMIT_FSIZE, &limit) == 0 &&
		         file_write(in_dir("f"), big, sizeof(big), 0600, &err);
		_exit(!rc);
	}
	assert_int_equal(finished(pid), 0);
	cleanup_free char *text = NULL;
	assert_int_equal(file_read(in_dir("f"), 10, &text, NULL, &err), 0);
	assert_string_equal(text, "old");
	assert_int_equal(tree_count(dir), 2);
}

/* A writer killed anywhere: the file is always one of the whole versions. */
static void killed_while_writing_leaves_no_half_file(void **state)
{
	(void)state;
	size_t size = 200000;
	cleanup_free char *data = mem_alloc(size);
	memset(data, 'a', size);
	assert_int_equal(file_write(in_dir("f"), data, size, 0600, &err), 0);
	for (int round = 0; round < 25; round++) {
		int p[2];
		assert_int_equal(pipe(p), 0);
		pid_t pid = fork();
		if (pid == 0) {
			for (int i = 0;; i++) {
				memset(data, 'a' + i % 26, size);
				if (file_write(in_dir("f"), data, size, 0600, &err) ||
				    (i == 1 && write(p[1], "r", 1) != 1))
					_exit(1);
			}
		}
		char c;
		assert_int_equal(read(p[0], &c, 1), 1);
		close(p[0]);
		close(p[1]);
		for (int64_t start = clock_mono_ms(); clock_mono_ms() < start + round % 5;)
			assert_true(path_exists(in_dir("f"))); /* at every moment */
		kill(pid, SIGKILL);
		assert_int_equal(finished(pid), 128 + SIGKILL);
		cleanup_free char *text = NULL;
		size_t len;
		assert_int_equal(file_read(in_dir("f"), size, &text, &len, &err), 0);
		assert_int_equal(len, size);
		memset(data, text[0], size);
		assert_memory_equal(text, data, size);
	}
}

/* -- directories and trees -- */

static void makes_directories(void **state)
{
	(void)state;
	static const struct {
		const char *path;
		enum err_code code;
	} cases[] = {{"a", ERR_NONE},           {"a", ERR_NONE},      {"a/b/c", ERR_NONE},
	             {"d//e///", ERR_NONE},     {"a/../g", ERR_NONE}, {"file", ERR_NOT_FOUND},
	             {"file/x", ERR_NOT_FOUND}, {"link/x", ERR_NONE}, {"dangling", ERR_NOT_FOUND}};
	put("file", "x");
	assert_int_equal(symlink("a", in_dir("link")), 0);
	assert_int_equal(symlink("nowhere", in_dir("dangling")), 0);
	mode_t old = umask(0);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		err_clear(&err);
		dir_make(in_dir(cases[i].path), 0750, &err);
		if (err.code != cases[i].code)
			fail_msg("%s: %s", cases[i].path, err.msg);
	}
	umask(old);
	struct stat st;
	assert_int_equal(stat(in_dir("a/b"), &st), 0);
	assert_int_equal(st.st_mode & 0777, 0750);
	assert_true(path_exists(in_dir("d/e")) && path_exists(in_dir("g")) && path_exists(in_dir("a/x")));
	assert_int_equal(dir_make("/", 0700, &err), 0);
	assert_int_equal(dir_make("", 0700, &err), -1);
	int here = open(".", O_RDONLY | O_DIRECTORY);
	assert_int_equal(chdir(dir), 0);
	assert_int_equal(dir_make("relative/path", 0700, &err), 0);
	assert_int_equal(dir_make(".", 0700, &err), 0);
	assert_int_equal(fchdir(here), 0);
	close(here);
	assert_true(path_exists(in_dir("relative/path")));
}

static void removes_trees_but_never_through_links(void **state)
{
	(void)state;
	assert_int_equal(dir_make(in_dir("outside/deep"), 0700, &err), 0);
	put("outside/keep", "x");
	put("outside/deep/keep", "x");
	assert_int_equal(dir_make(in_dir("tree/a/b"), 0700, &err), 0);
	put("tree/a/file", "x");
	put("tree/.hidden", "x");
	put("tree/a/b/odd\nname -rf *", "x");
	assert_int_equal(symlink("../outside", in_dir("tree/link")), 0);
	assert_int_equal(symlink("../../outside/keep", in_dir("tree/a/link")), 0);
	assert_int_equal(symlink(".", in_dir("tree/loop")), 0);
	assert_int_equal(symlink("nowhere", in_dir("tree/dangling")), 0);
	assert_int_equal(mkfifo(in_dir("tree/fifo"), 0600), 0);
	assert_int_equal(tree_count(in_dir("tree")), 11);
	assert_int_equal(tree_remove(in_dir("tree"), &err), 0);
	assert_false(path_exists(in_dir("tree")));
	assert_int_equal(tree_remove(in_dir("tree"), &err), 0); /* gone is fine */
	assert_int_equal(tree_count(in_dir("outside")), 4);
	/* the path itself may be a link, with and without a slash, or a file */
	assert_int_equal(symlink("outside", in_dir("link")), 0);
	assert_int_equal(tree_count(in_dir("link")), 1);
	assert_int_equal(tree_remove(in_dir("link"), &err), 0);
	assert_int_equal(symlink("outside", in_dir("link")), 0);
	assert_int_equal(tree_remove(in_dir("link//"), &err), 0);
	assert_false(path_exists(in_dir("link")));
	assert_int_equal(tree_count(in_dir("outside")), 4);
	assert_int_equal(tree_remove(in_dir("outside/keep"), &err), 0);
	assert_int_equal(tree_count(in_dir("outside")), 3);
	static const char *const refused[] = {"", "/", "///", ".", "..", "./", "a/..", "/tmp/."};
	for (size_t i = 0; i < ARRAY_LEN(refused); i++) {
		assert_int_equal(tree_remove(refused[i], &err), -1);
		assert_int_equal(err.code, ERR_INVALID);
	}
	assert_int_equal(tree_remove(in_dir("outside/"), &err), 0);
	assert_int_equal(tree_count(in_dir("outside")), 0);
}

/* As root permission bits do not bind; as another user they do, and the owner must be able to remove his own. */
static void removes_read_only_directories(void **state)
{
	(void)state;
	for (int as_root = 1; as_root >= 0; as_root--) {
		if (!as_root && geteuid() != 0)
			continue;
		assert_int_equal(chmod(dir, 0777), 0);
		pid_t pid = fork();
		if (pid == 0) {
			if (!as_root && (setgid(65534) || setuid(65534)))
				_exit(1);
			if (dir_make(in_dir("ro/sub"), 0700, &err) ||
			    file_write(in_dir("ro/sub/f"), "x", 1, 0400, &err) ||
			    chmod(in_dir("ro/sub"), 0500) || chmod(in_dir("ro"), 0500))
				_exit(2);
			if (tree_remove(in_dir("ro"), &err))
				fprintf(stderr, "%s\n", err.msg);
			_exit(path_exists(in_dir("ro")) ? 3 : 0);
		}
		assert_int_equal(finished(pid), 0);
	}
}

static void depth_is_bounded(void **state)
{
	(void)state;
	for (int depth = FILE_DEPTH_MAX; depth <= FILE_DEPTH_MAX + 1; depth++) {
		bool fits = depth == FILE_DEPTH_MAX;
		assert_int_equal(dir_make(in_dir("deep"), 0700, &err), 0);
		int here = open(".", O_RDONLY | O_DIRECTORY);
		assert_int_equal(chdir(in_dir("deep")), 0);
		for (int i = 0; i < depth; i++)
			assert_int_equal(mkdir("d", 0700) || chdir("d"), 0);
		assert_int_equal(fchdir(here), 0);
		close(here);
		assert_int_equal(tree_count(in_dir("deep")), fits ? depth + 1 : -1);
		assert_int_equal(tree_remove(in_dir("deep"), &err), fits ? 0 : -1);
	}
	assert_int_equal(err.code, ERR_LIMIT);
	assert_non_null(strstr(err.msg, "deeper than 128"));
	/* in two steps it fits, and teardown proves it */
	cleanup_free char *half = mem_strdup(in_dir("deep/d/d/d"));
	assert_int_equal(rename(half, in_dir("half")), 0);
}

static void removes_what_it_can(void **state)
{
	(void)state;
	assert_int_equal(dir_make(in_dir("tree/deep"), 0700, &err), 0);
	int here = open(".", O_RDONLY | O_DIRECTORY);
	assert_int_equal(chdir(in_dir("tree/deep")), 0);
	for (int i = 0; i < FILE_DEPTH_MAX + 2; i++)
		assert_int_equal(mkdir("d", 0700) || chdir("d"), 0);
	assert_int_equal(fchdir(here), 0);
	close(here);
	for (int i = 0; i < 50; i++) {
		char name[32];
		snprintf(name, sizeof(name), "tree/file%d", i);
		put(name, "x");
	}
	assert_int_equal(tree_remove(in_dir("tree"), &err), -1);
	cleanup_free char *rest = mem_strdup(in_dir("tree/deep/d"));
	assert_int_equal(rename(rest, in_dir("a")), 0);
	cleanup_free char *more = mem_strdup(in_dir("a/d/d"));
	assert_int_equal(rename(more, in_dir("b")), 0);
	assert_int_equal(tree_count(in_dir("tree")), 2); /* no file is left */
}

/* -- locks -- */

static void locks_exclude_other_processes(void **state)
{
	(void)state;
	cleanup_close int fd = -1;
	int second = -1, p[2];
	assert_int_equal(lock_take(in_dir("lock"), &fd, &err), 0);
	assert_int_equal(lock_take(in_dir("lock"), &second, &err), 1);
	assert_int_equal(second, -1);
	assert_int_equal(fcntl(fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
	struct stat st;
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	pid_t pid = fork();
	if (pid == 0) {
		close(fd); /* our copy; the parent's holds on */
		_exit(lock_take(in_dir("lock"), &second, &err) != 1);
	}
	assert_int_equal(finished(pid), 0);
	close(TAKE_FD(fd));
	assert_int_equal(pipe(p), 0);
	pid = fork();
	if (pid == 0) {
		if (lock_take(in_dir("lock"), &second, &err) || write(p[1], "r", 1) != 1)
			_exit(1);
		for (;;)
			pause();
	}
	char c;
	assert_int_equal(read(p[0], &c, 1), 1);
	close(p[0]);
	close(p[1]);
	assert_int_equal(lock_take(in_dir("lock"), &fd, &err), 1);
	kill(pid, SIGKILL);
	finished(pid);
	assert_int_equal(lock_take(in_dir("lock"), &fd, &err), 0); /* gone with its holder */
	assert_int_equal(lock_take(in_dir("none/lock"), &second, &err), -1);
	assert_int_equal(err.code, ERR_NOT_FOUND);
	assert_int_equal(symlink("lock", in_dir("link")), 0);
	assert_int_equal(lock_take(in_dir("link"), &second, &err), -1);
}

/* Holders remove the file before they let go, as a finished job does: still never two at once. */
static void removed_lock_files_lock_nobody_twice(void **state)
{
	(void)state;
	pid_t pids[4];
	for (size_t i = 0; i < ARRAY_LEN(pids); i++) {
		if ((pids[i] = fork()) == 0) {
			for (int taken = 0; taken < 200;) {
				int fd;
				if (lock_take(in_dir("lock"), &fd, &err))
					continue;
				int alone =
				        open(in_dir("alone"), O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0600);
				if (alone < 0 || unlink(in_dir("alone")) || unlink(in_dir("lock")))
					_exit(1);
				close(alone);
				close(fd);
				taken++;
			}
			_exit(0);
		}
	}
	for (size_t i = 0; i < ARRAY_LEN(pids); i++)
		assert_int_equal(finished(pids[i]), 0);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
	        TEST(reads_regular_files_only),
	        TEST(reads_within_a_bound),
	        TEST(peeks),
	        TEST(writes_replace_whole_files),
	        TEST(a_failed_write_leaves_the_old),
	        TEST(killed_while_writing_leaves_no_half_file),
	        TEST(makes_directories),
	        TEST(removes_trees_but_never_through_links),
	        TEST(removes_read_only_directories),
	        TEST(depth_is_bounded),
	        TEST(removes_what_it_can),
	        TEST(locks_exclude_other_processes),
	        TEST(removed_lock_files_lock_nobody_twice),
	};
	return cmocka_run_group_tests_name("core/file", tests, NULL, NULL);
}
