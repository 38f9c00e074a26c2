/* Which process a pid means: pids are used again, pid and start time are not. */
#include "core/file.h"
#include "core/mem.h"
#include "core/proc.h"
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define STAT_MAX 1024
#define LOOKS 3 /* what changes hands while it is looked at will hardly do so again at once */
/* of field 9, see include/linux/sched.h */
#define PF_EXITING 0x00000004u
#define PF_KTHREAD 0x00200000u

enum { FLAGS = 9, THREADS = 20, START = 22, MEMORY = 23, CODE = 26, ENV_BEGIN = 50, ENV_END = 51 };

/* What follows the name in /proc/PID/stat, which may hold anything, even ") Z 1": from field 3 on; or in that of one of its threads.
 * NULL when nobody has the pid. */
static const char *read_stat(pid_t pid, pid_t thread, char *buf, size_t size)
{
	char path[64];
	if (thread == pid)
		snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	else
		snprintf(path, sizeof(path), "/proc/%d/task/%d/stat", (int)pid, (int)thread);
	if (file_peek(path, buf, size) <= 0)
		return NULL;
	const char *p = strrchr(buf, ')');
	return p && p[1] == ' ' ? p + 2 : NULL;
}

/* Field ${number} (as proc_pid_stat(5) counts them) of ${stat}, which begins at field 3; NULL when it ends before. */
static const char *stat_field(const char *stat, int number)
{
	for (int field = 3; field < number && stat; field++)
		if ((stat = strchr(stat, ' ')))
			stat++;
	return stat;
}

/* As a number; 0 when there is no such field. */
static unsigned long long stat_number(const char *stat, int number)
{
	const char *p = stat_field(stat, number);
	return p ? strtoull(p, NULL, 10) : 0;
}

/* Of process ${pid}; NULL when there is none that runs. A first thread that has ended stays as a zombie (Z) until all others have: the process
 * goes on with those. One that has no count of threads was taken away (X) while it was looked at, which leaves its pid to nobody,
 * or to another thread that goes on inside execve: asked again. */
static const char *read_running(pid_t pid, char *buf, size_t size)
{
	for (int look = 0; look < LOOKS; look++) {
		const char *stat = read_stat(pid, pid, buf, size);
		if (!stat)
			return NULL;
		bool ended = *stat == 'Z' || *stat == 'X';
		unsigned long long threads = stat_number(stat, THREADS);
		if (!ended || threads > 1)
			return stat;
		if (threads)
			return NULL;
	}
	return NULL;
}

int proc_identify(pid_t pid, struct proc_id *id)
{
	char buf[STAT_MAX];
	const char *stat = read_running(pid, buf, sizeof(buf));
	if (!stat || !(stat = stat_field(stat, START)))
		return -1;
	id->pid = pid;
	id->start = strtoll(stat, NULL, 10);
	return 0;
}

/* Of one thread. */
static enum proc_environ environ_of(const char *stat)
{
	unsigned long long flags = stat_number(stat, FLAGS), end = stat_number(stat, ENV_END);
	if (flags & PF_KTHREAD)
		return PROC_ENVIRON_NONE;
	if (!stat_number(stat, MEMORY))
		return flags & PF_EXITING ? PROC_ENVIRON_LOST : PROC_ENVIRON_NONE;
	/* where its code begins is noted last */
	bool given = !stat_number(stat, CODE) || !end || end != stat_number(stat, ENV_BEGIN);
	return given ? PROC_ENVIRON_SOME : PROC_ENVIRON_NONE;
}

/* Of the threads besides the first: of any that still has the memory, which is the same for all. */
static enum proc_environ environ_of_others(pid_t pid, pid_t *thread)
{
	char path[64], buf[STAT_MAX];
	enum proc_environ found = PROC_ENVIRON_LOST;
	snprintf(path, sizeof(path), "/proc/%d/task", (int)pid);
	DIR *dir = opendir(path);
	struct dirent *e;
	while (found == PROC_ENVIRON_LOST && dir && (e = readdir(dir))) {
		pid_t one = (pid_t)atoi(e->d_name);
		const char *stat = one > 0 && one != pid ? read_stat(pid, one, buf, sizeof(buf)) : NULL;
		if (stat && (found = environ_of(stat)) != PROC_ENVIRON_LOST)
			*thread = one;
	}
	if (dir)
		closedir(dir);
	return found;
}

enum proc_environ proc_environ(pid_t pid, pid_t *thread)
{
	char buf[STAT_MAX];
	enum proc_environ found = PROC_ENVIRON_NONE;
	*thread = pid;
	/* again: a thread that calls execve ends all others, then goes on under the pid of the first */
	for (int look = 0; look < LOOKS; look++) {
		const char *stat = read_running(pid, buf, sizeof(buf));
		found = stat ? environ_of(stat) : PROC_ENVIRON_NONE;
		if (found != PROC_ENVIRON_LOST || stat_number(stat, THREADS) < 2)
			break;
		if ((found = environ_of_others(pid, thread)) != PROC_ENVIRON_LOST)
			break;
	}
	return found;
}

bool proc_alive(const struct proc_id *id)
{
	struct proc_id now;
	return id->pid > 0 && proc_identify(id->pid, &now) == 0 && (!id->start || now.start == id->start);
}

int proc_signal(const struct proc_id *id, int sig)
{
	if (id->pid <= 0 || !id->start) {
		errno = EINVAL; /* without a start time it might be anybody */
		return -1;
	}
	cleanup_close int fd = (int)syscall(SYS_pidfd_open, id->pid, 0);
	if (fd < 0)
		return errno == ESRCH ? 0 : -1;
	/* the descriptor pins whoever has the pid now: look once more whether it is the one meant */
	if (!proc_alive(id))
		return 0;
	return syscall(SYS_pidfd_send_signal, fd, sig, NULL, 0) && errno != ESRCH ? -1 : 0;
}
