#include "jobs/worker.h"
#include "core/mem.h"
#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

const struct setting worker_settings[] = {
        {.key = "WORKER_JOBS",
         .type = SETTING_INT,
         .def = "4",
         .min = 1,
         .max = 64,
         .group = "Jobs",
         .help = "How many jobs (session starts, test runs, …) the worker runs at the same time"},
        {.key = NULL},
};

bool worker_alive(const struct state *st)
{
	cleanup_free char *path = state_path(st, "worker.lock");
	cleanup_close int fd = open(path, O_RDONLY | O_CLOEXEC);
	return fd >= 0 && flock(fd, LOCK_SH | LOCK_NB) != 0;
}
