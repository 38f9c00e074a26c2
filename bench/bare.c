/* The peer: a compose tool and the files of a session, as a person would use them without this program. */
#include "bench/containers.h"
#include "core/clock.h"
#include "core/file.h"
#include "core/http_client.h"
#include "core/mem.h"
#include "core/proc.h"
#include "core/str.h"
#include <ctype.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RUN_MS 300000
#define MAX_OUTPUT (1u << 20)
#define MAX_FILE (1u << 20)
#define ASK_EVERY_MS 10
#define HEALTHY_MS 60000
#define ARGS_MAX 24

int bench_run(const char *const *argv, char **out, struct err *err)
{
	struct proc_spec spec = PROC_SPEC_INIT;
	struct proc_result result = {0};
	spec.argv = argv;
	spec.die_with_parent = true;
	if (proc_run(&spec, NULL, RUN_MS, MAX_OUTPUT, &result, err))
		return -1;
	int rc = result.status == 0 ? 0
	                            : err_set(err, ERR_FAILED, "%s %s… ended with %d: %.1500s", argv[0],
	                                      argv[1] ? argv[1] : "", result.status, result.errs);
	if (out && !rc)
		*out = TAKE(result.out);
	proc_result_free(&result);
	return rc;
}

/* -- its files -- */

struct rewrite {
	const char *from, *to;
};

/* Whether ${from} stands at ${p} and does not go on as a longer name. */
static bool stands(const char *p, const char *from)
{
	size_t n = strlen(from);
	return strncmp(p, from, n) == 0 && !isalnum((unsigned char)p[n]);
}

/* ${text} with every ${words} replaced and ${shift} added to the ports of ${from}. */
static char *rewritten(const char *text, const struct rewrite *words, const struct bare_template *from,
                       int shift)
{
	struct str out = STR_INIT;
	for (const char *p = text; *p;) {
		const struct rewrite *w = words;
		size_t digits = strspn(p, "0123456789");
		bool number = digits == 5 && !isalnum((unsigned char)p[5]) &&
		              (p == text || !isalnum((unsigned char)p[-1]));
		long port = number ? strtol(p, NULL, 10) : 0;
		while (w->from && !stands(p, w->from))
			w++;
		if (w->from) {
			str_add(&out, w->to);
			p += strlen(w->from);
		} else if (port >= from->port_low && port <= from->port_high) {
			str_addf(&out, "%ld", port + shift);
			p += digits;
		} else {
			/* as a whole: a part of a longer number is no port */
			size_t n = digits ? digits : 1;
			str_addn(&out, p, n);
			p += n;
		}
	}
	return str_take(&out);
}

static char *read_text(const char *dir, const char *name)
{
	cleanup_free char *path = mem_printf("%s/%s", dir, name);
	struct err err = {0};
	char *text = NULL;
	if (file_read(path, MAX_FILE, &text, NULL, &err))
		give_up("%s", err.msg);
	return text;
}

static void write_text(const char *dir, const char *name, const char *text)
{
	cleanup_free char *path = mem_printf("%s/%s", dir, name);
	struct err err = {0};
	if (file_write(path, text, strlen(text), 0600, &err))
		give_up("%s", err.msg);
}

/* The host's port that is published for ${target} in ${override}. */
static int port_for(const char *override, const char *target)
{
	cleanup_free char *mark = mem_printf(":%s/tcp\"", target);
	const char *at = strstr(override, mark);
	if (!at)
		give_up("the session publishes no port %s", target);
	while (at > override && isdigit((unsigned char)at[-1]))
		at--;
	return atoi(at);
}

/* The leased subnet as it is written in ${override}. */
static char *subnet_in(const char *override)
{
	static const char mark[] = "subnet: \"";
	const char *at = strstr(override, mark);
	if (!at)
		give_up("the session has no subnet");
	at += sizeof(mark) - 1;
	return mem_strndup(at, strcspn(at, "\""));
}

void bare_name(struct bare *bare, const struct bench *b, const char *prefix, size_t k)
{
	bare->dir = mem_printf("%s/bare-%zu", b->dir, k);
	bare->project = mem_printf("%sbare-%zu", prefix, k);
	bare->runner = mem_printf("%s-test-runner", bare->project);
}

void bare_write(struct bare *bare, const struct bare_template *from, const char *label, size_t k)
{
	struct err err = {0};
	int shift = from->port_high - from->port_low + 1 + BARE_PORTS * (int)k;
	cleanup_free char *base = read_text(from->dir, "compose.yml"),
	                  *override = read_text(from->dir, "override.yml"), *subnet = subnet_in(override),
	                  *other = mem_printf("10.198.%zu.0/26", 128 + k);
	const struct rewrite words[] = {{from->project, bare->project},
	                                {from->install, label},
	                                {from->uuid, label},
	                                {subnet, other},
	                                {NULL, NULL}};
	cleanup_free char *new_override = rewritten(override, words, from, shift);
	if (dir_make(bare->dir, 0700, &err))
		give_up("%s", err.msg);
	write_text(bare->dir, "compose.yml", base);
	write_text(bare->dir, "override.yml", new_override);
	static const char *const targets[] = {"18790", "18791", "3000"};
	for (size_t i = 0; i < ARRAY_LEN(targets); i++)
		bare->ports[i] = port_for(new_override, targets[i]);
}

void bare_free(struct bare *bare)
{
	free(bare->dir);
	free(bare->project);
	free(bare->runner);
	*bare = (struct bare){0};
}

/* -- its life -- */

static int tool_run(const struct bare *bare, const struct provider *tool, const char *const *args,
                    struct err *err)
{
	cleanup_free char *base = mem_printf("%s/compose.yml", bare->dir),
	                  *override = mem_printf("%s/override.yml", bare->dir);
	const char *const options[] = {"-p", bare->project, "-f", base, "-f", override, NULL};
	const char *argv[ARGS_MAX] = {NULL};
	const char *const *const lists[] = {tool->command, options, args};
	size_t n = 0;
	for (size_t i = 0; i < ARRAY_LEN(lists); i++)
		for (const char *const *a = lists[i]; *a && n < ARGS_MAX - 1; a++)
			argv[n++] = *a;
	return bench_run(argv, NULL, err);
}

static bool answers(int port)
{
	cleanup_free char *url = mem_printf("http://127.0.0.1:%d/health", port);
	struct http_request req = {.url = url, .connect_ms = 1000, .total_ms = 1000};
	struct http_reply reply = {0};
	struct err ignored = {0};
	bool well = http_fetch(&req, &reply, &ignored) == 0 && reply.status == 200;
	http_reply_free(&reply);
	return well;
}

/* The worker listens nowhere: its own health check says how it is. */
static bool runner_well(const struct bare *bare)
{
	const char *const argv[] = {"docker", "exec",   bare->runner, "/usr/bin/codefoundry",
	                            "health", "--self", NULL};
	struct err ignored = {0};
	return bench_run(argv, NULL, &ignored) == 0;
}

static int await_healthy(const struct bare *bare, struct err *err)
{
	int64_t deadline = clock_mono_ms() + HEALTHY_MS;
	size_t well = 0;
	for (;;) {
		while (well < ARRAY_LEN(bare->ports) && answers(bare->ports[well]))
			well++;
		if (well == ARRAY_LEN(bare->ports) && runner_well(bare))
			return 0;
		if (clock_mono_ms() > deadline)
			return err_set(err, ERR_TIMEOUT, "%s did not become healthy", bare->project);
		poll(NULL, 0, ASK_EVERY_MS);
	}
}

int bare_up(const struct bare *bare, const struct provider *tool, double *up_ms, struct err *err)
{
	static const char *const up[] = {"up", "-d", NULL};
	int64_t began = clock_mono_ms();
	if (tool_run(bare, tool, up, err))
		return -1;
	*up_ms = (double)(clock_mono_ms() - began);
	return await_healthy(bare, err);
}

int bare_down(const struct bare *bare, const struct provider *tool, struct err *err)
{
	static const char *const down[] = {"down", "-v", NULL};
	cleanup_free char *file = mem_printf("%s/override.yml", bare->dir);
	if (!path_exists(file))
		return 0;
	return tool_run(bare, tool, down, err);
}
