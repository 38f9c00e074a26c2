/* The archive, read back with tar(1). The program in it is this test: image_roles_test runs the real one. */
#include "compose/image.h"
#include "compose/image_archive.h"
#include "core/proc.h"
#include "core/str.h"
#include "jobs/test_state.h"
#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#define ARCHIVE_MAX (128u << 20)

static char dir[64];

static int setup(void **state)
{
	(void)state;
	snprintf(dir, sizeof(dir), "/tmp/codefoundry-test.XXXXXX");
	return mkdtemp(dir) ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	struct err err;
	return tree_remove(dir, &err);
}

/* ${dir}/${name}, in a ring of buffers. */
static const char *in_dir(const char *name)
{
	static char paths[8][128];
	static unsigned next;
	char *path = paths[next++ % ARRAY_LEN(paths)];
	snprintf(path, sizeof(paths[0]), "%s/%s", dir, name);
	return path;
}

static char *slurp(const char *path, size_t *len)
{
	char *text = NULL;
	assert_ok(file_read(path, ARCHIVE_MAX, &text, len, err));
	return text;
}

static char *run_text(const char *const *argv)
{
	struct proc_spec spec = PROC_SPEC_INIT;
	struct proc_result r;
	spec.argv = argv;
	assert_ok(proc_run(&spec, NULL, 60000, 4 << 20, &r, err));
	if (r.status)
		fail_msg("%s %s: %s", argv[0], argv[1], r.errs);
	char *out = TAKE(r.out);
	proc_result_free(&r);
	return out;
}

static void the_same_content_gives_the_same_bytes(void **state)
{
	(void)state;
	cleanup_json cJSON *one = NULL, *two = NULL;
	assert_ok(image_save(in_dir("one.tar"), in_dir("c1"), &one, err));
	assert_ok(image_save(in_dir("two.tar"), in_dir("c2"), &two, err));
	size_t n = 0, m = 0;
	cleanup_free char *a = slurp(in_dir("one.tar"), &n), *b = slurp(in_dir("two.tar"), &m);
	assert_int_equal(n, m);
	assert_memory_equal(a, b, n);
	assert_true(cJSON_Compare(one, two, true));
	assert_int_equal(json_int(one, "bytes", 0), n);
	assert_true(json_int(one, "compressed_bytes", 0) < json_int(one, "layer_bytes", 0));
	assert_true(json_int(one, "compressed_bytes", 0) > 1 << 20);
	assert_int_equal(tree_count(in_dir("c1")), 1); /* only the directory itself: nothing is left in it */
	const char *tag = strchr(json_text(one, "reference"), ':') + 1;
	assert_int_equal(strlen(tag), 10);
	assert_int_equal(strncmp(json_text(one, "id") + strlen("sha256:"), tag, 10), 0);
}

/* One line of `tar -tv` that holds all of ${parts}. */
static bool has_line(const char *list, const char *const *parts)
{
	cleanup_free char *copy = mem_strdup(list);
	char *rest = copy;
	for (char *line; (line = strsep(&rest, "\n"));) {
		bool all = true;
		for (const char *const *p = parts; *p; p++)
			all &= strstr(line, *p) != NULL;
		if (all)
			return true;
	}
	return false;
}

static void tar_reads_it(void **state)
{
	static const char *const lines[][4] = {
	        {"-rwxr-xr-x 0/0", " usr/bin/codefoundry"},
	        {"-rwxr-xr-x 0/0", " usr/bin/busybox"},
	        {"lrwxrwxrwx 0/0", " usr/bin/sh -> busybox"},
	        {"lrwxrwxrwx 0/0", " bin -> usr/bin"},
	        {"-rwxr-xr-x 0/0", "/ld-linux"},
	        {"-rwxr-xr-x 0/0", "/libc.so.6"},
	        {"-rwxr-xr-x 0/0", "/libgcc_s.so.1"},
	        {"-rwxr-xr-x 0/0", "/libwebsockets-evlib_uv.so"},
	        {"-rw-r--r-- 0/0", " etc/ssl/certs/ca-certificates.crt"},
	        {"usr/share/zoneinfo/Europe/Moscow"},
	        {"-rw-r--r-- 0/0", " etc/passwd"},
	        {"drwxrwxrwt 0/0", " tmp/"},
	        {"drwx------ 65532/65532", " var/lib/codefoundry/"},
	};
	(void)state;
	assert_ok(image_save(in_dir("one.tar"), in_dir("c1"), NULL, err));
	free(run_text((const char *const[]){"tar", "-xf", in_dir("one.tar"), "-C", dir, NULL}));
	cleanup_free char *list =
	        run_text((const char *const[]){"tar", "--numeric-owner", "-tvf", in_dir("layer.tar"), NULL});
	for (size_t i = 0; i < ARRAY_LEN(lines); i++)
		if (!has_line(list, lines[i]))
			fail_msg("no %s %s in\n%s", lines[i][0], lines[i][1] ? lines[i][1] : "", list);
	assert_null(strstr(list, "zoneinfo/right"));
	assert_null(strstr(list, "zoneinfo/posix/"));
	assert_null(strstr(list, " -> /")); /* nothing points at this machine's paths */
}

static void digests_name_what_they_should(void **state)
{
	(void)state;
	struct err err = {0};
	size_t n = 0;
	char hex[SHA256_HEX + 1];
	assert_ok(image_save(in_dir("one.tar"), in_dir("c1"), NULL, err));
	free(run_text((const char *const[]){"tar", "-xf", in_dir("one.tar"), "-C", dir, NULL}));
	cleanup_free char *text = slurp(in_dir("manifest.json"), &n);
	cleanup_json cJSON *manifest = json_parse(text, n, &err);
	cleanup_free char *config_text = slurp(in_dir(json_text(manifest, "0.Config")), &n);
	cleanup_json cJSON *config = json_parse(config_text, n, &err);
	sha256_hex(config_text, n, hex);
	assert_int_equal(strncmp(json_text(manifest, "0.Config"), hex, SHA256_HEX), 0);
	assert_string_equal(json_text(manifest, "0.RepoTags.1"), "codefoundry:latest");
	cleanup_free char *layer = slurp(in_dir("layer.tar"), &n);
	sha256_hex(layer, n, hex);
	assert_string_equal(json_text(config, "rootfs.diff_ids.0") + strlen("sha256:"), hex);
	assert_string_equal(json_text(config, "config.User"), "65532:65532");
	assert_string_equal(json_text(config, "config.Healthcheck.Test.3"), "--self");
	assert_non_null(
	        cJSON_GetObjectItem(json_at(config, "config.Labels"), "org.opencontainers.image.version"));
}

/* The same program in another place is the same image. */
static void where_the_program_lies_does_not_matter(void **state)
{
	(void)state;
	struct err err = {0};
	cleanup_free char *here = image_reference(in_dir("c1"), &err);
	assert_non_null(here);
	free(run_text((const char *const[]){"cp", proc_self(), in_dir("elsewhere"), NULL}));
	cleanup_free char *there =
	        run_text((const char *const[]){in_dir("elsewhere"), "reference", in_dir("c2"), NULL});
	assert_string_equal(there, here);
}

static void the_reference_is_remembered_until_something_changes(void **state)
{
	static const char *const damaged[] = {"", "{", "[]", "{\"key\":1,\"reference\":2}",
	                                      "{\"key\":\"0\",\"reference\":\"codefoundry:other\"}"};
	(void)state;
	struct err err = {0};
	size_t n = 0;
	cleanup_free char *first = image_reference(in_dir("c"), &err);
	cleanup_free char *memory = slurp(in_dir("c/image.json"), &n);
	memcpy(strchr(strstr(memory, "codefoundry:"), ':') + 1, "remembered", 10);
	assert_ok(file_write(in_dir("c/image.json"), memory, n, 0600, err));
	cleanup_free char *again = image_reference(in_dir("c"), &err);
	assert_string_equal(again, "codefoundry:remembered");
	free(run_text((const char *const[]){"cp", proc_self(), in_dir("elsewhere"), NULL}));
	cleanup_free char *other =
	        run_text((const char *const[]){in_dir("elsewhere"), "reference", in_dir("c"), NULL});
	assert_string_equal(other, first); /* another file: nothing is known of it */
	for (size_t i = 0; i < ARRAY_LEN(damaged); i++) {
		assert_ok(file_write(in_dir("c/image.json"), damaged[i], strlen(damaged[i]), 0600, err));
		cleanup_free char *anew = image_reference(in_dir("c"), &err);
		assert_string_equal(anew, first);
	}
}

/* In a mount namespace of its own, where ${what} is hidden by ${with} (NULL: an empty directory). */
static enum err_code without(const char *what, const char *with, char *message, size_t size)
{
	int out[2], status;
	struct err err = {0};
	assert_int_equal(pipe(out), 0);
	pid_t child = fork();
	if (child == 0) {
		if (unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
		    (with ? mount(with, what, NULL, MS_BIND, NULL) : mount("none", what, "tmpfs", 0, NULL)))
			_exit(99);
		char *reference = image_reference(in_dir("c"), &err);
		if (write(out[1], err.msg, strlen(err.msg)) < 0)
			_exit(98);
		_exit(reference ? 0 : (int)err.code);
	}
	close(out[1]);
	ssize_t n = read(out[0], message, size - 1);
	message[n > 0 ? n : 0] = '\0';
	close(out[0]);
	assert_int_equal(waitpid(child, &status, 0), child);
	return WIFEXITED(status) ? (enum err_code)WEXITSTATUS(status) : ERR_CODE_COUNT;
}

static void what_is_missing_is_named_with_its_package(void **state)
{
	static const struct {
		const char *what, *with, *package;
		enum err_code code;
	} cases[] = {{"/usr/share/zoneinfo", NULL, "package tzdata", ERR_NOT_FOUND},
	             {"/etc/ssl/certs", NULL, "package ca-certificates", ERR_NOT_FOUND},
	             {"/bin/busybox", "/usr/bin/env", "package busybox-static", ERR_INVALID}};
	char message[2048];
	(void)state;
	if (geteuid() != 0)
		skip();
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		assert_int_equal(without(cases[i].what, cases[i].with, message, sizeof(message)),
		                 cases[i].code);
		if (!strstr(message, cases[i].package))
			fail_msg("%s: %s", cases[i].what, message);
	}
}

static void what_tar_cannot_hold_is_refused(void **state)
{
	(void)state;
	struct err err = {0};
	struct archive a = {.fd = -1};
	char name[128];
	memset(name, 'x', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	struct image_entry e = {.path = name, .type = IMAGE_DIR};
	assert_int_equal(archive_add(&a, &e, &err), -1);
	assert_int_equal(err.code, ERR_LIMIT);
	name[99] = '\0'; /* a directory needs room for its slash */
	assert_int_equal(archive_add(&a, &e, &err), -1);
	name[98] = '\0';
	assert_ok(archive_add(&a, &e, err));
	e = (struct image_entry){.path = name, .type = IMAGE_LINK, .text = (char *)in_dir("x")};
	assert_ok(archive_add(&a, &e, err));
	assert_ok(file_write(in_dir("file"), "12345", 5, 0600, err));
	e = (struct image_entry){.path = "file", .type = IMAGE_FILE, .source = (char *)in_dir("file")};
	for (e.size = 4; e.size <= 6; e.size++)
		assert_int_equal(archive_add(&a, &e, &err), e.size == 5 ? 0 : -1);
	assert_int_equal(err.code, ERR_STATE);
}

int main(int argc, char **argv)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
	        TEST(the_same_content_gives_the_same_bytes),
	        TEST(tar_reads_it),
	        TEST(digests_name_what_they_should),
	        TEST(where_the_program_lies_does_not_matter),
	        TEST(the_reference_is_remembered_until_something_changes),
	        TEST(what_is_missing_is_named_with_its_package),
	        TEST(what_tar_cannot_hold_is_refused),
	};
	struct err err = {0};
	if (argc != 3)
		return cmocka_run_group_tests_name("compose/image", tests, NULL, NULL);
	cleanup_free char *reference = image_reference(argv[2], &err);
	printf("%s", reference ? reference : err.msg);
	return reference ? 0 : 1;
}
