/* A process that works, keeps memory and has children, seen from outside. */
#include "core/clock.h"
#include "core/mem.h"
#include "sessions/process_usage.h"
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#define KEPT (32 << 20)
#define BURNT_MS 120

static void burn(int64_t ms)
{
	struct timespec t;
	do
		clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	while (t.tv_sec * 1000 + t.tv_nsec / 1000000 < ms);
}

/* Burns in a child that ends, keeps memory in one that stays, then says so on ${fd}. */
static void work(int fd)
{
	pid_t pid = fork();
	prctl(PR_SET_NAME, ") S 1 1 1 1 (1)"); /* it may call itself anything */
	if (pid == 0) {
		burn(BURNT_MS);
		_exit(0);
	}
	waitpid(pid, NULL, 0);
	if (fork() == 0) {
		char *kept = malloc(KEPT);
		memset(kept, 1, KEPT);
		if (write(fd, "", 1) == 1)
			pause();
		_exit(kept[KEPT - 1]);
	}
	for (;;)
		pause();
}

static cJSON *usage_of(pid_t pid)
{
	cJSON *services =
	        cJSON_Parse("[{\"name\":\"a\"},{\"name\":\"none\"},{\"name\":\"gone\",\"pid\":4194303}]");
	json_add_int(services->child, "pid", pid);
	process_usage(services);
	return services;
}

static void a_service_is_its_process_and_what_descends_from_it(void **state)
{
	(void)state;
	int ends[2];
	char c;
	assert_int_equal(pipe(ends), 0);
	pid_t pid = fork();
	if (pid == 0) {
		setpgid(0, 0);
		work(ends[1]);
	}
	assert_int_equal(read(ends[0], &c, 1), 1);
	cleanup_json cJSON *services = usage_of(pid);
	kill(-pid, SIGKILL);
	waitpid(pid, NULL, 0);
	assert_int_equal(json_int(services, "0.pids", 0), 2);
	assert_in_range(json_int(services, "0.memory_bytes", 0), KEPT, 2 * KEPT);
	assert_in_range(json_int(services, "0.cpu_us", 0), (BURNT_MS - 20) * 1000, 3000 * 1000);
	for (int i = 1; i < 3; i++) {
		const cJSON *other = cJSON_GetArrayItem(services, i);
		assert_int_equal(json_int(other, "pids", -1), 0);
		assert_int_equal(json_int(other, "memory_bytes", -1), 0);
		assert_int_equal(json_int(other, "cpu_us", -1), 0);
	}
	close(ends[0]);
	close(ends[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(a_service_is_its_process_and_what_descends_from_it)};
	return cmocka_run_group_tests_name("process_usage", tests, NULL, NULL);
}
