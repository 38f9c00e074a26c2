/* A dockerd of the matrix's own, on a disk of its own, in the network and mount namespaces that the whole program has for
 * itself. It goes on without who started it. */
#include "compose/test_docker.h"
#include "core/clock.h"
#include "core/proc.h"
#include "tests/crash/crash.h"
#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#define READY_MS 60000
#define END_MS 20000
#define LOOK_MS 20
#define DOCKERD_PID "pid"
#define CONTAINERD_PID "exec/containerd/containerd.pid"
#define DISK "size=900m"

static struct test_docker image;

/* Also in the processes that are hurt, which know it from their environment. */
static const char *folder(void)
{
	const char *dir = getenv("CRASH_ENGINE");
	return dir ? dir : "/nonexistent";
}

static char *path_of(const char *name)
{
	return mem_printf("%s/%s", folder(), name);
}

const char *engine_image(void)
{
	return image.image;
}

static pid_t pid_in(const char *name)
{
	char text[32] = "";
	cleanup_free char *path = path_of(name);
	return file_peek(path, text, sizeof(text)) > 0 ? (pid_t)atoi(text) : 0;
}

/* Ask until it answers: before its socket is there, asking is refused at once. */
static void await_answer(void)
{
	int64_t until = clock_mono_ms() + READY_MS;
	struct err err = {0};
	cJSON *info;
	while (!(info = docker_info(&err)) && clock_mono_ms() < until)
		poll(NULL, 0, LOOK_MS);
	if (!info)
		fail_msg("dockerd does not start: %s; see %s/log", err.msg, folder());
	cJSON_Delete(info);
}

void engine_start(void)
{
	cleanup_free char *data = path_of("data"), *exec = path_of("exec"), *pid = path_of(DOCKERD_PID),
	                  *log = path_of("log"), *host = mem_printf("unix://%s/sock", folder());
	const char *argv[] = {"dockerd",   "--data-root", data, "--exec-root", exec,
	                      "--pidfile", pid,           "-H", host,          NULL};
	cleanup_close int fd = open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	struct proc_spec spec = PROC_SPEC_INIT;
	struct err err = {0};
	pid_t started;
	cleanup_free char *other = path_of(CONTAINERD_PID);
	unlink(other);
	unlink(pid); /* as after a boot: one that was killed may not be reaped yet, and its number would be believed */
	spec.argv = argv;
	spec.out = spec.errfd = fd;
	spec.new_session = true;
	if (proc_spawn(&spec, &started, &err))
		fail_msg("%s", err.msg);
	await_answer();
}

void engine_open(void)
{
	char dir[] = "/tmp/cfd.XXXXXX";
	assert_non_null(mkdtemp(dir));
	setenv("CRASH_ENGINE", dir, 1);
	cleanup_free char *host = mem_printf("unix://%s/sock", folder());
	assert_int_equal(mount("none", dir, "tmpfs", 0, DISK), 0);
	setenv("DOCKER_HOST", host, 1);
	engine_start();
	test_docker_open(&image);
	test_docker_image(&image);
}

static void end(pid_t pid, int sig)
{
	cleanup_close int fd = pid > 1 ? (int)syscall(SYS_pidfd_open, pid, 0) : -1;
	struct pollfd p = {.fd = fd, .events = POLLIN};
	if (fd < 0)
		return;
	kill(pid, sig);
	if (poll(&p, 1, END_MS) != 1)
		kill(pid, SIGKILL);
}

void engine_kill(void)
{
	cell_note(ENGINE_KILLED, "");
	end(pid_in(DOCKERD_PID), SIGKILL);
	end(pid_in(CONTAINERD_PID), SIGKILL); /* it would have been told by the kernel */
}

void engine_fill(void)
{
	static const char block[1 << 16];
	cleanup_free char *path = path_of("data/filler");
	cleanup_close int fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	for (size_t size = sizeof(block); fd >= 0 && size; size /= 2)
		while (write(fd, block, size) == (ssize_t)size)
			;
}

void engine_empty(void)
{
	cleanup_free char *path = path_of("data/filler");
	unlink(path);
}

void engine_sweep(void)
{
	static const char *const labels[] = {"com.codefoundry.install", NULL};
	struct err err = {0};
	for (int kind = 0; kind < DOCKER_KINDS; kind++) {
		cleanup_json cJSON *list = docker_list(kind, labels, &err);
		for (const cJSON *o = list ? list->child : NULL; o; o = o->next) {
			const char *install = cJSON_GetStringValue(
			        cJSON_GetObjectItemCaseSensitive(json_at(o, "labels"), labels[0]));
			if (install && strcmp(install, STRANGE_INSTALL) &&
			    docker_remove(kind, json_text_or(o, "id", ""), &err))
				fprintf(stderr, "%s\n", err.msg);
		}
	}
}

/* Containerd and the shims of containers outlive a dockerd that was killed: known by the folder in their arguments. */
static void end_helpers(void)
{
	DIR *proc = opendir("/proc");
	struct dirent *e;
	while (proc && (e = readdir(proc))) {
		char args[4096];
		cleanup_free char *path = mem_printf("/proc/%s/cmdline", e->d_name);
		ssize_t n = isdigit((unsigned char)*e->d_name) ? file_peek(path, args, sizeof(args)) : 0;
		if (n > 0 && memmem(args, (size_t)n, folder(), strlen(folder())))
			end((pid_t)atoi(e->d_name), SIGKILL);
	}
	closedir(proc);
}

void engine_close(void)
{
	test_docker_close(&image);
	end(pid_in(DOCKERD_PID), SIGTERM);
	end_helpers();
	if (umount2(folder(), MNT_DETACH) || rmdir(folder()))
		perror(folder());
}
