/* Proves that the nine scenarios can fail: for every planted defect of tests/mutants.yml, a session is started whose services have it
 * (CF_MUTANT), and the scenario that names the broken behaviour must fail; without a defect all nine must pass. Writes TAP, and a table
 * on stderr. Usage: mutants PROGRAM-BUILT-WITH-MUTANTS=1 tests/mutants.yml [NAME…] */
#include "core/clock.h"
#include "core/file.h"
#include "core/json.h"
#include "core/mem.h"
#include "core/proc.h"
#include "core/str.h"
#include "core/yaml.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define AT_ONCE 3
#define MAX_MUTANTS 128
#define RUN_MS 120000
#define MAX_OUTPUT (4u << 20)

struct mutant {
	const char *name, *scenario, *breaks; /* name NULL: no defect, all nine */
	pid_t pid;
	int out;
	bool ok;
	char detail[1200]; /* which step caught it, or why not */
	int64_t ms;
};

/* -- in a child: one session, one scenario -- */

static int run(const char *program, const char *const *args, const char *const *env, struct proc_result *r)
{
	const char *argv[16] = {program};
	struct err err = {0};
	size_t n = 1;
	while (*args && n < ARRAY_LEN(argv) - 1)
		argv[n++] = *args++;
	struct proc_spec spec = PROC_SPEC_INIT;
	spec.argv = argv;
	spec.env = env;
	spec.clear_env = true;
	if (proc_run(&spec, NULL, RUN_MS, MAX_OUTPUT, r, &err) == 0)
		return 0;
	printf("0\n%s\n", err.msg);
	return -1;
}

/* First line: 1 as it should be, 0 not; then the detail. */
static void judge(const struct mutant *m, const cJSON *result, const struct proc_result *r)
{
	cleanup_str struct str why = STR_INIT;
	const cJSON *s;
	bool caught = false, passed = result && json_int(result, "failed", -1) == 0;
	cJSON_ArrayForEach(s, json_at(result, "scenarios"))
	{
		const char *status = json_text(s, "status"), *message = json_text(s, "message");
		if (!status || strcmp(status, "failed") != 0)
			continue;
		caught |= m->name && strcmp(json_text(s, "name"), m->scenario) == 0;
		str_addf(&why, "%s%s: %.300s", why.len ? "; " : "", json_text(s, "name"),
		         message ? message : "");
	}
	if (!result)
		str_addf(&why, "no result: %.900s", r->errs ? r->errs : "");
	else if (m->name && !caught)
		str_addf(&why, "%s passed", m->scenario);
	for (char *p = why.p; p && *p; p++)
		*p = *p == '\n' ? ' ' : *p;
	printf("%d\n%s\n", (m->name ? caught : passed) ? 1 : 0, str_text(&why));
}

static void be_child(const char *program, const struct mutant *m, size_t index)
{
	char dir[] = "/tmp/cfm-XXXXXX";
	if (!mkdtemp(dir))
		_exit(1);
	struct err err = {0};
	unsigned low = 20000 + (unsigned)(index % 48) * 200;
	cleanup_free char *mutant = mem_printf("CF_SESSION_MUTANT=%s", m->name ? m->name : "");
	cleanup_free char *state = mem_printf("STATE_DIR=%s/state", dir);
	cleanup_free char *range = mem_printf("SESSION_PORT_RANGE=%u-%u", low, low + 199);
	const char *env[] = {state, range, "ENGINE=process", "TEST_STEP_SECONDS=2", mutant, NULL};
	const char *test[] = {"test",     "run",  "--scenario", m->name ? m->scenario : "all",
	                      "--format", "json", "--timeout",  m->name ? "6" : "60",
	                      NULL};
	struct proc_result r = {0};
	if (run(program, test, env, &r) == 0) {
		struct err ignored = {0};
		cleanup_json cJSON *result = json_parse(r.out, r.out_len, &ignored);
		judge(m, result, &r);
		proc_result_free(&r);
	}
	static const char *const reap[] = {"session", "reap", NULL};
	if (run(program, reap, env, &r) == 0)
		proc_result_free(&r);
	tree_remove(dir, &err);
	fflush(stdout);
	_exit(0);
}

/* -- in the parent -- */

static void start(const char *program, struct mutant *m, size_t index)
{
	int fds[2];
	if (pipe2(fds, O_CLOEXEC))
		exit(1);
	fflush(NULL);
	m->ms = clock_mono_ms();
	m->pid = fork();
	if (m->pid == 0) {
		dup2(fds[1], STDOUT_FILENO);
		be_child(program, m, index);
	}
	close(fds[1]);
	m->out = fds[0];
}

static void finish(struct mutant *m)
{
	char text[sizeof(m->detail) + 8] = "";
	size_t n = 0;
	ssize_t got;
	while (n < sizeof(text) - 1 && (got = read(m->out, text + n, sizeof(text) - 1 - n)) > 0)
		n += (size_t)got;
	close(m->out);
	waitpid(m->pid, NULL, 0);
	m->ms = clock_mono_ms() - m->ms;
	m->ok = text[0] == '1';
	char *detail = strchr(text, '\n');
	snprintf(m->detail, sizeof(m->detail), "%s", detail ? detail + 1 : "it said nothing");
	m->detail[strcspn(m->detail, "\n")] = '\0';
}

static void tell(const struct mutant *m, size_t i)
{
	char took[32];
	clock_duration(m->ms, took, sizeof(took));
	if (m->name)
		printf("%s %zu - %s is caught by %s\n", m->ok ? "ok" : "not ok", i + 1, m->name, m->scenario);
	else
		printf("%s %zu - without a defect all nine pass\n", m->ok ? "ok" : "not ok", i + 1);
	if (!m->ok)
		printf("# %s\n", m->detail);
	fprintf(stderr, "%-6s %-30s %-10s %8s  %s\n         %.200s\n",
	        m->ok ? (m->name ? "caught" : "pass") : "MISSED", m->name ? m->name : "(none)",
	        m->name ? m->scenario : "all", took, m->breaks, m->detail);
	fflush(stdout);
}

static bool wanted(const char *name, char **names)
{
	if (!*names)
		return true;
	for (; *names; names++)
		if (strcmp(*names, name) == 0)
			return true;
	return false;
}

static size_t read_list(const cJSON *list, char **names, struct mutant *out)
{
	size_t n = 0;
	const cJSON *item;
	if (!*names)
		out[n++] = (struct mutant){.scenario = "all", .breaks = "nothing"};
	cJSON_ArrayForEach(item, json_at(list, "mutants"))
	{
		struct mutant m = {.name = json_text(item, "name"),
		                   .scenario = json_text(item, "scenario"),
		                   .breaks = json_text(item, "breaks")};
		if (n < MAX_MUTANTS && m.name && m.scenario && m.breaks && wanted(m.name, names))
			out[n++] = m;
	}
	return n;
}

int main(int argc, char **argv)
{
	static struct mutant mutants[MAX_MUTANTS];
	struct err err = {0};
	cleanup_free char *text = NULL;
	size_t len, failed = 0;
	if (argc < 3) {
		fprintf(stderr, "usage: mutants PROGRAM tests/mutants.yml [NAME…]\n");
		return 2;
	}
	cleanup_json cJSON *list =
	        file_read(argv[2], 1 << 20, &text, &len, &err) ? NULL : yaml_parse(text, len, argv[2], &err);
	if (!list) {
		fprintf(stderr, "mutants: %s\n", err.msg);
		return 2;
	}
	size_t n = read_list(list, argv + 3, mutants), begun = 0;
	printf("1..%zu\n", n);
	for (size_t i = 0; i < n; i++) {
		/* the nine need the machine for themselves */
		for (; begun < n && begun < i + (i || !mutants[0].name ? AT_ONCE : 1) &&
		       (begun == 0 || mutants[0].name || i > 0);
		     begun++)
			start(argv[1], &mutants[begun], begun);
		finish(&mutants[i]);
		tell(&mutants[i], i);
		failed += !mutants[i].ok;
	}
	return failed ? 1 : 0;
}
