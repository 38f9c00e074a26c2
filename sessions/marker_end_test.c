/* What has lost its environment, by which it is known, and is there all the same: its first thread has ended, or it is ending. */
#include "core/clock.h"
#include "core/file.h"
#include "sessions/test_marker.h"
#include <netinet/in.h>
#include <pthread.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

/* Says so once the first thread, which has ended, is a zombie. */
static void *outlive(void *arg)
{
	char stat[1024] = "", *state = stat;
	(void)arg;
	while (*state != 'Z' && file_peek("/proc/self/stat", stat, sizeof(stat)) > 0)
		state = strrchr(stat, ')') + 2;
	while (write(STDOUT_FILENO, "\n", 1) == 1)
		pause();
	return NULL;
}

static int headless(void)
{
	pthread_t other;
	if (pthread_create(&other, NULL, outlive, NULL) == 0)
		pthread_exit(NULL);
	return 1;
}

/* The first thread is a zombie without an environment; the others go on for as long as they like. */
static void nothing_hides_behind_its_first_thread(void **data)
{
	(void)data;
	char install[ID_UUID_LEN + 1], said;
	id_uuid(install);
	cleanup_free char *mine = mem_printf("%s." S1, install);
	pid_t pid = ready_as(mine, "headless", NULL, NULL, &said, 1);
	cleanup_free struct marker_proc *list = NULL, *same = NULL;
	cleanup_json cJSON *foreign = json_array();
	int64_t total = 0;
	struct err err = {0};
	assert_int_equal(marker_find(install, S1, &list, &err), 1);
	assert_int_equal(list[0].id.pid, pid);
	assert_int_equal(marker_survey(install, &same, 1000, foreign, &total, &err), 1);
	assert_ok(marker_kill(install, S1, 20000, err));
	assert_int_equal(test_wait_end(pid), 128 + SIGTERM);
}

/* `sleep` as the first process of a namespace of pids. Killed, it hangs there, its memory gone, until the second one, a zombie, is reaped, which
 * is done ${ms} after TERM. Says the pid of the first. */
static int hold(const char *marker, const char *ms)
{
	int ends[2];
	cleanup_free char *var = mem_printf(MARKER_KEY "=%s", marker);
	char *env[] = {var, NULL}, said;
	if (pipe2(ends, O_CLOEXEC) || unshare(CLONE_NEWPID))
		return 1;
	pid_t first = fork(), second;
	if (first == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		execle("/bin/sleep", "sleep", "600", NULL, env);
		_exit(1);
	}
	close(ends[1]);
	if (read(ends[0], &said, 1) || (second = fork()) < 0) /* at its end: that one became `sleep` */
		return 1;
	if (second == 0)
		_exit(0);
	if (write(STDOUT_FILENO, &first, sizeof(first)) != sizeof(first))
		return 1;
	int rc = end_slowly(ms);
	return waitpid(second, NULL, 0) == second ? rc : 1;
}

struct held {
	pid_t pid, holder;
	int fd;
};

/* Held ${ms}; its pidfd in ${fd}. */
static struct held hold_one(const char *marker, const char *ms)
{
	struct held h;
	char said[sizeof(h.pid) + 1];
	if (geteuid() != 0) {
		print_message("skipped: only root can make a namespace of pids\n");
		skip();
	}
	h.holder = ready_as(THEIRS "." S2, "hold", marker, ms, said, sizeof(said));
	memcpy(&h.pid, said, sizeof(h.pid));
	h.fd = (int)syscall(SYS_pidfd_open, h.pid, 0);
	assert_true(h.fd >= 0);
	return h;
}

static bool has_ended(const struct held *h)
{
	struct pollfd p = {.fd = h->fd, .events = POLLIN};
	return poll(&p, 1, 0) == 1;
}

/* Whose it is cannot be seen any more. Who asks for all need not know, who asks for one session waits. */
static void none_is_left_once_it_has_ended(void **data)
{
	(void)data;
	enum { MOST_MS = 1500 }; /* of one session it would be 2 s */
	char install[ID_UUID_LEN + 1];
	id_uuid(install);
	cleanup_free char *mine = mem_printf("%s." S1, install);
	struct held h = hold_one(mine, "300");
	cleanup_free struct marker_proc *list = NULL;
	struct err err = {0};
	int n;
	assert_int_equal(marker_find(install, S1, &list, &err), 1);
	assert_int_equal(list[0].id.pid, h.pid);
	int64_t began = clock_mono_ms();
	kill(h.pid, SIGKILL);
	do {
		cleanup_free struct marker_proc *all = NULL;
		n = marker_find(install, NULL, &all, &err);
	} while (n == 1);
	assert_int_equal(n, 0);
	assert_in_range(clock_mono_ms() - began, 0, MOST_MS);
	assert_false(has_ended(&h));
	kill(h.holder, SIGTERM);
	cleanup_free struct marker_proc *none = NULL;
	assert_int_equal(marker_find(install, S1, &none, &err), 0);
	assert_true(has_ended(&h));
	assert_int_equal(test_wait_end(h.holder), 7);
	close(h.fd);
}

/* Whom it killed it knows, however long that hangs in its end. */
static void killed_is_who_has_ended(void **data)
{
	(void)data;
	char install[ID_UUID_LEN + 1];
	id_uuid(install);
	cleanup_free char *mine = mem_printf("%s." S1, install);
	struct held h =
	        hold_one(mine, "5500"); /* longer than one round of killing, and than one look waits */
	kill(h.holder, SIGTERM);
	assert_ok(marker_kill(install, S1, 0, err));
	assert_true(has_ended(&h));
	assert_int_equal(test_wait_end(h.holder), 7);
	close(h.fd);
}

/* Listens, with much memory, which goes first at the end. Says the port. */
static int listen_large(const char *mib)
{
	size_t size = (size_t)strtol(mib, NULL, 10) << 20;
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(a);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	char *much = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (much == MAP_FAILED || bind(fd, (struct sockaddr *)&a, len) || listen(fd, 128) ||
	    getsockname(fd, (struct sockaddr *)&a, &len))
		return 1;
	madvise(much, size, MADV_NOHUGEPAGE); /* many small pages take longer */
	memset(much, 1, size);
	while (write(STDOUT_FILENO, &a, sizeof(a)) == sizeof(a))
		pause();
	return 1;
}

static bool is_listened_on(const struct sockaddr_in *a)
{
	cleanup_close int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	return connect(fd, (const struct sockaddr *)a, sizeof(*a)) == 0;
}

static void who_is_gone_has_no_ports(void **data)
{
	(void)data;
	char install[ID_UUID_LEN + 1];
	struct sockaddr_in a;
	id_uuid(install);
	cleanup_free char *mine = mem_printf("%s." S1, install);
	pid_t pid = ready_as(mine, "listen", "256", NULL, &a, sizeof(a));
	struct err err = {0};
	int n;
	assert_true(is_listened_on(&a));
	kill(pid, SIGKILL);
	do {
		cleanup_free struct marker_proc *list = NULL;
		n = marker_find(install, S1, &list, &err);
	} while (n == 1);
	bool listened_on = is_listened_on(&a);
	assert_int_equal(n, 0);
	assert_int_equal(test_wait_end(pid), 128 + SIGKILL);
	assert_false(listened_on);
}

int main(int argc, char **argv)
{
	if (argc == 2 && !strcmp(argv[1], "headless"))
		return headless();
	if (argc == 3 && !strcmp(argv[1], "listen"))
		return listen_large(argv[2]);
	if (argc == 4 && !strcmp(argv[1], "hold"))
		_exit(hold(argv[2], argv[3])); /* exit() of the sanitizers forks, which it cannot any more */
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(nothing_hides_behind_its_first_thread),
	        cmocka_unit_test(none_is_left_once_it_has_ended),
	        cmocka_unit_test(killed_is_who_has_ended),
	        cmocka_unit_test(who_is_gone_has_no_ports),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
