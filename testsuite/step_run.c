/* Steps that run programs and look at files. Programs run without a shell, from an almost empty environment, in the scenario's
 * own directory, so that nothing of the developer's machine decides a test. */
#include "core/clock.h"
#include "core/file.h"
#include "core/mem.h"
#include "core/proc.h"
#include "testsuite/steps.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define MAX_OUTPUT (4u << 20)
#define MAX_FILE (16u << 20)
#define SHOWN_BYTES 1200
#define MAX_ARGS 64

struct run_open {
	char *name;
	pid_t pid;
	struct run_open *next;
};

static const struct schema run_expect_keys[] = {
        MATCH_KEYS,
        {.key = "exit", .shape = SHAPE_COUNT},
        {.key = "failure", .shape = SHAPE_FLAG},
        {.key = "any_exit", .shape = SHAPE_FLAG},
        {.key = "json", .shape = SHAPE_CHECKS, .keys = match_json_schema},
        {.key = NULL},
};

static const struct schema run_keys[] = {
        {.key = "argv", .shape = SHAPE_TEXTS, .required = true},
        {.key = "env", .shape = SHAPE_MAP},
        {.key = "stdin", .shape = SHAPE_TEXT},
        {.key = "background", .shape = SHAPE_NAME},
        {.key = "within", .shape = SHAPE_DURATION},
        {.key = "expect", .shape = SHAPE_OBJECT, .keys = run_expect_keys},
        {.key = "save", .shape = SHAPE_MAP},
        {.key = NULL},
};

static const struct schema finish_keys[] = {
        {.key = "run", .shape = SHAPE_NAME, .required = true},
        {.key = "within", .shape = SHAPE_DURATION},
        {.key = "expect", .shape = SHAPE_OBJECT, .keys = run_expect_keys},
        {.key = "save", .shape = SHAPE_MAP},
        {.key = NULL},
};

static void free_list(char **list)
{
	for (size_t i = 0; list[i]; i++)
		free(list[i]);
}

static int argv_of(struct play *p, const cJSON *args, char **argv, struct err *err)
{
	const cJSON *list = cJSON_GetObjectItemCaseSensitive(args, "argv"), *item;
	size_t n = 0;
	if (!cJSON_IsArray(list))
		return err_set(err, ERR_INVALID, "'argv' wants a list: no shell splits words here");
	cJSON_ArrayForEach(item, list)
	{
		if (n == MAX_ARGS)
			return err_set(err, ERR_LIMIT, "at most %d arguments", MAX_ARGS);
		if (!(argv[n] = vars_expand_value(p->vars, item, err)))
			return -1;
		if (n == 0 && strcmp(argv[0], "codefoundry") == 0) {
			free(argv[0]);
			argv[0] = mem_strdup(proc_self());
		}
		n++;
	}
	return 0;
}

/* The own stack's settings, then the step's: a later one wins. */
static int env_of(struct play *p, const cJSON *args, char **env, struct err *err)
{
	size_t n = 0;
	const cJSON *item;
	if (p->own_target)
		cJSON_ArrayForEach(item, target_settings(p->target)) if (n < MAX_ARGS) env[n++] =
		        mem_printf("%s=%s", item->string, cJSON_IsString(item) ? item->valuestring : "");
	cJSON_ArrayForEach(item, cJSON_GetObjectItemCaseSensitive(args, "env"))
	{
		cleanup_free char *value = vars_expand_value(p->vars, item, err);
		if (!value)
			return -1;
		if (n == MAX_ARGS)
			return err_set(err, ERR_LIMIT, "at most %d environment variables", MAX_ARGS);
		env[n++] = mem_printf("%s=%s", item->string, value);
	}
	return 0;
}

static char *output_path(const struct play *p, const char *name, const char *which)
{
	return mem_printf("%s/%s.%s", p->dir, name, which);
}

static int input_fd(struct play *p, const cJSON *args, const char *name, struct err *err)
{
	cleanup_free char *text = NULL, *path = output_path(p, name, "in");
	if (step_text(p, args, "stdin", &text, err))
		return -2;
	if (!text)
		return PROC_NULL;
	if (file_write(path, text, strlen(text), 0600, err))
		return -2;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	return fd < 0 ? (err_sys(err, errno, "%s", path), -2) : fd;
}

static int start(struct play *p, const cJSON *args, const char *name, char **argv, char **env, pid_t *pid,
                 struct err *err)
{
	cleanup_free char *out_path = output_path(p, name, "out"), *err_path = output_path(p, name, "err");
	if (argv_of(p, args, argv, err) || env_of(p, args, env, err))
		return -1;
	int in = input_fd(p, args, name, err);
	if (in == -2)
		return -1;
	cleanup_close int out = open(out_path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	cleanup_close int errs = open(err_path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	struct proc_spec spec = PROC_SPEC_INIT;
	spec.argv = (const char *const *)argv;
	spec.env = (const char *const *)env;
	spec.clear_env = true;
	spec.cwd = p->dir;
	spec.in = in;
	spec.out = out;
	spec.errfd = errs;
	spec.die_with_parent = true;
	int rc = out < 0 || errs < 0 ? err_sys(err, errno, "%s", p->dir) : proc_spawn(&spec, pid, err);
	if (in >= 0)
		close(in);
	return rc;
}

/* Wait for the end. Returns the exit code (128 + signal), or -1 when ${deadline} passed. */
static int wait_end(pid_t pid, int64_t deadline)
{
	int status;
	cleanup_close int fd = (int)syscall(SYS_pidfd_open, pid, 0);
	struct pollfd pfd = {.fd = fd, .events = POLLIN};
	for (;;) {
		int rc = poll(&pfd, 1, (int)step_left(deadline));
		if (rc < 0 && errno == EINTR)
			continue;
		if (rc == 0)
			return -1;
		if (waitpid(pid, &status, 0) == pid)
			return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
		return 128;
	}
}

static void end_now(pid_t pid)
{
	kill(-pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

static int output_met(struct play *p, const cJSON *want, int code, const char *out, const char *all,
                      struct str *why, struct err *err)
{
	int64_t wanted;
	bool failure = json_bool(want, "failure", false);
	if (step_int(p, want, "exit", 0, &wanted, err))
		return -1;
	if (!json_bool(want, "any_exit", false) && (failure ? code == 0 : code != (int)wanted)) {
		str_addf(why, "ended with %d, wanted %s%lld", code, failure ? "anything but " : "",
		         (long long)wanted);
		return 0;
	}
	const cJSON *checks = cJSON_GetObjectItemCaseSensitive(want, "json");
	struct err not_json = {0};
	cleanup_json cJSON *doc = checks ? json_parse(out, strlen(out), &not_json) : NULL;
	int met = want ? match_text(p->vars, want, all, why, err) : 1;
	return met == 1 && checks ? match_json(p->vars, checks, doc, why, err) : met;
}

static int save_output(struct play *p, const cJSON *args, const char *out, struct err *err)
{
	const cJSON *save = cJSON_GetObjectItemCaseSensitive(args, "save");
	if (!save)
		return 0;
	cleanup_json cJSON *doc = json_parse(out, strlen(out), err);
	return doc ? match_save(p->vars, save, doc, err) : -1;
}

/* The program ended with ${code}: is it what was wanted? Output conditions look at standard output followed by standard error. */
static int examine(struct play *p, const cJSON *args, const char *name, int code, struct err *err)
{
	cleanup_free char *out_path = output_path(p, name, "out"), *err_path = output_path(p, name, "err");
	cleanup_free char *out = NULL, *errs = NULL, *all = NULL;
	cleanup_str struct str why = STR_INIT;
	if (file_read(out_path, MAX_OUTPUT, &out, NULL, err) ||
	    file_read(err_path, MAX_OUTPUT, &errs, NULL, err))
		return -1;
	all = mem_printf("%s%s", out, errs);
	vars_set(p->vars, "output", all);
	vars_set_int(p->vars, "exit", code);
	int met = output_met(p, cJSON_GetObjectItemCaseSensitive(args, "expect"), code, out, all, &why, err);
	if (met < 0)
		return -1;
	if (met)
		return save_output(p, args, out, err);
	cleanup_str struct str text = STR_INIT;
	str_addf(&text, "the program %s%s; it wrote ",
	         strncmp(str_text(&why), "ended", 5) ? "'s output " : "", str_text(&why));
	size_t len = strlen(all);
	match_quote(&text, len > SHOWN_BYTES ? all + len - SHOWN_BYTES : all, SHOWN_BYTES);
	return err_set(err, ERR_FAILED, "%s", str_text(&text));
}

static int finish(struct play *p, const cJSON *args, const char *name, pid_t pid, struct err *err)
{
	int code = wait_end(pid, step_deadline(p, args));
	if (code >= 0)
		return examine(p, args, name, code, err);
	end_now(pid);
	cleanup_free char *path = output_path(p, name, "err"), *errs = NULL;
	struct err ignored = {0};
	if (file_read(path, MAX_OUTPUT, &errs, NULL, &ignored))
		return err_set(err, ERR_TIMEOUT, "the program did not end in time");
	cleanup_str struct str text = STR_INIT;
	match_quote(&text, errs, SHOWN_BYTES);
	return err_set(err, ERR_TIMEOUT, "the program did not end in time; it wrote %s", str_text(&text));
}

static int run_run(struct play *p, const char *who, const cJSON *args, struct err *err)
{
	(void)who;
	char *argv[MAX_ARGS + 1] = {NULL}, *env[MAX_ARGS + 1] = {NULL};
	const char *name = json_text(args, "background");
	pid_t pid = 0;
	if (!step_dir(p, err))
		return -1;
	int rc = start(p, args, name ? name : "run", argv, env, &pid, err);
	free_list(argv);
	free_list(env);
	if (rc || !name)
		return rc ? rc : finish(p, args, "run", pid, err);
	struct run_open *r = mem_alloc(sizeof(*r));
	*r = (struct run_open){.name = mem_strdup(name), .pid = pid, .next = p->runs};
	p->runs = r;
	vars_set_int(p->vars, name, pid);
	return 0;
}

/* Take the background run off the list. 0 when there is none. */
static pid_t take(struct play *p, const char *name)
{
	for (struct run_open **at = &p->runs; *at; at = &(*at)->next) {
		struct run_open *r = *at;
		if (strcmp(r->name, name) != 0)
			continue;
		pid_t pid = r->pid;
		*at = r->next;
		free(r->name);
		free(r);
		return pid;
	}
	return 0;
}

static int finish_run(struct play *p, const char *who, const cJSON *args, struct err *err)
{
	(void)who;
	const char *name = json_text(args, "run");
	pid_t pid = take(p, name);
	if (!pid)
		return err_set(err, ERR_NOT_FOUND, "no program '%s' runs in the background", name);
	return finish(p, args, name, pid, err);
}

int step_run_kill(struct play *p, const char *name, int signal, struct err *err)
{
	for (struct run_open *r = p->runs; r; r = r->next)
		if (strcmp(r->name, name) == 0)
			return kill(r->pid, signal) ? err_sys(err, errno, "kill %s", name) : 0;
	return err_set(err, ERR_NOT_FOUND, "no program '%s' runs in the background", name);
}

void step_run_end(struct play *p)
{
	while (p->runs)
		end_now(take(p, p->runs->name));
}

static const struct schema file_keys[] = {
        MATCH_KEYS,
        {.key = "path", .shape = SHAPE_TEXT, .required = true},
        {.key = "exists", .shape = SHAPE_FLAG},
        {.key = NULL},
};

/* 1 read, 0 it is not there, or -1. */
static int read_whole(struct play *p, const char *path, char **text, struct err *err)
{
	struct err why = {0};
	if (target_read(p->target, path, MAX_FILE, text, &why) == 0)
		return 1;
	if (why.code == ERR_NOT_FOUND)
		return 0;
	*err = why;
	return -1;
}

static int file_run(struct play *p, const char *who, const cJSON *args, struct err *err)
{
	(void)who;
	cleanup_free char *rel = NULL, *text = NULL;
	cleanup_str struct str why = STR_INIT, shown = STR_INIT;
	if (step_text(p, args, "path", &rel, err))
		return -1;
	if (rel[0] == '/' || strstr(rel, ".."))
		return err_set(err, ERR_INVALID,
		               "'path' stands below the stack's state directory, without ..: %s", rel);
	bool wanted = json_bool(args, "exists", true);
	bool whole = wanted && cJSON_GetArraySize(args) > 1 + cJSON_HasObjectItem(args, "exists");
	int there = whole ? read_whole(p, rel, &text, err) : target_has(p->target, rel, err);
	if (there < 0)
		return -1;
	if (there != wanted)
		return err_set(err, ERR_FAILED, "%s %s", rel,
		               wanted ? "is not there" : "is there, but should not be");
	if (!whole)
		return 0;
	int met = match_text(p->vars, args, text, &why, err);
	if (met)
		return met > 0 ? 0 : -1;
	match_quote(&shown, text, SHOWN_BYTES);
	return err_set(err, ERR_FAILED, "%s %s: %s", rel, str_text(&why), str_text(&shown));
}

const struct step_kind run_steps[] = {
        {"run", "argv", run_keys, STEP_TRUSTED, run_run},
        {"finish", "run", finish_keys, STEP_TRUSTED, finish_run},
        {"file", "path", file_keys, STEP_TARGET, file_run},
        {.name = NULL},
};
