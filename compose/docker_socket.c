/* Where the engine listens, which of the two it is, and what to do when it does not answer. */
#include "compose/docker.h"
#include "compose/docker_http.h"
#include "core/file.h"
#include "core/mem.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define DOCKER_SOCKET "/var/run/docker.sock"
#define PODMAN_SOCKET "podman/podman.sock" /* podman-system-service(1): below /run, or $XDG_RUNTIME_DIR */

static const char elsewhere[] = "; ENGINE=process works without containers";

/* What people can do about each of them. */
static const struct advice {
	const char *name, *denied, *start, *restart;
} advices[] = {
        {"Docker",
         "become a member of its group (sudo usermod -aG docker $USER, then log in again) or use sudo",
         "service docker start (or systemctl start docker)",
         "service docker restart (or systemctl restart docker)"},
        {"Podman",
         "take your own (systemctl --user start podman.socket, "
         "DOCKER_HOST=unix://$XDG_RUNTIME_DIR/" PODMAN_SOCKET ") or use sudo",
         "systemctl start podman.socket (of your own: systemctl --user …; without systemd: podman system "
         "service --time=0)",
         "systemctl restart podman.service (or end `podman system service` and start it again)"},
};

/* -- where -- */

static bool is_installed(const char *program)
{
	const char *path = getenv("PATH");
	cleanup_free char *dirs = mem_printf("%s:/usr/sbin:/usr/bin:/usr/local/bin", path ? path : "");
	char *rest = dirs, *dir;

	while ((dir = strsep(&rest, ":"))) {
		cleanup_free char *file = mem_printf("%s/%s", dir, program);
		if (*dir && access(file, X_OK) == 0)
			return true;
	}
	return false;
}

/* The socket of Podman's service, root's or this user's own; NULL when there is none. */
static const char *podman_socket(void)
{
	static _Thread_local char path[sizeof(((struct sockaddr_un *)0)->sun_path)];
	const char *own = getenv("XDG_RUNTIME_DIR"), *dir = geteuid() == 0 ? "/run" : own;

	if (!dir || snprintf(path, sizeof(path), "%s/" PODMAN_SOCKET, dir) >= (int)sizeof(path))
		return NULL;
	return path_exists(path) ? path : NULL;
}

/* Docker that is merely stopped is waited for: sessions in it would look as if they were gone. */
static const char *usual_socket(void)
{
	bool docker = path_exists(DOCKER_SOCKET) || is_installed("dockerd");
	const char *podman = docker ? NULL : podman_socket();

	return podman ? podman : DOCKER_SOCKET;
}

const char *docker_socket(struct err *err)
{
	const char *host = getenv("DOCKER_HOST");
	struct sockaddr_un addr;

	if (!host || !*host)
		return usual_socket();
	if (strncmp(host, "unix://", 7) || host[7] != '/') {
		/* no more than its kind: an address may hold a name and a password */
		err_set(err, ERR_ENGINE,
		        "DOCKER_HOST is %.*s…, but only the engine of this machine can be used: set it to "
		        "%s%s",
		        (int)strcspn(host, ":/"), host, "unix:///path or unset it", elsewhere);
		return NULL;
	}
	if (strlen(host + 7) >= sizeof(addr.sun_path)) {
		err_set(err, ERR_ENGINE, "DOCKER_HOST: a socket's path has at most %zu bytes",
		        sizeof(addr.sun_path) - 1);
		return NULL;
	}
	return host + 7;
}

bool docker_expected(void)
{
	const char *host = getenv("DOCKER_HOST");

	return (host && *host) || path_exists(DOCKER_SOCKET) || is_installed("dockerd") || podman_socket();
}

/* -- which -- */

static _Thread_local bool answered_as_podman;

void docker_heard(const char *server)
{
	if (*server)
		answered_as_podman = !strncmp(server, "Libpod/", 7);
}

bool docker_is_podman(void)
{
	return answered_as_podman;
}

const char *docker_name(void)
{
	struct err ignored = {0};
	const char *socket = docker_socket(&ignored), *name = socket ? strrchr(socket, '/') : NULL;

	return advices[answered_as_podman || (name && strstr(name, "podman"))].name;
}

const char *docker_client(void)
{
	return is_installed("docker") || !is_installed("podman") ? "docker" : "podman";
}

/* -- why it does not answer -- */

/* The error of connecting to ${path}; 0: somebody takes connections. */
static int connect_errno(const char *path)
{
	cleanup_close int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct sockaddr_un addr = {.sun_family = AF_UNIX};

	if (fd < 0)
		return errno;
	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", path);
	return connect(fd, (struct sockaddr *)&addr, sizeof(addr)) ? errno : 0;
}

static int absent(const char *path, struct err *err)
{
	return err_set(err, ERR_ENGINE,
	               "Docker is not here: there is no %s and no dockerd: install it (apt-get install "
	               "docker.io)%s%s",
	               path, is_installed("podman") ? ", or start the one of Podman: " : "",
	               is_installed("podman") ? advices[1].start : elsewhere);
}

int docker_explain(const char *path, struct err *err)
{
	struct err cause = *err;
	const struct advice *a = &advices[!strcmp(docker_name(), advices[1].name)];
	int why;

	if (cause.code == ERR_CANCELLED || cause.code == ERR_LIMIT || cause.code == ERR_INVALID)
		return -1;
	why = connect_errno(path);
	if (why == EACCES || why == EPERM)
		return err_set(err, ERR_ENGINE, "%s: %s: permission denied: %s%s", a->name, path, a->denied,
		               elsewhere);
	if ((why == ENOENT || why == ENOTDIR) && a == advices && !is_installed("dockerd"))
		return absent(path, err);
	if (why && why != EAGAIN)
		return err_set(err, ERR_ENGINE, "%s does not run (%s: %s): start it: %s%s", a->name, path,
		               strerror(why), a->start, elsewhere);
	if (cause.code == ERR_TIMEOUT || why == EAGAIN)
		return err_set(err, ERR_ENGINE, "%s does not answer (%s): restart it: %s%s", a->name,
		               cause.msg, a->restart, elsewhere);
	return err_set(err, ERR_ENGINE, "%s broke off (%s)", a->name, cause.msg);
}
