/* For the tests of the supervisor: the program itself as one, and as services that behave in every way. */
#ifndef JOBS_SUPERVISOR_TESTING_H
#define JOBS_SUPERVISOR_TESTING_H

#include "core/mem.h"
#include "core/proc.h"
#include "jobs/supervisor.h"
#include "jobs/test_state.h"
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

/* -- the services -- */

static const char *service_name;

static inline void on_term(int sig)
{
	(void)sig;
	cleanup_free char *path = mem_printf("%s/order", getenv("TEST_DIR"));
	int fd = open(path, O_WRONLY | O_CREAT | O_APPEND, 0600);
	if (write(fd, service_name, 1) < 0)
		_exit(9);
	_exit(0);
}

static inline void pause_for_ever(void)
{
	for (;;)
		pause();
}

/* A daemon of the worst kind: own session, deaf to everything but KILL. */
static inline void orphan(void)
{
	int up[2];
	char c;
	if (pipe(up))
		_exit(9);
	if (fork() == 0) {
		setsid();
		for (int s = 1; s < 32; s++)
			signal(s, SIG_IGN);
		if (fork() == 0 && write(up[1], "x", 1) != 1)
			_exit(9);
		pause_for_ever();
	}
	if (read(up[0], &c, 1) != 1)
		_exit(9);
}

/* Returns how often this was called for ${name} in the directory of the test. */
static inline int count(const char *name)
{
	cleanup_free char *path = mem_printf("%s/count-%s", getenv("TEST_DIR"), name);
	int fd = open(path, O_RDWR | O_CREAT | O_APPEND, 0600);
	if (write(fd, "x", 1) != 1)
		_exit(9);
	return (int)lseek(fd, 0, SEEK_END);
}

static inline int service(const char *name, const char *mode)
{
	service_name = name;
	printf("%s runs with %s %s\n", name, getenv("COMMON"), getenv("OWN"));
	fflush(stdout);
	if (!strcmp(mode, "config")) {
		fprintf(stderr, "BAD_KEY: what is this?\n");
		return 3;
	}
	if (!strcmp(mode, "crash"))
		return 7;
	if (!strcmp(mode, "heal") && count(name) < 3)
		abort();
	if (!strcmp(mode, "orphan"))
		orphan();
	if (!strcmp(mode, "shout")) {
		cleanup_free char *line = mem_alloc(20001);
		memset(line, 'a', 20000);
		printf("%s\nlast words", line);
		fflush(stdout);
	}
	if (!strcmp(mode, "chatty"))
		for (int i = 0; i < 200; i++)
			printf("line %d of many that fill the file\n", i);
	fflush(stdout);
	signal(SIGTERM, !strcmp(mode, "stubborn") ? SIG_IGN : on_term);
	if (strcmp(mode, "mute"))
		proc_ready();
	pause_for_ever();
	return 0;
}

/* supervise DIR name=mode… */
static inline int supervise(int argc, char **argv)
{
	struct err err = {0};
	struct supervisor_service services[8] = {0};
	const char *args[8][5];
	static const char *const own[] = {"OWN=1", "COMMON=replaced", NULL};
	static const char *const common[] = {"COMMON=2", NULL};
	size_t n = 0;
	for (int i = 3; i < argc && n < 8; i++, n++) {
		char *mode = strchr(argv[i], '=');
		*mode++ = '\0';
		memcpy(args[n], ((const char *[]){proc_self(), "service", argv[i], mode, NULL}),
		       sizeof(args[n]));
		if (!strcmp(mode, "missing"))
			args[n][0] = "/nonexistent/program";
		services[n] = (struct supervisor_service){.name = argv[i],
		                                          .argv = args[n],
		                                          .env = n ? NULL : own,
		                                          .no_ready = !strcmp(mode, "mute")};
	}
	struct supervisor_options options = {.dir = argv[2],
	                                     .echo = true,
	                                     .env = common,
	                                     .log_max_bytes = 4096,
	                                     .stop_ms = 300,
	                                     .lost_ms = getenv("LOST_MS") ? atoi(getenv("LOST_MS")) : 0,
	                                     .keep_orphans = getenv("KEEP_ORPHANS") != NULL};
	if (supervisor_run(services, n, &options, &err) == 0)
		return 0;
	fprintf(stderr, "%s\n", err.msg);
	return err_exit_code(err.code);
}

#endif
