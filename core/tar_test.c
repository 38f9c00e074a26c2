#include "core/file.h"
#include "core/mem.h"
#include "core/str.h"
#include "core/tar.h"
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static char dir[64];

static int setup(void **state)
{
	(void)state;
	snprintf(dir, sizeof(dir), "/tmp/codefoundry-test.XXXXXX");
	signal(SIGPIPE, SIG_IGN);
	return mkdtemp(dir) ? 0 : -1;
}

static int teardown(void **state)
{
	struct err err = {0};
	(void)state;
	return tree_remove(dir, &err);
}

static char *at(const char *name)
{
	return mem_printf("%s/%s", dir, name);
}

static void make_file(const char *name, const char *text, mode_t mode)
{
	cleanup_free char *path = at(name);
	struct err err = {0};
	assert_int_equal(file_write(path, text, strlen(text), mode, &err), 0);
	chmod(path, mode);
}

static void make_dir(const char *name)
{
	cleanup_free char *path = at(name);
	assert_int_equal(mkdir(path, 0755), 0);
}

static int open_dir(const char *name)
{
	cleanup_free char *path = at(name);
	return open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static void assert_file(const char *name, const char *text, mode_t mode)
{
	cleanup_free char *path = at(name), *got = NULL;
	struct err err = {0};
	struct stat st;
	if (file_read(path, 1 << 20, &got, NULL, &err))
		fail_msg("%s", err.msg);
	assert_string_equal(got, text);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, mode);
}

static bool is_there(const char *name)
{
	cleanup_free char *path = at(name);
	return path_exists(path);
}

/* -- from a tree through a pipe to a tree -- */

struct packing {
	pthread_t thread;
	int dirfd, out;
	const char *name, *as;
	struct tar_options o;
	struct err err;
	int rc;
};

static void *pack(void *arg)
{
	struct packing *p = arg;
	p->rc = tar_pack(p->dirfd, p->name, p->as, p->out, &p->o, &p->err);
	close(p->out);
	return NULL;
}

static int copy(const char *name, const char *as, const char *to, const char *to_as, struct packing *p,
                struct tar_options *o, struct err *err)
{
	int ends[2];
	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	*p = (struct packing){.dirfd = open_dir("."), .out = ends[1], .name = name, .as = as};
	int target = open_dir(to);
	assert_int_equal(pthread_create(&p->thread, NULL, pack, p), 0);
	int rc = tar_receive(ends[0], target, to_as, o, err);
	close(ends[0]);
	pthread_join(p->thread, NULL);
	close(p->dirfd);
	close(target);
	return rc;
}

#define LONG                                                                                                 \
	"a-name-of-more-than-a-hundred-bytes-for-which-a-header-of-tar-has-no-room-so-that-another-one-"     \
	"stands-before-it"

static void a_tree_comes_over_as_it_is(void **state)
{
	struct packing p;
	struct tar_options o = {0};
	struct err err = {0};
	(void)state;
	make_dir("src");
	make_dir("src/empty");
	make_dir("src/" LONG);
	make_file("src/run", "#!/bin/sh\n", 0755);
	make_file("src/secret", "", 0600);
	make_file("src/имя с пробелом", "utf-8", 0644);
	make_file("src/\xff\xfe", "no utf-8", 0644);
	make_file("src/" LONG "/" LONG, "long", 0640);
	make_file("src/suid", "x", 04755);
	cleanup_free char *link = at("src/link"), *long_link = at("src/long-link"), *fifo = at("src/fifo");
	assert_int_equal(symlink("/etc/passwd", link), 0);
	assert_int_equal(symlink(LONG LONG, long_link), 0);
	assert_int_equal(mkfifo(fifo, 0600), 0);
	cleanup_str struct str big = STR_INIT;
	for (int i = 0; i < 30000; i++)
		str_addf(&big, "%d\n", i);
	make_file("src/big", str_text(&big), 0644);

	make_dir("dst");
	if (copy("src", "src", "dst", "new", &p, &o, &err))
		fail_msg("%s", err.msg);
	assert_int_equal(p.rc, 0);
	assert_int_equal(p.o.skipped, 1);
	assert_int_equal(o.skipped, 0);
	assert_int_equal(o.entries, p.o.entries);
	assert_file("dst/new/run", "#!/bin/sh\n", 0755);
	assert_file("dst/new/secret", "", 0600);
	assert_file("dst/new/имя с пробелом", "utf-8", 0644);
	assert_file("dst/new/\xff\xfe", "no utf-8", 0644);
	assert_file("dst/new/" LONG "/" LONG, "long", 0640);
	assert_file("dst/new/suid", "x", 0755);
	assert_file("dst/new/big", str_text(&big), 0644);
	assert_true(is_there("dst/new/empty"));
	assert_false(is_there("dst/new/fifo"));
	char target[512] = "";
	cleanup_free char *copied = at("dst/new/link"), *copied_long = at("dst/new/long-link");
	assert_int_equal(readlink(copied, target, sizeof(target) - 1), 11);
	assert_string_equal(target, "/etc/passwd");
	assert_int_equal(readlink(copied_long, target, sizeof(target) - 1), 2 * strlen(LONG));
	cleanup_free char *dst = at("dst");
	assert_int_equal(tree_count(dst), 1 + o.entries); /* nothing stays aside */
}

static void it_is_merged_with_what_is_there(void **state)
{
	struct packing p;
	struct tar_options o = {0};
	struct err err = {0};
	(void)state;
	make_dir("src");
	make_dir("src/empty");
	make_file("src/run", "old\n", 0755);
	make_dir("dst");
	assert_int_equal(copy("src", "src", "dst", "new", &p, &o, &err), 0);

	/* again: merged, replaced; what was there besides stays */
	make_file("dst/new/more", "kept", 0644);
	make_file("src/run", "changed\n", 0700);
	assert_int_equal(copy("src", "src", "dst", "new", &p, &o, &err), 0);
	assert_file("dst/new/run", "changed\n", 0700);
	assert_file("dst/new/more", "kept", 0644);

	/* only what is in it */
	make_dir("in");
	assert_int_equal(copy("src", ".", "in", "", &p, &o, &err), 0);
	assert_file("in/run", "changed\n", 0700);
	assert_false(is_there("in/src"));

	/* a file under another name, and what cannot be there */
	assert_int_equal(copy("src/run", "run", "in", "ran", &p, &o, &err), 0);
	assert_file("in/ran", "changed\n", 0700);
	assert_int_equal(copy("src/run", "run", "in", "empty", &p, &o, &err), -1);
	assert_int_equal(err.code, ERR_EXISTS);
	assert_int_equal(copy("src", "src", "in", "ran", &p, &o, &err), -1);
	assert_int_equal(err.code, ERR_EXISTS);
	assert_file("in/ran", "changed\n", 0700);
}

static void what_cannot_be_packed_is_told(void **state)
{
	struct packing p;
	struct tar_options o = {0};
	struct err err = {0};
	(void)state;
	make_dir("dst");
	cleanup_free char *fifo = at("fifo"), *dst = at("dst");
	assert_int_equal(mkfifo(fifo, 0600), 0);
	assert_int_equal(copy("nothing", "x", "dst", "x", &p, &o, &err), -1);
	assert_int_equal(p.err.code, ERR_NOT_FOUND);
	assert_int_equal(err.code, ERR_INVALID);
	assert_int_equal(copy("fifo", "x", "dst", "x", &p, &o, &err), -1);
	assert_int_equal(p.err.code, ERR_INVALID);
	assert_int_equal(tree_count(dst), 1);
	/* nobody reads */
	int ends[2], fd = open_dir(".");
	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	close(ends[0]);
	make_file("file", "text", 0644);
	assert_int_equal(tar_pack(fd, "file", "file", ends[1], &o, &err), -1);
	assert_int_equal(err.code, ERR_IO);
	close(ends[1]);
	close(fd);
}

/* -- archives that are none, or mean harm -- */

static void add_entry(struct str *tar, const char *name, char type, const char *link, const char *text)
{
	char head[512] = {0};
	unsigned sum = 0;
	size_t len = strlen(text);
	snprintf(head, 100, "%s", name);
	snprintf(head + 100, 8, "%07o", 04777);
	snprintf(head + 108, 8, "%07o", 0);
	snprintf(head + 116, 8, "%07o", 0);
	snprintf(head + 124, 12, "%011o", (unsigned)len);
	snprintf(head + 136, 12, "%011o", 0);
	head[156] = type;
	snprintf(head + 157, 100, "%s", link);
	memcpy(head + 257, "ustar\00000", 8);
	memset(head + 148, ' ', 8);
	for (size_t i = 0; i < sizeof(head); i++)
		sum += (unsigned char)head[i];
	snprintf(head + 148, 8, "%06o", sum);
	str_addn(tar, head, sizeof(head));
	str_addn(tar, text, len);
	memset(head, 0, sizeof(head));
	str_addn(tar, head, (512 - len % 512) % 512);
}

static int receive(const struct str *tar, size_t len, const char *as, struct tar_options *o, struct err *err)
{
	cleanup_free char *path = at("archive.tar");
	cleanup_close int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	cleanup_close int dst = open_dir("dst");
	assert_int_equal(write(fd, str_text(tar), len), len);
	lseek(fd, 0, SEEK_SET);
	*err = (struct err){0};
	return tar_receive(fd, dst, as, o, err);
}

static void nothing_leads_out(void **state)
{
	static const struct {
		const char *name;
		char type;
		const char *link, *then; /* then: a file that goes through it */
	} bad[] = {
	        {"top/../../out/x", '0', "", NULL},
	        {"../out/x", '0', "", NULL},
	        {"top/link", '2', "../../out", "top/link/x"},
	        {"top/link", '2', "/tmp", "top/link/x"},
	        {"top/hard", '1', "top/../../out/kept", NULL},
	        {"top/hard", '1', "/etc/passwd", NULL},
	};
	(void)state;
	make_dir("dst");
	make_dir("out");
	make_file("out/kept", "kept", 0600);
	for (size_t i = 0; i < 3 * ARRAY_LEN(bad); i++) {
		size_t c = i / 3;
		static const char *const names[] = {NULL, "new", ""};
		cleanup_str struct str tar = STR_INIT;
		struct tar_options o = {0};
		struct err err;
		add_entry(&tar, bad[c].name, bad[c].type, bad[c].link, bad[c].type == '0' ? "evil" : "");
		if (bad[c].then)
			add_entry(&tar, bad[c].then, '0', "", "evil");
		str_addn(&tar, (const char[1024]){0}, 1024);
		bool cleared = c == 1 && names[i % 3]; /* its first part is replaced */
		int rc = receive(&tar, tar.len, names[i % 3], &o, &err);
		if (rc == 0 && !cleared)
			fail_msg("case %zu as %s is taken", c, names[i % 3] ? names[i % 3] : "it is");
		cleanup_free char *out = at("out"), *dst = at("dst");
		assert_int_equal(tree_count(out), 2);
		assert_true(cleared || tree_count(dst) == 1);
		tree_remove(dst, &err);
		make_dir("dst");
	}
	assert_file("out/kept", "kept", 0600);
}

static void devices_and_rights_are_left_out(void **state)
{
	cleanup_str struct str tar = STR_INIT;
	struct tar_options o = {0};
	struct err err;
	(void)state;
	make_dir("dst");
	add_entry(&tar, "top/", '5', "", "");
	add_entry(&tar, "top/null", '3', "", "");
	add_entry(&tar, "top/pipe", '6', "", "");
	add_entry(&tar, "top/suid", '0', "", "text");
	add_entry(&tar, "top/hard", '1', "top/suid", "");
	str_addn(&tar, (const char[1024]){0}, 1024);
	if (receive(&tar, tar.len, "new", &o, &err))
		fail_msg("%s", err.msg);
	assert_int_equal(o.skipped, 2);
	assert_false(is_there("dst/new/null"));
	assert_file("dst/new/suid", "text", 0777);
	assert_file("dst/new/hard", "text", 0777);
}

/* At whatever byte a stream ends: half of it never stands there. */
static void cut_off_or_garbled(void **state)
{
	cleanup_str struct str tar = STR_INIT, garbage = STR_INIT;
	struct tar_options o = {0};
	struct err err;
	(void)state;
	make_dir("dst");
	add_entry(&tar, "top/", '5', "", "");
	add_entry(&tar, "top/one", '0', "", "one");
	add_entry(&tar, "top/two", '0', "", "two");
	size_t whole = tar.len;
	str_addn(&tar, (const char[1024]){0}, 1024);
	cleanup_free char *dst = at("dst");
	for (size_t len = 0; len < whole; len += 100) {
		if (len % 512 == 0 && len > 512)
			continue; /* between two entries the missing end is not told from an end */
		if (receive(&tar, len, NULL, &o, &err) == 0)
			fail_msg("%zu bytes are taken", len);
		assert_int_equal(tree_count(dst), 1);
	}
	for (int i = 0; i < 3000; i++)
		str_addc(&garbage, (char)(i * 7 + 1));
	assert_int_equal(receive(&garbage, garbage.len, NULL, &o, &err), -1);
	assert_int_equal(err.code, ERR_INVALID);
	assert_int_equal(receive(&tar, tar.len, NULL, &o, &err), 0);
	assert_file("dst/top/two", "two", 0777);
}

static void it_can_be_stopped(void **state)
{
	int stop[2], in[2];
	cleanup_str struct str tar = STR_INIT;
	struct err err = {0};
	(void)state;
	make_dir("dst");
	make_file("file", "text", 0644);
	assert_int_equal(pipe2(stop, O_CLOEXEC), 0);
	assert_int_equal(pipe2(in, O_CLOEXEC), 0);
	assert_int_equal(write(stop[1], "x", 1), 1);
	struct tar_options o = {.stop_fd = stop[0]};
	cleanup_close int dst = open_dir("dst");
	cleanup_close int here = open_dir(".");
	assert_int_equal(tar_receive(in[0], dst, NULL, &o, &err), -1); /* its writer is there, and silent */
	assert_int_equal(err.code, ERR_CANCELLED);
	assert_int_equal(tar_pack(here, "file", "file", in[1], &o, &err), -1);
	assert_int_equal(err.code, ERR_CANCELLED);
	for (int i = 0; i < 2; i++) {
		close(stop[i]);
		close(in[i]);
	}
	cleanup_free char *path = at("dst");
	assert_int_equal(tree_count(path), 1);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

/* POSIX.1-2001, ustar: where each field stands; what has no room is nothing, an extended header says it. */
static void a_header_says_what_has_room(void **data)
{
	static const struct {
		int64_t size, mtime;
		const char *size_text, *mtime_text;
	} cases[] = {
	        {5, 8, "00000000005", "00000000010"},
	        {(INT64_C(1) << 33) - 1, 0, "77777777777", "00000000000"},
	        {INT64_C(1) << 33, -1, "00000000000", "00000000000"},
	};
	(void)data;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		char block[TAR_BLOCK];
		tar_header(&(struct tar_entry){.path = "a",
		                               .type = '0',
		                               .mode = 0106755,
		                               .uid = INT64_C(1) << 40,
		                               .size = cases[i].size,
		                               .mtime_s = cases[i].mtime},
		           block);
		assert_string_equal(block + 100, "0006755");
		assert_string_equal(block + 108, "0000000");
		assert_string_equal(block + 124, cases[i].size_text);
		assert_string_equal(block + 136, cases[i].mtime_text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        T(a_tree_comes_over_as_it_is),
	        T(it_is_merged_with_what_is_there),
	        T(what_cannot_be_packed_is_told),
	        T(nothing_leads_out),
	        T(devices_and_rights_are_left_out),
	        T(cut_off_or_garbled),
	        T(it_can_be_stopped),
	        cmocka_unit_test(a_header_says_what_has_room),
	};
	return cmocka_run_group_tests_name("tar", tests, NULL, NULL);
}
