/* Control groups of both versions, as files of our own: what is free is what the narrowest of them leaves. */
#include "jobs/test_state.h"
#include "sessions/host.h"

#define MIB (INT64_C(1) << 20)

struct files {
	const char *path, *text;
};

static char root[] = "/tmp/codefoundry-host.XXXXXX";

static void put(const struct files *f)
{
	for (; f->path; f++) {
		cleanup_free char *path = mem_printf("%s/%s", root, f->path), *dir = mem_strdup(path);
		*strrchr(dir, '/') = '\0';
		assert_ok(dir_make(dir, 0700, err));
		assert_ok(file_write(path, f->text, strlen(f->text), 0600, err));
	}
}

static int setup(void **data)
{
	(void)data;
	memcpy(root + strlen(root) - 6, "XXXXXX", 6);
	assert_non_null(mkdtemp(root));
	host_root = root;
	return 0;
}

static int teardown(void **data)
{
	(void)data;
	host_root = "";
	assert_ok(tree_remove(root, err));
	return 0;
}

static void this_machine(void **data)
{
	(void)data;
	host_root = "";
	assert_in_range(host_memory_free(), MIB, INT64_C(1) << 50);
	assert_true(host_group_free() > 0);
	host_root = root;
	assert_int_equal(host_memory_free(), -1);
	assert_true(host_group_free() == INT64_MAX);
	assert_int_equal(host_group_used(1), -1);
}

static void what_is_available(void **data)
{
	(void)data;
	put((const struct files[]){
	        {"proc/meminfo", "MemTotal:       2048 kB\nMemFree:  1 kB\nMemAvailable:   1024 kB\n"}, {0}});
	assert_int_equal(host_memory_free(), MIB);
	put((const struct files[]){{"proc/meminfo", "MemTotal:       2048 kB\n"}, {0}});
	assert_int_equal(host_memory_free(), -1);
}

static void version_two(void **data)
{
	(void)data;
	put((const struct files[]){
	        {"proc/self/cgroup", "0::/outer/inner\n"},
	        {"proc/77/cgroup", "0::/docker/abc\n"},
	        {"proc/78/cgroup", "0::/outer/inner\n"},
	        {"sys/fs/cgroup/outer/inner/memory.max", "max\n"},
	        {"sys/fs/cgroup/outer/inner/memory.current", "10485760\n"},
	        {"sys/fs/cgroup/outer/memory.max", "20971520\n"},
	        {"sys/fs/cgroup/outer/memory.current", "15728640\n"},
	        {"sys/fs/cgroup/outer/memory.stat", "anon 1\ninactive_file 5242880\nx 1\n"},
	        {"sys/fs/cgroup/docker/abc/memory.current", "3145728\n"},
	        {"sys/fs/cgroup/docker/abc/memory.stat", "inactive_file 1048576\n"},
	        {0}});
	assert_int_equal(host_group_free(), 10 * MIB);
	assert_int_equal(host_group_used(77), 2 * MIB);
	assert_int_equal(host_group_used(78), -1); /* in a group of its own it would say something */
	assert_int_equal(host_group_used(79), -1);
	/* in a container: the root is its own group */
	put((const struct files[]){{"proc/self/cgroup", "0::/\n"},
	                           {"sys/fs/cgroup/memory.max", "8388608\n"},
	                           {"sys/fs/cgroup/memory.current", "9000000\n"},
	                           {0}});
	assert_int_equal(host_group_free(), 0);
}

static void version_one(void **data)
{
	(void)data;
	put((const struct files[]){
	        {"proc/self/cgroup", "3:cpu,cpuacct:/a\n2:memory:/docker/abc\n1:name=systemd:/a\n0::/a\n"},
	        {"proc/77/cgroup", "2:memory:/docker/def\n"},
	        {"sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n"},
	        {"sys/fs/cgroup/memory/memory.usage_in_bytes", "10\n"},
	        {"sys/fs/cgroup/memory/docker/def/memory.usage_in_bytes", "4194304\n"},
	        {"sys/fs/cgroup/memory/docker/def/memory.stat",
	         "inactive_file 7\ntotal_inactive_file 1048576\n"},
	        {0}});
	assert_true(host_group_free() > (INT64_C(1) << 60));
	assert_int_equal(host_group_used(77), 3 * MIB);
	/* a container sees its own group as the base, whatever its path is called outside */
	put((const struct files[]){{"sys/fs/cgroup/memory/memory.limit_in_bytes", "4194304\n"},
	                           {"sys/fs/cgroup/memory/memory.usage_in_bytes", "1048576\n"},
	                           {0}});
	assert_int_equal(host_group_free(), 3 * MIB);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {T(this_machine), T(what_is_available), T(version_two),
	                                   T(version_one)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
