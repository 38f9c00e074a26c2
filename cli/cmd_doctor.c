/* `codefoundry doctor`: what the doctor found, for people within 80 columns and for scripts. */
#include "cli/args.h"
#include "cli/cli.h"
#include "cli/doctor.h"
#include "cli/term.h"
#include "core/mem.h"
#include "core/text.h"
#include <stdio.h>
#include <string.h>

#define WIDTH 80
#define CHECK_WIDTH 18
#define STATE_WIDTH 6
#define INDENT (CHECK_WIDTH + STATE_WIDTH)

/* Bytes of ${text} that go on one line of ${room} columns: up to the last space, or all of a word that is too long. */
static size_t line_len(const char *text, size_t room)
{
	size_t last = 0, n = 0;
	for (;;) {
		size_t word = strcspn(text + n, " \n");
		if (last && text_columns(text, n + word) > room)
			return last;
		last = n + word;
		if (!text[last] || text[last] == '\n')
			return last;
		n = last + 1;
	}
}

/* Print ${text} from the present column on, further lines indented. */
static void print_wrapped(const char *text, size_t indent)
{
	for (;;) {
		size_t n = line_len(text, WIDTH - indent);
		printf("%.*s\n", (int)n, text);
		text += n;
		if (!*text++)
			return;
		printf("%*s", (int)indent, "");
	}
}

static void print_check(const cJSON *check)
{
	const char *name = json_text(check, "check"), *state = json_text(check, "state");
	cleanup_free char *found = mem_strdup(json_text(check, "found")),
	                  *advice = mem_strdup(json_text_or(check, "advice", ""));
	text_blank(found, "\n"); /* it may quote what others wrote */
	text_blank(advice, "\n");
	if (!strcmp(state, "unused"))
		printf("%-*s–%*s", CHECK_WIDTH, name, STATE_WIDTH - 1, "");
	else
		printf("%-*s%-*s", CHECK_WIDTH, name, STATE_WIDTH, state);
	print_wrapped(found, INDENT);
	if (*advice) {
		printf("%*s→ ", INDENT, "");
		print_wrapped(advice, INDENT + 2);
	}
}

int cli_doctor(const struct config *cfg, int argc, char **argv, struct err *err)
{
	bool json = false;
	const struct arg table[] = {{"json", ARG_FLAG, &json}, {0}};
	struct args a = {"codefoundry doctor [--json]", table};
	if (args_parse(&a, argc, argv, err))
		return -1;
	cleanup_json cJSON *result = doctor_examine(cfg);
	const cJSON *check;
	int bad = (int)json_int(result, "bad", 0);
	if (json) {
		term_json(result);
	} else {
		printf("%-*s%-*s%s\n", CHECK_WIDTH, "CHECK", STATE_WIDTH, "STATE", "FOUND");
		cJSON_ArrayForEach(check, json_at(result, "checks")) print_check(check);
	}
	return bad ? err_set(err, ERR_FAILED, "%d bad; sessions may not start", bad) : 0;
}
