/* Usage: bench PROGRAM BARE-ECHO SCRIPTS NODE_MODULES [bot|gateway|work|warm|containers]… */
#include "bench/bench.h"
#include "core/clock.h"
#include "core/file.h"
#include "core/mem.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const struct {
	const char *name;
	void (*run)(const struct bench *b);
} comparisons[] = {{"bot", bench_bot},
                   {"gateway", bench_gateway},
                   {"work", bench_work},
                   {"warm", bench_warm},
                   {"containers", bench_containers},
                   {"scan", bench_scan}};

static char dir[] = "/tmp/cfb-XXXXXX";
static pid_t owner;

static void clean(void)
{
	struct err ignored = {0};
	if (getpid() != owner)
		return; /* a child of ours that gave up */
	tree_remove(dir, &ignored);
}

static int wanted(const char *name, char **names)
{
	if (!*names)
		return 1;
	for (; *names; names++)
		if (strcmp(*names, name) == 0)
			return 1;
	return 0;
}

int main(int argc, char **argv)
{
	if (argc < 5) {
		fprintf(stderr, "usage: bench PROGRAM BARE-ECHO SCRIPTS NODE_MODULES "
		                "[bot|gateway|work|warm|containers]…\n");
		return 2;
	}
	struct bench b = {
	        .program = argv[1], .bare_echo = argv[2], .scripts = argv[3], .modules = argv[4], .dir = dir};
	if (!mkdtemp(dir))
		give_up("no folder %s can be made", dir);
	owner = getpid();
	atexit(clean);
	setvbuf(stdout, NULL, _IOLBF, 0);
	for (size_t i = 0; i < ARRAY_LEN(comparisons); i++) {
		int64_t began = clock_mono_ms();
		if (!wanted(comparisons[i].name, argv + 5))
			continue;
		comparisons[i].run(&b);
		printf("  (%.0f s)\n\n", (double)(clock_mono_ms() - began) / 1000);
	}
	return 0;
}
