/* The real tools where it is about them; this program itself as the tool where it is about one that misbehaves. */
#include "compose/compose_testing.h"
#include "core/log.h"
#include "core/proc.h"
#include "jobs/job.h"
#include "jobs/sha256.h"
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>

/* -- finding -- */

static void both_are_found(void **data)
{
	(void)data;
	struct provider p;
	p = generation(0);
	assert_string_equal(p.command[0], "docker-compose");
	assert_null(p.command[1]);
	p = generation(1);
	assert_string_equal(p.command[1], "compose");
	assert_true(p.json);
	assert_true(atoi(p.version) >= 2);
	assert_ok(provider_find(NULL, &p, err));
	assert_string_equal(p.name, PROVIDER_V2);
	/* the plugin gone, the next in line is taken without a restart */
	setenv("DOCKER_CONFIG", "/nonexistent", 1);
	struct err why = {0};
	if (provider_find(PROVIDER_V2, &p, &why)) {
		assert_int_equal(why.code, ERR_ENGINE);
		assert_non_null(strstr(why.msg, "plugin"));
		assert_ok(provider_find("auto", &p, err));
		assert_string_equal(p.name, PROVIDER_V1);
	}
	assert_int_equal(provider_find("nerdctl", &p, &why), -1);
	assert_int_equal(why.code, ERR_CONFIG);
}

static void tool(const struct test_dir *d, const char *name, const char *says)
{
	cleanup_free char *text = mem_printf("#!/bin/sh\necho '%s'\n", says);
	cleanup_free char *path = test_dir_write(d, name, text);
	assert_int_equal(chmod(path, 0755), 0);
}

/* Tools that answer their version alone in PATH. */
static void versions_are_judged(void **data)
{
	(void)data;
	static const struct {
		const char *name, *says, *version;
		bool usable, json;
	} cases[] = {
	        {"docker-compose", "1.27.0", "1.27.0", true, false},
	        {"docker-compose", "v2.39.4", "2.39.4", true, true},
	        {"docker-compose", "2.26.1-4", "2.26.1-4", true, true},
	        {"docker-compose", "1.26.2", "1.26.2", false, false},
	        {"docker-compose", "who knows", NULL, false, false},
	        {"docker", "5.0.1", "5.0.1", true, true},
	        {"docker", "1.9.9", "1.9.9", false, false},
	        {"podman-compose", "podman-composer version  1.0.3", "1.0.3", true, false},
	        {"podman-compose", "podman-composer version  1.0.2", "1.0.2", false, false},
	        {"podman-compose", "podman-compose version 1.5.0", "1.5.0", false, false},
	        {"podman-compose", "9.9.9", NULL, false, false},
	};
	cleanup_free char *path = mem_strdup(getenv("PATH"));
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct test_dir *d;
		test_dir_setup((void **)&d);
		setenv("PATH", d->path, 1);
		tool(d, cases[i].name, cases[i].says);
		struct provider p;
		struct err why = {0};
		assert_int_equal(provider_find("auto", &p, &why), cases[i].usable ? 0 : -1);
		if (cases[i].usable) {
			assert_string_equal(p.version, cases[i].version);
			assert_int_equal(p.json, cases[i].json);
		} else {
			assert_int_equal(why.code, ERR_ENGINE);
			for (size_t k = 0; k < 3; k++)
				assert_non_null(strstr(why.msg, ((const char *[]){PROVIDER_V2, PROVIDER_V1,
				                                                  PROVIDER_PODMAN})[k]));
			assert_non_null(strstr(why.msg, "not installed"));
			assert_non_null(strstr(why.msg, "install docker"));
		}
		cleanup_json cJSON *all = provider_probe("auto");
		int chosen = 0;
		for (const cJSON *one = all->child; one; one = one->next) {
			chosen += json_bool(one, "chosen", false);
			assert_int_equal(json_text(one, "why") == NULL, json_bool(one, "usable", false));
			if (json_text(one, "version"))
				assert_string_equal(json_text(one, "version"), cases[i].version);
		}
		assert_int_equal(chosen, cases[i].usable);
		setenv("PATH", path, 1);
		test_dir_teardown((void **)&d);
	}
}

/* -- running the real ones -- */

#define GOOD "services:\n  web:\n    image: nginx:1\n"

static struct err failure(const struct provider *p, const struct provider_call *call)
{
	struct err err = {0};
	char *out = NULL;
	assert_int_equal(provider_run(p, call, &out, &err), -1);
	assert_null(out);
	return err;
}

static void files_are_resolved(void **data)
{
	cleanup_free char *good = test_dir_write(*data, "docker-compose.yml", GOOD);
	cleanup_free char *more = test_dir_write(
	        *data, "more.yml", "services:\n  web:\n    environment: {A: \"${A}\", B: \"${B}\"}\n");
	cleanup_free char *env = test_dir_write(*data, "env", "A=from-env-file\n");
	for (size_t i = 0; i < ARRAY_LEN(generations); i++) {
		struct provider p = generation(i);
		struct provider_call call = {.project = "mine",
		                             .files = (const char *[]){good, more, NULL},
		                             .env_file = env,
		                             .env = (const char *[]){"B=from-call", NULL},
		                             .args = (const char *[]){"config", NULL}};
		cleanup_free char *out = NULL;
		assert_ok(provider_run(&p, &call, &out, err));
		assert_non_null(strstr(out, "nginx:1"));
		assert_non_null(strstr(out, "from-env-file"));
		assert_non_null(strstr(out, "from-call"));
		assert_null(strstr(out, "other"));
		assert_ok(provider_run(&p, &call, NULL, err));
		call.max_output = 20;
		assert_int_equal(failure(&p, &call).code, ERR_LIMIT);
	}
}

/* What the person's other project left in the shell. */
static void shell_has_no_say(void **data)
{
	struct test_dir *d = *data;
	cleanup_free char *good = test_dir_write(
	        d, "docker-compose.yml", GOOD "  debug:\n    image: debugger\n    profiles: [debug]\n");
	setenv("COMPOSE_FILE", "/nonexistent/compose.yml", 1);
	setenv("COMPOSE_PROJECT_NAME", "other", 1);
	setenv("COMPOSE_PROFILES", "debug", 1);
	for (size_t i = 0; i < ARRAY_LEN(generations); i++) {
		struct provider p = generation(i);
		struct provider_call call = {.directory = d->path};
		call.args = (const char *[]){"config", "--services", NULL};
		cleanup_free char *out = NULL, *all = NULL;
		call.files = (const char *[]){good, NULL};
		assert_ok(provider_run(&p, &call, &out, err));
		/* version 1 names them all */
		assert_int_equal(strstr(out, "debug") != NULL, !p.json);
		call.args = (const char *[]){"config", NULL};
		assert_ok(provider_run(&p, &call, &all, err));
		assert_null(strstr(all, "other"));
		/* the files are looked for as if nothing named them: here in this process's directory, where there are none */
		call.files = NULL;
		call.directory = NULL;
		assert_null(strstr(failure(&p, &call).msg, "nonexistent"));
	}
	unsetenv("COMPOSE_FILE");
	unsetenv("COMPOSE_PROJECT_NAME");
	unsetenv("COMPOSE_PROFILES");
}

static void last_words_are_told(void **data)
{
	cleanup_free char *bad =
	        test_dir_write(*data, "docker-compose.yml",
	                       "services:\n  web:\n    image: ${WEB:?hush-hush-hush is unset}\n");
	log_secret("hush-hush-hush");
	for (size_t i = 0; i < ARRAY_LEN(generations); i++) {
		struct provider p = generation(i);
		struct provider_call call = {.files = (const char *[]){bad, NULL},
		                             .args = (const char *[]){"config", NULL}};
		struct err err = failure(&p, &call);
		assert_int_equal(err.code, ERR_FAILED);
		assert_non_null(strstr(err.msg, p.name));
		assert_non_null(strstr(err.msg, "*** is unset"));
		assert_null(strstr(err.msg, "hush"));
	}
}

/* `events` waits for ever; who is left of it would hold the pipe, and this would take LINGER_MS longer. */
static void time_is_limited(void **data)
{
	cleanup_free char *good = test_dir_write(*data, "docker-compose.yml", GOOD);
	for (size_t i = 0; i < ARRAY_LEN(generations); i++) {
		struct provider p = generation(i);
		struct provider_call call = {.project = "codefoundry-provider-test",
		                             .files = (const char *[]){good, NULL},
		                             .args = (const char *[]){"events", NULL},
		                             .timeout_ms = 1500};
		int64_t begin = clock_mono_ms();
		assert_int_equal(failure(&p, &call).code, ERR_TIMEOUT);
		assert_in_range(clock_mono_ms() - begin, 1400, 4500);
	}
}

/* -- a tool that misbehaves -- */

/* `provider_test tool --ansi never WHAT DIR` */
static int misbehave(const char *what, const char *dir)
{
	if (!strcmp(what, "paint")) {
		fputs("\033[31mred\033[0m\rover\033[2K it\n\n  \n\xff bell\a\n", stderr);
		/* all of it is heard, and who spoke is let live */
		for (int unread = 1; unread && !ioctl(2, FIONREAD, &unread);)
			poll(NULL, 0, 1);
		poll(NULL, 0, 100);
		for (int i = 0; i < 20; i++)
			fprintf(stderr, "line %d\n", i);
		return 7;
	}
	if (!strcmp(what, "trace")) {
		fputs("Stopping web\nTraceback (most recent call last):\n  File \"a.py\", line 1, in f\n"
		      "    f()\n    ^^^\nConnectionRefusedError: [Errno 111] Connection refused\n\n"
		      "During handling of the above exception, another exception occurred:\n\n"
		      "Traceback (most recent call last):\n  File \"b.py\", line 2, in g\n    raise G(\n"
		      "docker.errors.DockerException: Connection refused\nlast line\n",
		      stderr);
		return 1;
	}
	cleanup_free char *pids = mem_printf("%s/pids", dir);
	if (!strcmp(what, "deaf"))
		signal(SIGTERM, SIG_IGN);
	pid_t child = fork();
	if (child) {
		FILE *f = fopen(pids, "w");
		fprintf(f, "%d\n%d\n", getpid(), child);
		fclose(f);
		fputs("ready\n", stderr);
	}
	for (;;)
		pause();
}

static const char *const *self(void)
{
	static const char *command[3];
	command[0] = proc_self();
	command[1] = "tool";
	return command;
}

static void lines_are_cleaned(void **data)
{
	struct test_dir *d = *data;
	struct provider p = {.name = "tool", .command = self(), .version = "1.29.2"};
	struct provider_call call = {.args = (const char *[]){"paint", d->path, NULL}};
	struct err err = failure(&p, &call);
	assert_string_equal(err.msg,
	                    "tool paint: line 10\nline 11\nline 12\nline 13\nline 14\nline 15\nline 16\n"
	                    "line 17\nline 18\nline 19");
}

/* Python shows where it was in itself; people want to know what went wrong. */
static void tracebacks_are_left_out(void **data)
{
	struct test_dir *d = *data;
	struct provider p = {.name = "tool", .command = self(), .version = "1.29.2"};
	struct provider_call call = {.args = (const char *[]){"trace", d->path, NULL}};
	struct err err = failure(&p, &call);
	assert_string_equal(err.msg, "tool trace: Stopping web\ndocker.errors.DockerException: Connection "
	                             "refused\nlast line");
}

struct job_case {
	const char *what;
	struct test_dir *d;
	struct str lines;
} job_case;

static int tool_run(struct job *job, struct err *err)
{
	struct provider p = {.name = "tool", .command = self(), .version = "1.29.2"};
	struct provider_call call = {.args = (const char *[]){job_case.what, job_case.d->path, NULL},
	                             .job = job};
	return provider_run(&p, &call, NULL, err);
}

static void on_event(void *arg, const struct job_event *event)
{
	(void)arg;
	if (strcmp(event->type, "log") != 0)
		return;
	str_addf(&job_case.lines, "%s|", event->text);
	if (!strcmp(event->text, "ready"))
		raise(SIGINT);
}

static struct err run_job(const char *what, struct test_dir *d)
{
	static const struct job_kind kind = {.name = "tool", .run = tool_run, .max_attempts = 1};
	static const struct job_kind *const kinds[] = {&kind, NULL};
	struct test_state t;
	struct err err = {0};
	struct job_request req = {.kind = "tool", .owner = "cli:test"};
	job_case = (struct job_case){.what = what, .d = d, .lines = STR_INIT};
	test_state_open(&t);
	assert_int_equal(jobs_run(t.st, kinds, &req, on_event, NULL, NULL, &err), -1);
	test_state_close(&t);
	return err;
}

static void assert_all_gone(const struct test_dir *d)
{
	cleanup_free char *path = mem_printf("%s/pids", d->path), *text = NULL;
	assert_ok(file_read(path, 1000, &text, NULL, err));
	int n = 0;
	for (char *p = text, *end; *p; p = end + 1, n++) {
		pid_t pid = (pid_t)strtol(p, &end, 10);
		cleanup_close int fd = (int)syscall(SYS_pidfd_open, pid, 0);
		struct pollfd gone = {.fd = fd, .events = POLLIN};
		assert_true(fd < 0 || poll(&gone, 1, 3000) == 1);
	}
	assert_int_equal(n, 2);
}

static void jobs_hear_and_cancel(void **data)
{
	struct test_dir *d = *data;
	struct err err = run_job("paint", d);
	assert_int_equal(err.code, ERR_FAILED);
	assert_non_null(strstr(err.msg, "line 19"));
	assert_int_equal(strncmp(str_text(&job_case.lines), "red|over it|? bell|line 0|line 1|", 33), 0);
	str_free(&job_case.lines);

	int64_t begin = clock_mono_ms();
	err = run_job("wait", d);
	assert_int_equal(err.code, ERR_CANCELLED);
	assert_in_range(clock_mono_ms() - begin, 0, 3000);
	str_free(&job_case.lines);
	assert_all_gone(d);
}

static void who_ignores_term_is_killed(void **data)
{
	struct test_dir *d = *data;
	int64_t begin = clock_mono_ms();
	struct err err = run_job("deaf", d);
	assert_int_equal(err.code, ERR_CANCELLED);
	assert_in_range(clock_mono_ms() - begin, 4900, 9000);
	str_free(&job_case.lines);
	assert_all_gone(d);
}

/* -- settings -- */

static void project_names_are_checked(void **data)
{
	(void)data;
	static const struct {
		const char *name;
		bool good;
	} cases[] = {
	        {"codefoundry", true},
	        {"0a_b-c", true},
	        {"123456789012345678901234567890", true},
	        {"1234567890123456789012345678901", false},
	        {"-a", false},
	        {"_a", false},
	        {"Code", false},
	        {"a b", false},
	        {"a.b", false},
	        {"\xc3\xa4", false},
	};
	static const struct setting *const tables[] = {provider_settings, NULL};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct config *cfg;
		struct err err = {0};
		assert_ok(config_load(&cfg, tables, NULL, false, err));
		assert_ok(config_set(cfg, "COMPOSE_PROJECT_NAME", cases[i].name, err));
		const char *name = provider_project_name(cfg, &err);
		if (cases[i].good)
			assert_string_equal(name, cases[i].name);
		else
			assert_null(name);
		assert_int_equal(err.code, cases[i].good ? ERR_NONE : ERR_CONFIG);
		config_free(cfg);
	}
}

/* What `docker context use` leaves behind: the address of an engine that is not there. */
static void write_context(const struct test_dir *d)
{
	static const char text[] = "{\"Name\":\"elsewhere\",\"Metadata\":{},\"Endpoints\":{\"docker\":{"
	                           "\"Host\":\"tcp://127.0.0.1:9\",\"SkipTLSVerify\":false}}}";
	char sum[SHA256_HEX + 1];
	sha256_hex("elsewhere", 9, sum);
	cleanup_free char *dir = mem_printf("%s/contexts/meta/%s", d->path, sum),
	                  *meta = mem_printf("contexts/meta/%s/meta.json", sum);
	assert_ok(dir_make(dir, 0700, err));
	free(test_dir_write(d, meta, text));
	free(test_dir_write(d, "config.json", "{\"currentContext\":\"elsewhere\"}"));
}

static void contexts_have_no_say(void **data)
{
	static const struct setting *const tables[] = {provider_settings, NULL};
	struct test_dir *d = *data;
	cleanup_free char *good = test_dir_write(d, "docker-compose.yml", GOOD),
	                  *plugins = mem_printf("%s/cli-plugins", d->path);
	struct config *cfg;
	write_context(d);
	unsetenv("DOCKER_CONTEXT");
	assert_ok(config_load(&cfg, tables, NULL, false, err));
	provider_export(cfg);
	assert_string_equal(getenv("DOCKER_CONTEXT"), "default");
	config_free(cfg);
	for (size_t i = 0; i < ARRAY_LEN(generations); i++) {
		struct provider p = generation(i);
		cleanup_free char *theirs = mem_printf("%s/cli-plugins",
		                                       getenv("DOCKER_CONFIG") ?: "/nonexistent"),
		                  *config = mem_printf("DOCKER_CONFIG=%s", d->path);
		unlink(plugins);
		assert_int_equal(symlink(theirs, plugins), 0);
		struct provider_call call = {.project = "codefoundry-provider-test",
		                             .files = (const char *[]){good, NULL},
		                             .env = (const char *[]){config, NULL},
		                             .args = (const char *[]){"ps", "-q", NULL}};
		assert_ok(provider_run(&p, &call, NULL, err));
	}
}

static void docker_host_is_exported(void **data)
{
	static const struct setting *const tables[] = {provider_settings, NULL};
	cleanup_free char *file = test_dir_write(*data, "env", "DOCKER_HOST=unix:///run/other.sock\n");
	cleanup_free char *before = getenv("DOCKER_HOST") ? mem_strdup(getenv("DOCKER_HOST")) : NULL;
	struct config *cfg;
	unsetenv("DOCKER_HOST");
	assert_ok(config_load(&cfg, tables, NULL, false, err));
	provider_export(cfg);
	assert_null(getenv("DOCKER_HOST"));
	config_free(cfg);
	assert_ok(config_load(&cfg, tables, file, true, err));
	provider_export(cfg);
	assert_string_equal(getenv("DOCKER_HOST"), "unix:///run/other.sock");
	config_free(cfg);
	unsetenv("DOCKER_HOST");
	if (before)
		setenv("DOCKER_HOST", before, 1);
}

#define in_dir(test) cmocka_unit_test_setup_teardown(test, test_dir_setup, test_dir_teardown)

int main(int argc, char **argv)
{
	/* the two between are what every call gets: --ansi never */
	if (argc == 6 && !strcmp(argv[1], "tool"))
		return misbehave(argv[4], argv[5]);
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(both_are_found),
	        cmocka_unit_test(versions_are_judged),
	        in_dir(files_are_resolved),
	        in_dir(shell_has_no_say),
	        in_dir(last_words_are_told),
	        in_dir(time_is_limited),
	        in_dir(lines_are_cleaned),
	        in_dir(jobs_hear_and_cancel),
	        in_dir(tracebacks_are_left_out),
	        in_dir(who_ignores_term_is_killed),
	        cmocka_unit_test(project_names_are_checked),
	        in_dir(docker_host_is_exported),
	        in_dir(contexts_have_no_say),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
