/* Lock files of jobs: jobs/<id>.lock, held by the process that runs the job, removed by it at the end. */
#include "core/file.h"
#include "core/mem.h"
#include "jobs/job_private.h"
#include <dirent.h>
#include <poll.h>
#include <stdio.h>
#include <unistd.h>

#define LOCK_TRIES 20
#define LOCK_RETRY_MS 10

int job_lock(const struct state *st, int64_t id, int *fd, struct err *err)
{
	cleanup_free char *dir = state_path(st, "jobs"),
	                  *path = state_path(st, "jobs/%lld.lock", (long long)id);
	if (dir_make(dir, 0700, err))
		return -1;
	return lock_take(path, fd, err);
}

void job_lock_remove(const struct state *st, int64_t id)
{
	cleanup_free char *path = state_path(st, "jobs/%lld.lock", (long long)id);
	unlink(path);
}

int job_lock_patiently(const char *path, int *fd, struct err *err)
{
	int rc = lock_take(path, fd, err);
	/* who looks whether somebody holds it does so for an instant */
	for (int i = 0; rc == 1 && i < LOCK_TRIES; i++) {
		poll(NULL, 0, LOCK_RETRY_MS);
		rc = lock_take(path, fd, err);
	}
	return rc;
}

/* Whoever makes the file before its job can be seen holds it. */
static void sweep_one(struct state *st, int64_t id)
{
	cleanup_close int fd = -1;
	struct err ignored = {0};
	int64_t open = 1;
	if (job_lock(st, id, &fd, &ignored) == 0 &&
	    db_get_int(st->db, &open, &ignored, "SELECT count(*) FROM jobs WHERE id = ? AND " JOB_OPEN, "i",
	               id) == 0 &&
	    !open)
		job_lock_remove(st, id);
}

void job_lock_sweep(struct state *st)
{
	cleanup_free char *path = state_path(st, "jobs");
	DIR *dir = opendir(path);
	struct dirent *e;
	while (dir && (e = readdir(dir))) {
		long long id;
		int end = 0;
		if (sscanf(e->d_name, "%lld.lock%n", &id, &end) == 1 && end && !e->d_name[end])
			sweep_one(st, id);
	}
	if (dir)
		closedir(dir);
}
