/* Which process a pid means: pids are used again, pid and start time are not. */
#include "core/file.h"
#include "core/mem.h"
#include "core/proc.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define STAT_MAX 1024

/* What follows the name in /proc/PID/stat, which may hold anything, even ") Z 1": from field 3 on. NULL when nobody has the pid. */
static const char *read_stat(pid_t pid, char *buf, size_t size)
{
	char path[64];
	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
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

int proc_identify(pid_t pid, struct proc_id *id)
{
	char buf[STAT_MAX];
	const char *stat = read_stat(pid, buf, sizeof(buf));
	if (!stat || *stat == 'Z' || *stat == 'X' || !(stat = stat_field(stat, 22)))
		return -1;
	id->pid = pid;
	id->start = strtoll(stat, NULL, 10);
	return 0;
}

/* As a number; 0 when there is no such field. */
static unsigned long long stat_number(const char *stat, int number)
{
	const char *p = stat_field(stat, number);
	return p ? strtoull(p, NULL, 10) : 0;
}

bool proc_has_environ(pid_t pid)
{
	enum { MEMORY = 23, CODE = 26, ENV_BEGIN = 50, ENV_END = 51 };
	char buf[STAT_MAX];
	const char *stat = read_stat(pid, buf, sizeof(buf));
	if (!stat || !stat_number(stat, MEMORY))
		return false;
	unsigned long long end = stat_number(stat, ENV_END);
	/* where its code begins is noted last */
	return !stat_number(stat, CODE) || !end || end != stat_number(stat, ENV_BEGIN);
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
