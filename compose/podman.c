#include "compose/podman.h"
#include "core/clock.h"
#include "core/mem.h"
#include "core/str.h"
#include <string.h>

#define RESTART_MS 2000 /* it takes Podman some 0.3 s to start a container again */
#define LOCAL "localhost/"

struct pair {
	const char *theirs, *ours;
};

/* NULL: it needs no other word. */
static const char *other_word(const struct pair *pairs, size_t n, const char *word)
{
	for (size_t i = 0; i < n; i++)
		if (!strcmp(pairs[i].theirs, word))
			return pairs[i].ours;
	return NULL;
}

static void replace(cJSON *object, const char *key, const char *text)
{
	cJSON_DeleteItemFromObjectCaseSensitive(object, key);
	json_add_text(object, key, text);
}

enum err_code podman_cause(const char *cause)
{
	static const struct {
		const char *cause;
		enum err_code code;
	} known[] = {
	        {"network is being used", ERR_BUSY},
	        {"volume is being used", ERR_BUSY},
	        {"container state improper", ERR_BUSY}, /* what Docker refuses with 409 */
	};
	for (size_t i = 0; i < ARRAY_LEN(known); i++)
		if (!strcmp(known[i].cause, cause))
			return known[i].code;
	return ERR_FAILED;
}

const char *podman_image(const char *name)
{
	return strncmp(name, LOCAL, strlen(LOCAL)) ? name : name + strlen(LOCAL);
}

/* Whether it ended just now and its policy wants it to run. */
static bool comes_again(const cJSON *container, int64_t now_ms)
{
	const char *policy = json_text_or(container, "HostConfig.RestartPolicy.Name", ""),
	           *ended = json_text(container, "State.FinishedAt");
	bool wanted = !strcmp(policy, "always") || !strcmp(policy, "unless-stopped") ||
	              (!strcmp(policy, "on-failure") && json_int(container, "State.ExitCode", 0));
	return wanted && ended && now_ms - clock_parse_iso(ended) < RESTART_MS;
}

void podman_container(cJSON *container, int64_t now_ms)
{
	static const struct pair states[] = {{"configured", "created"},
	                                     {"initialized", "created"},
	                                     {"stopping", "running"},
	                                     {"stopped", "exited"}};
	cJSON *state = cJSON_GetObjectItemCaseSensitive(container, "State"),
	      *config = cJSON_GetObjectItemCaseSensitive(container, "Config"),
	      *health = cJSON_DetachItemFromObjectCaseSensitive(state, "Healthcheck");
	if (!state)
		return;
	const char *word = other_word(states, ARRAY_LEN(states), json_text_or(state, "Status", ""));
	if (word)
		replace(state, "Status", word);
	if (!strcmp(json_text_or(state, "Status", ""), "exited") && comes_again(container, now_ms))
		replace(state, "Status", "restarting");
	if (health && !json_at(state, "Health"))
		json_add(state, "Health", health);
	else
		cJSON_Delete(health);
	const char *image = json_text(config, "Image");
	if (image && podman_image(image) != image) {
		cleanup_free char *name = mem_strdup(podman_image(image));
		replace(config, "Image", name);
	}
}

void podman_event(cJSON *event)
{
	static const struct pair actions[] = {
	        {"remove", "destroy"}, {"died", "die"}, {"exec", "exec_create"}, {"exec_died", "exec_die"}};
	const char *word = other_word(actions, ARRAY_LEN(actions), json_text_or(event, "Action", ""));
	if (word && !strcmp(json_text_or(event, "Type", ""), "container"))
		replace(event, "Action", word);
}

char *podman_keys(const char *keys)
{
	cleanup_str struct str text = STR_INIT;
	for (const char *p = keys; *p; p++)
		str_addf(&text, "%s%s%c", p == keys ? "" : ",", *p < 0x20 ? "ctrl-" : "",
		         *p < 0x1b   ? *p + 0x60
		         : *p < 0x20 ? *p + 0x40
		                     : *p);
	return str_take(&text);
}
