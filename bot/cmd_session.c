/* /session <subcommand>: a const table of its own. What removes data asks by a button first; "now" is for scripts. */
#include "bot/commands.h"
#include "bot/logs.h"
#include "bot/results.h"
#include "bot/session_exec.h"
#include "bot/words.h"
#include "core/clock.h"
#include "core/mem.h"
#include "core/mutant.h"
#include "core/text.h"
#include "sessions/session.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_EXTEND_MIN (30 * 24 * 60)
#define BUTTON_EXTEND_MIN 60 /* what T_BUTTON_EXTEND says */

static char *title(const struct call *c, enum text_id id, const char *name)
{
	return texts_make(c->lang, id, TEXT_ARGS({"session", name}));
}

/* Where its owner is to be told of its end, when that is not his private chat. */
static void add_chat(const struct call *c, cJSON *args)
{
	if (c->u->chat == c->u->user && !c->u->topic)
		return;
	cJSON *chat = json_object();
	json_add_int(chat, "chat", c->u->chat);
	json_add_int(chat, "topic", c->u->topic);
	json_add(args, "chat", chat);
}

/* /session start [name] [service…] */
static int start(struct call *c, const char *name, const char *rest, struct err *err)
{
	char service[64];
	cleanup_json cJSON *args = json_object();
	cJSON *services = json_array();
	json_add(args, "services", services);
	if (*name && session_name_check(name, err))
		return -1;
	if (*name)
		json_add_text(args, "name", name);
	while (*call_word(&rest, service, sizeof(service)))
		cJSON_AddItemToArray(services, cJSON_CreateString(service));
	if (!services->child)
		cJSON_DeleteItemFromObject(args, "services");
	add_chat(c, args);
	if (*name) { /* an existing one that is resumed must be ours */
		struct err none = {0};
		free(session_owner(c->bot->st, name, &none));
		int rc = none.code == ERR_NOT_FOUND ? 0 : call_check_session(c, name, err);
		if (rc)
			return rc < 0 ? -1 : 0;
	}
	cleanup_free char *head = title(c, *name ? T_SESSION_STARTING : T_SESSION_STARTING_NEW, name);
	return call_job(c, "session.start", TAKE(args), *name ? name : NULL, head, err);
}

static int stop_now(struct call *c, const char *name, bool keep, struct err *err)
{
	cJSON *args = json_object();
	json_add_text(args, "name", name);
	if (keep)
		json_add_bool(args, "keep", true);
	cleanup_free char *head = title(c, T_SESSION_STOPPING, name);
	return call_job(c, "session.stop", args, name, head, err);
}

/* /session stop <name> [now|keep]. Keeping destroys nothing and needs no confirmation. */
static int stop(struct call *c, const char *name, const char *rest, struct err *err)
{
	char how[16];
	call_word(&rest, how, sizeof(how));
	int rc = call_check_session(c, name, err);
	if (rc)
		return rc < 0 ? -1 : 0;
	bool keep = strcmp(how, "keep") == 0 || strcmp(how, "--keep") == 0;
	if (keep || strcmp(how, "now") == 0 || MUTANT("session_stops_without_asking"))
		return stop_now(c, name, keep, err);
	if (*how)
		return call_usage(c, err);
	cleanup_free char *question = title(c, T_SESSION_STOP_ASK, name);
	return call_confirm(c, question, T_BUTTON_STOP, T_BUTTON_KEEP, "stop", name, err);
}

int cmd_session_stop_now(struct call *c, const char *payload, struct err *err)
{
	int rc = call_check_session(c, payload, err);
	return rc ? (rc < 0 ? -1 : 0) : stop_now(c, payload, false, err);
}

int cmd_session_keep(struct call *c, const char *payload, struct err *err)
{
	cleanup_free char *html = title(c, T_KEPT_RUNNING, payload);
	return call_replace(c, html, err);
}

static int restart(struct call *c, const char *name, const char *rest, struct err *err)
{
	char service[64];
	int rc = call_check_session(c, name, err);
	if (rc)
		return rc < 0 ? -1 : 0;
	cJSON *args = json_object();
	json_add_text(args, "name", name);
	if (*call_word(&rest, service, sizeof(service)))
		json_add_text(args, "service", service);
	cleanup_free char *head = title(c, T_SESSION_RESTARTING, name);
	return call_job(c, "session.restart", args, name, head, err);
}

/* "90", "90m", "2h", "1d" in minutes; 0 when it is none of these. */
static long minutes_of(const char *text)
{
	char *end;
	long n = strtol(text, &end, 10);
	long unit = *end == 'h' ? 60 : *end == 'd' ? 24 * 60 : 1;
	bool one_letter = !*end || (strchr("mhd", *end) && !end[1]);
	return one_letter && end != text && n > 0 && n <= MAX_EXTEND_MIN / unit ? n * unit : 0;
}

static int extend(struct call *c, const char *name, const char *rest, struct err *err)
{
	char time[24];
	call_word(&rest, time, sizeof(time));
	long minutes = minutes_of(*time ? time : "60");
	if (!minutes)
		return call_text(c, T_SESSION_BAD_TIME, TEXT_ARGS({"time", time}), err);
	int rc = call_check_session(c, name, err);
	if (rc)
		return rc < 0 ? -1 : 0;
	cJSON *args = json_object();
	json_add_text(args, "name", name);
	json_add_int(args, "minutes", minutes);
	cleanup_free char *head = title(c, T_SESSION_EXTENDING, name);
	return call_job(c, "session.extend", args, name, head, err);
}

static int set_pinned(struct call *c, const char *name, const char *kind, enum text_id title_id,
                      struct err *err)
{
	int rc = call_check_session(c, name, err);
	if (rc)
		return rc < 0 ? -1 : 0;
	cJSON *args = json_object();
	json_add_text(args, "name", name);
	cleanup_free char *head = title(c, title_id, name);
	return call_job(c, kind, args, name, head, err);
}

static int pin(struct call *c, const char *name, const char *rest, struct err *err)
{
	(void)rest;
	return set_pinned(c, name, "session.pin", T_SESSION_PINNING, err);
}

static int unpin(struct call *c, const char *name, const char *rest, struct err *err)
{
	(void)rest;
	return set_pinned(c, name, "session.unpin", T_SESSION_UNPINNING, err);
}

/* The buttons of a warning outlive the session that they are about, and its name may be another's by then: its UUID goes with the
 * job. */
static int act_on_this(struct call *c, const char *payload, const char *kind, enum text_id title_id,
                       cJSON *owned, struct err *err)
{
	cleanup_json cJSON *args = owned;
	char uuid[48], name[256];
	call_word(&payload, uuid, sizeof(uuid));
	call_word(&payload, name, sizeof(name));
	int rc = call_check_session(c, name, err);
	if (rc)
		return rc < 0 ? -1 : 0;
	json_add_text(args, "name", name);
	json_add_text(args, "uuid", uuid);
	cleanup_free char *head = title(c, title_id, name);
	return call_job(c, kind, TAKE(args), name, head, err);
}

int cmd_session_stop_this(struct call *c, const char *payload, struct err *err)
{
	return act_on_this(c, payload, "session.stop", T_SESSION_STOPPING, json_object(), err);
}

int cmd_session_extend_this(struct call *c, const char *payload, struct err *err)
{
	cJSON *args = json_object();
	json_add_int(args, "minutes", BUTTON_EXTEND_MIN);
	return act_on_this(c, payload, "session.extend", T_SESSION_EXTENDING, args, err);
}

static void add_services(enum lang lang, struct str *out, const cJSON *session)
{
	const cJSON *item;
	cJSON_ArrayForEach(item, json_at(session, "services"))
	{
		str_add(out, "• ");
		str_add_html(out, json_text_or(item, "name", "?"));
		str_add(out, ": ");
		str_add_html(out, words_state(lang, json_text_or(item, "state", "?")));
		str_addc(out, '\n');
	}
	results_add_endpoints(json_at(session, "endpoints"), out);
	if (json_text(session, "reason"))
		str_add_html(out, json_text(session, "reason"));
}

static int show(struct call *c, const char *name, const char *rest, struct err *err)
{
	char age[64], expires[64];
	(void)rest;
	if (session_name_check(name, err))
		return -1;
	cleanup_json cJSON *session = session_show(c->bot->st, name, err);
	cleanup_str struct str detail = STR_INIT;
	if (!session)
		return -1;
	int64_t left = json_int(session, "expires_at", 0) - clock_now_ms();
	texts_ago(c->lang, json_int(session, "age_ms", 0), age);
	texts_left(c->lang, left, expires);
	const char *pinned = json_bool(session, "pinned", false) ? texts_raw(c->lang, T_SESSION_PIN) : NULL;
	add_services(c->lang, &detail, session);
	return call_text(c, T_SESSION_SHOW,
	                 TEXT_ARGS({"session", name},
	                           {"state", words_state(c->lang, json_text(session, "state"))},
	                           {"owner", json_text(session, "owner")},
	                           {"engine", json_text(session, "engine")}, {"age", age},
	                           {"expires", pinned ? pinned : expires}, {"detail", str_text(&detail)}),
	                 err);
}

/* /session logs <name> [service] [lines] */
static int logs(struct call *c, const char *name, const char *rest, struct err *err)
{
	char service[64], count[16];
	call_word(&rest, service, sizeof(service));
	call_word(&rest, count, sizeof(count));
	bool numbered = *service && strspn(service, "0123456789") == strlen(service);
	int n = logs_count(numbered ? service : count);
	int rc = call_check_session(c, name, err);
	if (rc)
		return rc < 0 ? -1 : 0;
	cleanup_json cJSON *lines =
	        session_logs(c->bot->st, name, *service && !numbered ? service : NULL, n, err);
	return lines ? logs_say(c, name, lines, err) : -1;
}

static const struct subcommand {
	const char *name;
	enum role role;
	bool needs_name;
	int (*run)(struct call *c, const char *name, const char *rest, struct err *err);
} subcommands[] = {
        {"start", ROLE_OPERATOR, false, start},       {"stop", ROLE_OPERATOR, true, stop},
        {"restart", ROLE_OPERATOR, true, restart},    {"show", ROLE_VIEWER, true, show},
        {"extend", ROLE_OPERATOR, true, extend},      {"logs", ROLE_OPERATOR, true, logs},
        {"exec", ROLE_ADMIN, true, session_exec_ask}, {"pin", ROLE_ADMIN, true, pin},
        {"unpin", ROLE_ADMIN, true, unpin},
};

static int unknown(struct call *c, const char *word, struct err *err)
{
	const char *names[ARRAY_LEN(subcommands) + 1] = {0};
	cleanup_str struct str list = STR_INIT;
	for (size_t i = 0; i < ARRAY_LEN(subcommands); i++)
		names[i] = subcommands[i].name;
	const char *nearest = *word ? text_nearest(word, names) : NULL;
	for (size_t i = 0; i < ARRAY_LEN(subcommands); i++)
		if (!nearest || strcmp(nearest, names[i]) == 0)
			str_addf(&list, "\n<code>/session %s …</code>", names[i]);
	return call_text(c, *word ? T_SESSION_NO_SUBCOMMAND : T_SESSION_SUBCOMMANDS,
	                 TEXT_ARGS({"word", word}, {"list", str_text(&list)}), err);
}

static int run(struct call *c, const char *args, struct err *err)
{
	char word[32], name[256];
	call_word(&args, word, sizeof(word));
	const struct subcommand *s = NULL;
	for (size_t i = 0; i < ARRAY_LEN(subcommands); i++)
		if (strcmp(subcommands[i].name, word) == 0)
			s = &subcommands[i];
	if (!s)
		return unknown(c, word, err);
	if (c->role < s->role) {
		cleanup_free char *full = mem_printf("session %s", s->name);
		return call_text(c, T_ROLE_NEEDED,
		                 TEXT_ARGS({"command", full}, {"needed", auth_role_name(s->role)},
		                           {"role", auth_role_name(c->role)}),
		                 err);
	}
	if (!*call_word(&args, name, sizeof(name)) && s->needs_name)
		return call_usage(c, err);
	return s->run(c, name, args, err);
}

const struct command cmd_session = {
        .name = "session",
        .role = ROLE_VIEWER,
        .about =
                {"Start, stop, restart, show, extend or pin a session, read its logs, run a command in it",
                 "Запустить, остановить, перезапустить, показать, продлить или закрепить сессию, прочесть её "
                 "журнал, выполнить в ней команду"},
        .usage = "/session start|stop|restart|show|extend|logs|exec|pin|unpin <name>",
        .example = "/session start demo",
        .run = run,
};
