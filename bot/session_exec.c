#include "bot/session_exec.h"
#include "bot/argv.h"
#include "core/mem.h"
#include "core/text.h"
#include <string.h>

#define SHOWN_UNITS 60

/* Some keyboards make one dash of two. */
static bool is_dashes(const char *word)
{
	return !strcmp(word, "--") || !strcmp(word, "—") || !strcmp(word, "–");
}

/* Cut "[service] --" off ${*rest}. Without dashes all of it is the command. */
static void take_service(const char **rest, char *service, size_t size)
{
	char word[64];
	const char *p = *rest;
	*service = '\0';
	if (is_dashes(call_word(&p, word, sizeof(word)))) {
		*rest = p;
		return;
	}
	cleanup_free char *first = mem_strdup(word);
	if (is_dashes(call_word(&p, word, sizeof(word)))) {
		strncat(service, first, size - 1);
		*rest = p;
	}
}

int session_exec_ask(struct call *c, const char *name, const char *rest, struct err *err)
{
	char service[64];
	int rc = call_check_session(c, name, err);
	if (rc)
		return rc < 0 ? -1 : 0;
	take_service(&rest, service, sizeof(service));
	cleanup_json cJSON *words = argv_split(rest, err), *args = json_object();
	if (!words)
		return -1;
	if (!words->child)
		return call_text(c, T_USAGE,
		                 TEXT_ARGS({"usage", "/session exec <name> [service] -- <command>"},
		                           {"example", "/session exec demo gateway -- ls -l /"}),
		                 err);
	cleanup_free char *shown = mem_strndup(rest, text_utf16_prefix(rest, strlen(rest), SHOWN_UNITS));
	cleanup_free char *head =
	        texts_make(c->lang, T_SESSION_EXECUTING, TEXT_ARGS({"session", name}, {"command", shown}));
	json_add_text(args, "name", name);
	if (*service)
		json_add_text(args, "service", service);
	json_add(args, "argv", TAKE(words));
	return call_job(c, "session.exec", TAKE(args), name, head, err);
}
