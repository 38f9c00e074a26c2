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

int proc_identify(pid_t pid, struct proc_id *id)
{
	char path[64], buf[1024];
	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	if (file_peek(path, buf, sizeof(buf)) <= 0)
		return -1;
	char *p = strrchr(buf, ')'); /* the name may hold anything, even ") Z 1" */
	if (!p || p[1] != ' ' || p[2] == 'Z' || p[2] == 'X')
		return -1;
	p += 2;
	for (int field = 3; field < 22 && p; field++)
		if ((p = strchr(p, ' ')))
			p++;
	if (!p)
		return -1;
	id->pid = pid;
	id->start = strtoll(p, NULL, 10);
	return 0;
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
