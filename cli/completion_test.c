/* What is offered at the end of a command line, asked of the program, and through the completion of real shells. */
#include "core/file.h"
#include "core/mem.h"
#include "core/proc.h"
#include "core/str.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define WORDS_MAX 16
#define WAIT_MS 30000

static char program[4096], state_dir[64], session[32];

static char *run(const char *const *argv, int wanted)
{
	struct proc_spec spec = PROC_SPEC_INIT;
	struct proc_result result = {0};
	struct err err;
	spec.argv = argv;
	if (proc_run(&spec, NULL, WAIT_MS, 1 << 20, &result, &err))
		fail_msg("%s", err.msg);
	if (result.status != wanted || result.timed_out)
		fail_msg("%s %s…: %d: %s%s", argv[0], argv[1], result.status, result.out, result.errs);
	free(result.errs);
	return result.out;
}

/* What is offered for the last word of ${line} (words apart by blanks; a blank at its end: an empty one), a line each. To free. */
static char *offered(const char *line)
{
	const char *argv[WORDS_MAX + 4] = {program, "complete", "--"};
	cleanup_free char *copy = mem_strdup(line);
	size_t n = 3;
	for (char *rest = copy, *word; n < WORDS_MAX && (word = strsep(&rest, " "));)
		argv[n++] = word;
	return run(argv, 0);
}

static bool has_line(const char *text, const char *word)
{
	size_t n = strlen(word);
	for (const char *p = text; p && *p; p = strchr(p, '\n') ? strchr(p, '\n') + 1 : NULL)
		if (!strncmp(p, word, n) && p[n] == '\t')
			return true;
	return false;
}

static void what_fits_there_is_offered(void **state)
{
	static const struct {
		const char *line, *has[4], *not [3]; /* @ is the session */
	} cases[] = {
	        {"", {"session", "completion", "help", "--env"}, {"complete", "start"}},
	        {"se", {"session", "settings"}, {"up"}},
	        {"session ", {"start", "cp", "wait"}, {"supervise", "--json"}},
	        {"session st", {"start", "stop", "stats"}, {"show"}},
	        {"session show ", {"@"}, {"gateway", ":files"}},
	        {"session show @ ", {"--json", "--help"}, {"@"}},
	        {"session show --json ", {"@"}, {"gateway"}},
	        {"session logs @ ", {"gateway", "test-runner"}, {"@"}},
	        {"session logs @ gateway tele", {"telegram"}, {"gateway"}},
	        {"session logs @ -", {"--json", "--since", "-n", "-f"}, {"gateway"}},
	        {"session logs @ -n 5 ", {"gateway"}, {"--json"}},
	        {"session logs @ -n ", {NULL}, {"gateway", "@"}},
	        {"session wait @ --for ", {"healthy", "gone", "stopped"}, {"@"}},
	        {"session exec @ -- ", {":files"}, {"gateway"}},
	        {"session start --compose ", {":files"}, {"@"}},
	        {"session cp ", {"@:", ":files"}, {"@"}},
	        {"test run --scenario re", {"reconnect"}, {"start"}},
	        {"test run --session ", {"@"}, {"start"}},
	        {"test run --format j", {"junit", "json"}, {"tap"}},
	        {"job show ", {"1"}, {"@"}},
	        {"health ", {"gateway", "bot"}, {"@"}},
	        {"completion z", {"zsh"}, {"bash"}},
	        {"chat -", {"--json", "--user"}, {"@"}},
	        {"--env ", {":files"}, {"session"}},
	        {"--env /dev/null session sho", {"show"}, {"start"}},
	        {"nonsense ", {NULL}, {"session"}},
	        {"session nonsense ", {NULL}, {"@"}},
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		cleanup_str struct str line = STR_INIT;
		for (const char *p = cases[i].line; *p; p++)
			str_add(&line, *p == '@' ? session : (char[2]){*p, '\0'});
		cleanup_free char *text = offered(str_text(&line));
		for (size_t k = 0; k < 7; k++) {
			const char *given = k < 4 ? cases[i].has[k] : cases[i].not [k - 4];
			if (!given)
				continue;
			cleanup_free char *word =
			        *given == '@' ? mem_printf("%s%s", session, given + 1) : mem_strdup(given);
			if (has_line(text, word) != (k < 4))
				fail_msg("'%s' %s %s:\n%s", str_text(&line), k < 4 ? "lacks" : "has", word,
				         text);
		}
	}
}

/* Call ${fn} with "${line} WORD" for every word that is offered behind ${line}. */
static int each_offer(const char *line, int (*fn)(const char *line))
{
	cleanup_free char *behind = mem_printf("%s ", line), *text = offered(*line ? behind : line);
	int n = 0;
	for (char *rest = text, *one; (one = strsep(&rest, "\n"));) {
		one[strcspn(one, "\t")] = '\0';
		cleanup_free char *longer = mem_printf("%s%s%s", line, *line ? " " : "", one);
		if (*one && *one != '-' && *one != ':')
			n += fn(longer);
	}
	return n;
}

static int offer_options(const char *line)
{
	static const char *const ends[] = {" -", " x -", " 1", " x y z ", " --json "};
	for (size_t i = 0; i < ARRAY_LEN(ends); i++) {
		cleanup_free char *longer = mem_printf("%s%s", line, ends[i]);
		free(offered(longer));
	}
	return 1;
}

static int offer_verbs(const char *line)
{
	return offer_options(line) + each_offer(line, offer_options);
}

/* Whatever the command: only its table is asked for, it does not begin. */
static void nothing_is_done(void **state)
{
	char dir[] = "/tmp/codefoundry-test.XXXXXX";
	struct err err = {0};
	(void)state;
	assert_non_null(mkdtemp(dir));
	cleanup_free char *inside = mem_printf("%s/state", dir);
	setenv("STATE_DIR", inside, 1);
	int n = each_offer("", offer_verbs);
	setenv("STATE_DIR", state_dir, 1);
	if (n < 40)
		fail_msg("only %d commands and verbs", n);
	assert_false(path_exists(inside));
	assert_int_equal(tree_remove(dir, &err), 0);
	cleanup_free char *list = run((const char *[]){program, "session", "list", "--json", NULL}, 0);
	assert_non_null(strstr(list, session)); /* `session stop NAME` was completed, too */
}

/* -- shells -- */

static char *in_shell(const char *shell, const char *script)
{
	cleanup_free char *path = mem_printf("%s", program);
	*strrchr(path, '/') = '\0';
	cleanup_free char *with = mem_printf("PATH=%s:%s", path, getenv("PATH"));
	const char *argv[] = {"env", with, shell, "-c", script, NULL};
	return run(argv, 0);
}

static void in_bash(void **state)
{
	(void)state;
	cleanup_free char *script = mem_printf("source <(codefoundry completion bash)\n"
	                                       "complete -p codefoundry\n"
	                                       "try() { COMP_WORDS=(codefoundry \"$@\"); COMP_CWORD=$#; "
	                                       "_codefoundry; echo \"${COMPREPLY[*]}\"; }\n"
	                                       "try session sto; try session logs %s te; try session wait %s "
	                                       "--for ''; try session start --compose ''",
	                                       session, session);
	cleanup_free char *out = in_shell("bash", script);
	assert_string_equal(out,
	                    "complete -F _codefoundry codefoundry\nstop\ntelegram telegram-bot test-runner\n"
	                    "healthy gone stopped\n\n");
}

/* Its completion system needs a terminal: here its two functions only say what they were given. */
static void in_zsh(void **state)
{
	(void)state;
	cleanup_free char *script =
	        mem_printf("compdef() { echo compdef $@ }\n_describe() { print -rl -- ${(P)2} }\n_files() { "
	                   "echo files }\n"
	                   "source <(codefoundry completion zsh)\n"
	                   "try() { words=(codefoundry \"$@\"); CURRENT=$#words; _codefoundry }\n"
	                   "try session sto; try session logs %s te; try session start --compose ''; try "
	                   "session cp %.3s",
	                   session, session);
	cleanup_free char *out = in_shell("zsh", script);
	cleanup_free char *wanted =
	        mem_printf("compdef _codefoundry codefoundry\n"
	                   "stop:stop and remove (--keep: only stop)\n"
	                   "telegram:\ntelegram-bot:\ntest-runner:\nfiles\n%s\\::running\nfiles\n",
	                   session);
	assert_string_equal(out, wanted);
}

static void in_fish(void **state)
{
	(void)state;
	cleanup_free char *script =
	        mem_printf("codefoundry completion fish | source\n"
	                   "complete -C 'codefoundry session sto'\n"
	                   "complete -C 'codefoundry session logs %s te'\n"
	                   "complete -C 'codefoundry session show '\n"
	                   "complete -C 'codefoundry session start --compose /etc/host'\n",
	                   session);
	cleanup_free char *out = in_shell("fish", script);
	assert_non_null(strstr(out, "stop\tstop and remove (--keep: only stop)\ntelegram\n"));
	assert_non_null(strstr(out, "test-runner\n"));
	assert_true(has_line(out, session));
	assert_non_null(strstr(out, "/etc/hostname"));
	assert_null(strstr(out, ":files"));
}

static int setup(void **state)
{
	char range[32];
	int port = 18300 + (int)(getpid() % 10) * 40;
	(void)state;
	snprintf(program, sizeof(program), "%s", proc_self());
	char *build = strstr(program, "/test/cli/"); /* the test's own place is build/test/cli */
	assert_non_null(build);
	snprintf(build, sizeof(program) - (size_t)(build - program), "/codefoundry");
	snprintf(session, sizeof(session), "cmp-%d", (int)getpid());
	snprintf(range, sizeof(range), "%d-%d", port, port + 39);
	snprintf(state_dir, sizeof(state_dir), "/tmp/codefoundry-test.XXXXXX");
	assert_non_null(mkdtemp(state_dir));
	setenv("STATE_DIR", state_dir, 1);
	setenv("SESSION_PORT_RANGE", range, 1);
	setenv("ENGINE", "process", 1);
	setenv("HOME", state_dir, 1); /* fish keeps a history there */
	free(run((const char *[]){program, "session", "start", session, NULL}, 0));
	return 0;
}

static int teardown(void **state)
{
	struct err err = {0};
	(void)state;
	free(run((const char *[]){program, "session", "stop", session, NULL}, 0));
	return tree_remove(state_dir, &err);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(what_fits_there_is_offered),
	        cmocka_unit_test(nothing_is_done),
	        cmocka_unit_test(in_bash),
	        cmocka_unit_test(in_zsh),
	        cmocka_unit_test(in_fish),
	};
	return cmocka_run_group_tests_name("completion", tests, setup, teardown);
}
