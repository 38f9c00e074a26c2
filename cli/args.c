#include "cli/args.h"
#include "core/clock.h"
#include "core/mem.h"
#include "core/text.h"
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ARGS_MAX 24

/* "10m" as seconds. Returns 0, or -1 when it is none. */
static int span(const char *text, int64_t *seconds)
{
	static const struct {
		char letter;
		int64_t seconds;
	} units[] = {{'s', 1}, {'m', 60}, {'h', 3600}, {'d', 86400}};
	size_t n = strlen(text);
	int64_t unit = 1, value;
	for (size_t i = 0; n && i < ARRAY_LEN(units); i++)
		if (text[n - 1] == units[i].letter)
			unit = units[i].seconds;
	bool lettered = n && strchr("smhd", text[n - 1]);
	cleanup_free char *digits = mem_strndup(text, lettered ? n - 1 : n);
	if (text_int(digits, &value) || value < 0 || value > INT64_MAX / 1000 / unit)
		return -1;
	*seconds = value * unit;
	return 0;
}

/* "10m" ago, or "2026-01-31T12:00:00Z", as milliseconds since the epoch. Returns 0, or -1 when it is neither. */
static int moment(const char *text, int64_t *ms)
{
	int64_t ago;
	if (span(text, &ago) == 0)
		*ms = clock_now_ms() - 1000 * ago;
	else
		*ms = clock_parse_iso(text);
	return *ms > 0 ? 0 : -1;
}

static int set(const struct arg *arg, const char *value, struct err *err)
{
	int64_t *number = arg->target;
	struct arg_list *list = arg->target;
	switch (arg->type) {
	case ARG_FLAG:
		*(bool *)arg->target = true;
		return 0;
	case ARG_TEXT:
		*(const char **)arg->target = value;
		return 0;
	case ARG_INT:
		return text_int(value, number) || *number < 0
		               ? err_set(err, ERR_USAGE, "-%s%s takes a whole number, not '%s'",
		                         arg->name[1] ? "-" : "", arg->name, value)
		               : 0;
	case ARG_SPAN:
		return span(value, number) ? err_set(err, ERR_USAGE,
		                                     "--%s takes a time like 90s, 10m, 2h or 1d, not '%s'",
		                                     arg->name, value)
		                           : 0;
	case ARG_TIME:
		return moment(value, number)
		               ? err_set(err, ERR_USAGE,
		                         "--%s takes how long ago (90s, 10m, 2h, 1d) or a time like "
		                         "2026-01-31T12:00:00Z, not '%s'",
		                         arg->name, value)
		               : 0;
	case ARG_LIST:
		if (list->n == ARGS_LIST_MAX)
			return err_set(err, ERR_USAGE, "--%s more than %d times", arg->name, ARGS_LIST_MAX);
		list->items[list->n++] = value;
		return 0;
	}
	return 0;
}

static int add_word(struct args *args, const char *word, struct err *err)
{
	if (args->n == args->most || args->n == ARGS_POSITIONAL_MAX)
		return err_set(err, ERR_USAGE, "'%s' is too much\nusage: %s", word, args->usage);
	args->words[args->n++] = word;
	return 0;
}

/* Asked for, so it is the result and no error. */
__attribute__((noreturn)) static void print_usage(const struct args *args)
{
	printf("usage: %s\n", args->usage);
	exit(0);
}

static void (*instead)(const struct args *args, int argc, char **argv);

void args_instead(void (*fn)(const struct args *args, int argc, char **argv))
{
	instead = fn;
}

int args_parse(struct args *args, int argc, char **argv, struct err *err)
{
	if (instead) {
		instead(args, argc, argv);
		exit(fflush(stdout) ? 1 : 0);
	}
	struct option longs[ARGS_MAX + 1] = {0};
	char shorts[2 * ARGS_MAX + 3] = "-:"; /* other words in order, missing values told apart */
	size_t count = 0;
	for (const struct arg *a = args->table; a->name && count < ARGS_MAX; a++, count++) {
		bool value = a->type != ARG_FLAG;
		longs[count] = (struct option){a->name, value, NULL, 256 + (int)count};
		if (!a->name[1])
			strncat(shorts, (char[3]){a->name[0], value ? ':' : '\0', '\0'}, 2);
	}
	opterr = 0;
	optind = 0;
	int c;
	while ((c = getopt_long(argc, argv, shorts, longs, NULL)) != -1) {
		size_t i = c >= 256 ? (size_t)c - 256 : 0;
		if (c == 1) {
			if (add_word(args, optarg, err))
				return -1;
			continue;
		}
		while (c < 256 && i < count && args->table[i].name[0] != c)
			i++;
		if (c == ':')
			return err_set(err, ERR_USAGE, "%s needs a value\nusage: %s", argv[optind - 1],
			               args->usage);
		if (c == '?' && (!strcmp(argv[optind - 1], "--help") || !strcmp(argv[optind - 1], "-h")))
			print_usage(args);
		if (c == '?' || i >= count)
			return err_set(err, ERR_USAGE, "unknown option %s\nusage: %s", argv[optind - 1],
			               args->usage);
		if (set(&args->table[i], optarg, err))
			return -1;
	}
	while (optind < argc)
		if (add_word(args, argv[optind++], err))
			return -1;
	return args->n < args->least ? err_set(err, ERR_USAGE, "something is missing\nusage: %s", args->usage)
	                             : 0;
}

const char *args_take_env(int *argc, char **argv, bool *missing)
{
	const char *file = NULL;
	int kept = 0;
	bool ended = false;
	*missing = false;
	for (int i = 0; i < *argc; i++) {
		ended |= !strcmp(argv[i], "--");
		if (!ended && !strncmp(argv[i], "--env=", 6)) {
			file = argv[i] + 6;
		} else if (!ended && !strcmp(argv[i], "--env")) {
			*missing |= i + 1 == *argc;
			file = i + 1 < *argc ? argv[++i] : NULL;
		} else {
			argv[kept++] = argv[i];
		}
	}
	argv[kept] = NULL;
	*argc = kept;
	return file;
}

const char *const *args_take_command(int *argc, char **argv)
{
	for (int i = 1; i < *argc; i++) {
		if (strcmp(argv[i], "--") != 0)
			continue;
		argv[i] = NULL;
		*argc = i;
		return (const char *const *)argv + i + 1;
	}
	return NULL;
}
