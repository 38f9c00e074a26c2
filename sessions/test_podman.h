/* A Podman of a test's own: its service listens on a socket of the test, keeps everything below one temporary directory, and lives in network and mount
 * namespaces that the test process enters first, so that neither the machine's Podman nor its networks are touched. Needs root. */
#ifndef SESSIONS_TEST_PODMAN_H
#define SESSIONS_TEST_PODMAN_H

#include "core/file.h"
#include "core/mem.h"
#include <dirent.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

static struct {
	char dir[40];
	pid_t pid;
} podman;

/* Namespaces of our own, for this process and all that it starts. 0, or -1 having said why. */
static inline int podman_isolate(void)
{
	struct ifreq lo = {.ifr_name = "lo"};
	if (unshare(CLONE_NEWNET | CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
	    mount("none", "/dev/shm", "tmpfs", 0, NULL) || /* where Podman keeps its locks, */
	    mount("none", "/run", "tmpfs", 0,
	          NULL)) { /* networks in use, and who answers for names in them */
		perror("namespaces of our own");
		return -1;
	}
	cleanup_close int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (ioctl(fd, SIOCGIFFLAGS, &lo) || (lo.ifr_flags |= IFF_UP, ioctl(fd, SIOCSIFFLAGS, &lo))) {
		perror("lo");
		return -1;
	}
	return 0;
}

/* No systemd, journal or rights to raise limits are asked for: the test may run in a container. */
static inline void podman_configure(void)
{
	static const char text[] = "[containers]\n"
	                           "log_driver = \"k8s-file\"\n"
	                           "default_ulimits = [\"nofile=1024:1024\", \"nproc=4096:4096\"]\n"
	                           "[engine]\n"
	                           "cgroup_manager = \"cgroupfs\"\n"
	                           "events_logger = \"file\"\n"
	                           "runtime = \"runc\"\n"
	                           "[network]\n"
	                           "network_backend = \"netavark\"\n";
	cleanup_free char *path = mem_printf("%s/containers.conf", podman.dir);
	struct err err = {0};
	if (file_write(path, text, strlen(text), 0600, &err))
		fail_msg("%s", err.msg);
	setenv("CONTAINERS_CONF", path, 1);
}

/* The socket is ours, so that whoever connects before Podman is ready waits in it (sd_listen_fds(3)). */
static inline int podman_listen(void)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	snprintf(a.sun_path, sizeof(a.sun_path), "%s/podman.sock", podman.dir);
	assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof(a)) | listen(fd, 64), 0);
	cleanup_free char *host = mem_printf("unix://%s", a.sun_path);
	setenv("DOCKER_HOST", host, 1);
	return fd;
}

static inline void podman_serve(int listener)
{
	cleanup_free char *root = mem_printf("--root=%s/root", podman.dir),
	                  *run = mem_printf("--runroot=%s/run", podman.dir),
	                  *tmp = mem_printf("--tmpdir=%s/tmp", podman.dir),
	                  *net = mem_printf("--network-config-dir=%s/net", podman.dir),
	                  *log = mem_printf("%s/log", podman.dir), *pid = mem_printf("%d", (int)getpid());
	const char *argv[] = {"podman", root,      run,        tmp, net, "--storage-driver=overlay",
	                      "system", "service", "--time=0", NULL};
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	setenv("LISTEN_FDS", "1", 1);
	setenv("LISTEN_PID", pid, 1);
	if (dup2(listener, 3) == 3 && freopen(log, "w", stderr))
		execvp(argv[0], (char *const *)argv);
	_exit(127);
}

/** Start it. DOCKER_HOST names it from then on. */
static inline void podman_start(void)
{
	snprintf(podman.dir, sizeof(podman.dir), "/tmp/codefoundry-test.XXXXXX");
	assert_non_null(mkdtemp(podman.dir));
	podman_configure();
	int listener = podman_listen();
	podman.pid = fork();
	if (podman.pid == 0)
		podman_serve(listener);
	close(listener);
}

/* Who watched a program that was run in a container stays for five minutes, to remove what is kept of it. */
static inline void podman_kill_watchers(void)
{
	DIR *proc = opendir("/proc");
	for (struct dirent *e; proc && (e = readdir(proc));) {
		char path[300], line[4096];
		snprintf(path, sizeof(path), "/proc/%s/cmdline", e->d_name);
		ssize_t n = atoi(e->d_name) > 1 ? file_peek(path, line, sizeof(line)) : 0;
		if (n > 0 && strstr(line, "conmon") &&
		    memmem(line, (size_t)n, podman.dir, strlen(podman.dir)))
			kill(atoi(e->d_name), SIGKILL);
	}
	if (proc)
		closedir(proc);
}

/** End it. Its containers are gone by then. */
static inline void podman_end(void)
{
	struct err err = {0};
	podman_kill_watchers();
	cleanup_free char *overlay = mem_printf("%s/root/overlay", podman.dir);
	kill(podman.pid, SIGTERM);
	waitpid(podman.pid, NULL, 0);
	umount2(overlay, MNT_DETACH);
	if (tree_remove(podman.dir, &err))
		print_error("%s\n", err.msg);
}

#endif
