/* codefoundry: one program, one table of commands. */
#include "cli/args.h"
#include "cli/cli.h"
#include "cli/complete.h"
#include "core/init.h"
#include "core/log.h"
#include "core/mem.h"
#include "core/text.h"
#include "core/version.h"
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#define DEFAULT_ENV ".env.test"

struct command {
	const char *name, *summary;
	cli_command *run;
	bool part; /* started by `up` and by sessions */
};

static const struct command commands[] = {
        {"up", "Start gateway, bot, worker and, without a token, the built-in Telegram server", cli_up,
         false},
        {"down", "Stop them", cli_down, false},
        {"status", "What runs where", cli_status, false},
        {"health", "Ask every part for its health; exit code 1 when one is ill", cli_health, false},
        {"doctor", "Whether this machine can run sessions, with advice; exit code 1 when not", cli_doctor,
         false},
        {"chat", "Talk to the bot through the built-in Telegram server", cli_chat, false},
        {"session", "start stop restart extend pin reap, list show logs stats top wait, attach exec cp",
         cli_session, false},
        {"job", "list show retry cancel", cli_job, false},
        {"test", "run list history", cli_test, false},
        {"compose", "lint resolve: what of a compose file reaches out of a session, without starting it",
         cli_compose, false},
        {"image", "build save show: the container image, made of this program", cli_image, false},
        {"info", "What this installation is: version, folders, engine, limits", cli_info, false},
        {"clean", "Remove everything it made on this machine; shows it and asks first", cli_clean, false},
        {"completion", "bash, zsh, fish: print what makes a shell complete these commands", cli_completion,
         false},
        {"settings", "Print every setting with its default, as an example file", cli_example, false},
        {"gateway", "The WebSocket gateway", cli_gateway, true},
        {"bot", "The Telegram bot", cli_bot, true},
        {"worker", "Runs jobs and reaps sessions", cli_worker, true},
        {"telegram", "The built-in Telegram server", cli_telegram, true},
};

static void print_help(FILE *to)
{
	fprintf(to,
	        "codefoundry %s: throw-away test environments on one machine, from a chat or a shell\n\n"
	        "usage: codefoundry [--env FILE] COMMAND …\n",
	        version_text);
	for (int part = 0; part < 2; part++) {
		fprintf(to, part ? "\nParts, each in the foreground (`up` runs them together):\n" : "\n");
		for (size_t i = 0; i < ARRAY_LEN(commands); i++)
			if (commands[i].part == part)
				fprintf(to, "  %-10s %s\n", commands[i].name, commands[i].summary);
	}
	fprintf(to, "\nSettings come from the environment and from FILE (default " DEFAULT_ENV
	            " in the current directory).\n"
	            "For example:\n"
	            "  codefoundry up && codefoundry session start demo && codefoundry test run --session "
	            "demo\n");
}

static const struct command *find(const char *name, struct err *err)
{
	const char *names[ARRAY_LEN(commands) + 1] = {0};
	for (size_t i = 0; i < ARRAY_LEN(commands); i++) {
		if (!strcmp(commands[i].name, name))
			return &commands[i];
		names[i] = commands[i].name;
	}
	const char *near = text_nearest(name, names);
	err_set(err, ERR_USAGE, "there is no command '%s'%s%s; `codefoundry help` lists them", name,
	        near ? ", did you mean " : "", near ? near : "");
	return NULL;
}

static const char *const others[] = {"help", "version", "--env", NULL}; /* beside the commands */

/* Of the words on a command line of ours, the last one is completed. */
static int complete(int argc, char **argv)
{
	struct err err = {0};
	struct config *cfg = NULL;
	bool missing = false;
	char *word = argc ? argv[--argc] : (char *)"";
	for (int i = 0; i < argc; i++) {
		if (strcmp(argv[i], "--") != 0)
			continue;
		complete_files(); /* a command line of another program */
		return 0;
	}
	const char *env_file = args_take_env(&argc, argv, &missing);
	argv[argc++] = word;
	if (missing) {
		complete_files();
		return 0;
	}
	const struct command *command = argc > 1 ? find(argv[0], &err) : NULL;
	if (argc > 1 && (!command || config_load(&cfg, cli_settings, env_file ? env_file : DEFAULT_ENV,
	                                         env_file != NULL, &err)))
		return 0;
	complete_begin(cfg, word);
	if (command)
		command->run(cfg, argc, argv, &err);
	for (size_t i = 0; !command && i < ARRAY_LEN(commands); i++)
		complete_offer(commands[i].name, commands[i].summary);
	for (const char *const *o = others; !command && *o; o++)
		complete_offer(*o, NULL);
	config_free(cfg);
	return 0;
}

static int run(const struct command *command, const char *env_file, int argc, char **argv, struct err *err)
{
	struct config *cfg = NULL;
	if (config_load(&cfg, cli_settings, env_file ? env_file : DEFAULT_ENV, env_file != NULL, err))
		return -1;
	enum log_level level = LOG_INFO;
	log_level_parse(config_text(cfg, "LOG_LEVEL"), &level);
	/* in a terminal a command's own output is what counts; the parts log */
	log_open(command->name, !command->part && level == LOG_INFO ? LOG_WARN : level);
	log_context("session", config_text(cfg, "SESSION_NAME"));
	int rc = command->run(cfg, argc, argv, err);
	config_free(cfg);
	return rc;
}

static int fail(const struct err *err)
{
	cleanup_free char *text = log_redact(err->msg);
	text_blank(text, "\n\t"); /* it may quote what others wrote */
	fprintf(stderr, "codefoundry: %s\n", text);
	return err_exit_code(err->code);
}

int main(int argc, char **argv)
{
	struct err err = {0};
	bool missing;
	init_split();
	setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0}); /* a core would hold secrets */
	signal(SIGPIPE, SIG_IGN);
	if (argc > 2 && !strcmp(argv[1], "complete") && !strcmp(argv[2], "--"))
		return complete(argc - 3, argv + 3) || fflush(stdout);
	const char *env_file = args_take_env(&argc, argv, &missing);
	if (missing) {
		err_set(&err, ERR_USAGE, "--env needs a file");
		return fail(&err);
	}
	const char *name = argc > 1 ? argv[1] : "";
	if (!strcmp(name, "version") || !strcmp(name, "--version")) {
		printf("codefoundry %s\n", version_text);
		return 0;
	}
	if (argc < 2 || !strcmp(name, "help") || !strcmp(name, "--help") || !strcmp(name, "-h")) {
		print_help(argc < 2 ? stderr : stdout);
		return argc < 2 ? err_exit_code(ERR_USAGE) : 0;
	}
	const struct command *command = find(name, &err);
	int rc = command ? run(command, env_file, argc - 1, argv + 1, &err) : -1;
	if (rc < 0)
		return fail(&err);
	return fflush(stdout) && !rc ? 1 : rc;
}
