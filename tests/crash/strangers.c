/* Look-alikes, and another installation's session of the same name. */
#include "compose/override.h"
#include "compose/test_docker.h"
#include "core/proc.h"
#include "sessions/marker.h"
#include "tests/crash/crash.h"
#include <signal.h>
#include <sys/wait.h>

#define OTHER_SESSION "00000000-0000-4000-8000-000000000001"

static struct test_docker docker;
static pid_t process;
static struct stranger {
	enum docker_kind kind;
	char *id;
} list[8];
static size_t count;

pid_t stranger_process(void)
{
	return process;
}

const char *stranger_container(void)
{
	return getenv("CRASH_STRANGER");
}

static void remember(enum docker_kind kind, char *id)
{
	list[count++] = (struct stranger){kind, id};
}

static void make(enum docker_kind kind, const char *name, bool labelled)
{
	cleanup_json cJSON *body = json_object(), *made = NULL;
	cJSON *labels = json_object();
	struct err err = {0};
	cleanup_free char *path = mem_printf("/%ss/create", docker_kind_name(kind));
	json_add_text(body, "Name", name);
	json_add_text(labels, "com.codefoundry.test", docker.id);
	if (labelled) {
		json_add_text(labels, LABEL_INSTALL, STRANGE_INSTALL);
		json_add_text(labels, LABEL_SESSION, OTHER_SESSION);
		json_add_text(labels, LABEL_NAME, "demo");
	}
	json_add(body, "Labels", labels);
	if (docker_call("POST", path, body, 0, &made, &err))
		fail_msg("%s", err.msg);
	remember(kind, mem_strdup(json_text_or(made, "Id", name)));
}

static void plant_objects(void)
{
	static const char *const labels[] = {LABEL_INSTALL "=" STRANGE_INSTALL,
	                                     LABEL_SESSION "=" OTHER_SESSION,
	                                     LABEL_NAME "=demo",
	                                     LABEL_SERVICE "=web",
	                                     "com.docker.compose.project=other-demo",
	                                     NULL};
	static const char *const more =
	        "{\"StopSignal\":\"SIGKILL\",\"HostConfig\":{\"RestartPolicy\":{\"Name\":\"always\"}}}";
	struct err err = {0};
	test_docker_open(&docker);
	snprintf(docker.image, sizeof(docker.image), "%s", engine_image());
	remember(DOCKER_CONTAINER,
	         test_docker_container(&docker, "alike", "exec sleep 10000", NULL, more, true));
	remember(DOCKER_CONTAINER,
	         test_docker_container(&docker, "other", "exec sleep 10000", labels, more, true));
	/* as the tool would call the session's, had it no names of its own */
	cleanup_free char *rename = mem_printf("/containers/%s/rename?name=cfm-demo_web_1", list[0].id);
	if (docker_call("POST", rename, NULL, 0, NULL, &err))
		fail_msg("%s", err.msg);
	setenv("CRASH_STRANGER", list[0].id, 1);
	make(DOCKER_NETWORK, "cfm-demo-default", false);
	make(DOCKER_NETWORK, "other-demo_default", true);
	make(DOCKER_VOLUME, "cfm-demo-data", false);
	make(DOCKER_VOLUME, "other-demo_data", true);
}

void strangers_plant(enum engine_kind engine)
{
	const char *argv[] = {proc_self(), "--as", "stranger", NULL},
	           *env[] = {MARKER_KEY "=" STRANGE_INSTALL "." OTHER_SESSION, NULL};
	struct proc_spec spec = PROC_SPEC_INIT;
	struct err err = {0};
	spec.argv = argv;
	spec.env = env;
	if (proc_spawn(&spec, &process, &err))
		fail_msg("%s", err.msg);
	if (engine == ON_COMPOSE)
		plant_objects();
}

static bool is_there(const struct stranger *s)
{
	struct err err = {0};
	cleanup_free char *path = mem_printf("/%ss/%s%s", docker_kind_name(s->kind), s->id,
	                                     s->kind == DOCKER_CONTAINER ? "/json" : "");
	cleanup_json cJSON *found = docker_get(path, &err);
	return found && (s->kind != DOCKER_CONTAINER || json_bool(found, "State.Running", false));
}

int strangers_missing(struct str *what)
{
	int missing = 0;
	if (kill(process, 0)) {
		str_add(what, "the stranger's process is gone\n");
		missing++;
	}
	for (size_t i = 0; i < count; i++) {
		if (is_there(&list[i]))
			continue;
		str_addf(what, "the stranger's %s %.12s was touched\n", docker_kind_name(list[i].kind),
		         list[i].id);
		missing++;
	}
	return missing;
}

void strangers_remove(void)
{
	struct err err = {0};
	kill(process, SIGKILL);
	waitpid(process, NULL, 0);
	for (size_t i = 0; i < count; i++) {
		if (docker_remove(list[i].kind, list[i].id, &err))
			fprintf(stderr, "%s\n", err.msg);
		free(list[i].id);
	}
	count = 0;
}
