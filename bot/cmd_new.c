#include "bot/commands.h"
#include "core/clock.h"
#include "core/id.h"
#include "core/mem.h"
#include "core/mutant.h"
#include "gateway/projects.h"
#include "gateway/templates.h"
#include <ctype.h>
#include <string.h>

static bool known_type(const char *type)
{
	for (const struct project_template *t = project_templates; t->type; t++)
		if (strcmp(t->type, type) == 0)
			return true;
	return false;
}

/* "--framework=flask" is a parameter of its own, every other "--key=value" an option, "--key" alone is true. */
static int add_options(cJSON *params, const char *args, struct err *err)
{
	char word[256];
	cJSON *options = json_object();
	json_add(params, "options", options);
	while (*call_word(&args, word, sizeof(word))) {
		char *value = strchr(word, '=');
		if (strncmp(word, "--", 2) != 0 || !isalnum((unsigned char)word[2]))
			return err_set(err, ERR_INVALID, "“%s” is not an option: write --name=value", word);
		if (value)
			*value++ = '\0';
		if (strcmp(word, "--framework") == 0 && value)
			json_add_text(params, "framework", value);
		else if (value)
			json_add_text(options, word + 2, value);
		else
			json_add_bool(options, word + 2, true);
	}
	return 0;
}

/* Command Protocol 1.0 (shared/protocol.md); its id is the request's, so that a repetition is the same request. */
static char *make_request(const struct call *c, const char *id, cJSON *params)
{
	char now[32], owner[32];
	cleanup_json cJSON *request = json_object();
	cJSON *context = json_object();
	json_add_text(request, "version", "1.0");
	json_add_text(request, "id", id);
	json_add_text(request, "timestamp", clock_iso(clock_now_ms(), now, sizeof(now)));
	json_add_text(request, "command", "create_project");
	json_add(request, "params", params);
	json_add_text(context, "user_id", call_owner(c, owner));
	json_add_text(context, "session_id", id);
	json_add_text(context, "request_id", id);
	json_add(request, "context", context);
	return json_print(request);
}

static int ask(struct call *c, const char *type, const char *name, cJSON *params, struct err *err)
{
	char id[ID_UUID_LEN + 1], key[48];
	call_request_id(c, id);
	cleanup_free char *request = make_request(c, id, params);
	cleanup_free char *title =
	        texts_make(c->lang, T_NEW_TITLE, TEXT_ARGS({"type", type}, {"project", name}));
	cJSON *frame = json_object();
	json_add_text(frame, "type", "command");
	json_add_text(frame, "content", request);
	struct link_ask to_ask = call_link(c, id, key);
	to_ask.title = title;
	return link_ask(c->bot->link, &to_ask, frame, err);
}

static int run(struct call *c, const char *args, struct err *err)
{
	char type[64], name[128];
	call_word(&args, type, sizeof(type));
	call_word(&args, name, sizeof(name));
	if (!*name)
		return call_text(c, T_NEW_TYPES,
		                 TEXT_ARGS({"usage", cmd_new.usage}, {"types", template_types()},
		                           {"example", cmd_new.example}),
		                 err);
	if (!known_type(type))
		return call_text(c, T_NEW_BAD_TYPE, TEXT_ARGS({"type", type}, {"types", template_types()}),
		                 err);
	struct err why;
	if (project_name_check(name, &why))
		return call_text(c, T_NEW_BAD_NAME, TEXT_ARGS({"project", name}), err);
	if (MUTANT("new_says_ready_by_itself")) {
		cleanup_free char *html = mem_printf("Project %s is ready", name);
		return call_say(c, html, NULL, err);
	}
	cJSON *params = json_object();
	json_add_text(params, "name", name);
	json_add_text(params, "archetype", type);
	if (add_options(params, args, err)) {
		cJSON_Delete(params);
		return -1;
	}
	return ask(c, type, name, params, err);
}

const struct command cmd_new = {
        .name = "new",
        .role = ROLE_OPERATOR,
        .about = {"Create a project: telegram-bot, web-service, ai-agent or fullstack",
                  "Создать проект: telegram-bot, web-service, ai-agent или fullstack"},
        .usage = "/new <type> <name> [--option=value]",
        .example = "/new web-service shop",
        .run = run,
};
