#include "sessions/name.h"
#include "core/mem.h"
#include "core/net.h"
#include "core/text.h"
#include "sessions/session.h"
#include <ctype.h>
#include <string.h>

#define OWNER_CHAT "tg:"
#define DEV "dev-"

int session_name_check(const char *name, struct err *err)
{
	size_t n = name ? strlen(name) : 0;
	size_t ok = n ? strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-") : 0;
	if (n && n <= NAME_MAX_LEN && ok == n && name[0] != '-')
		return 0;
	size_t shown = n ? text_utf8_prefix(name, n < 40 ? n : 40) : 0;
	return err_set(err, ERR_INVALID,
	               "\"%.*s%s\" is no session name: 1 to %d of a-z, 0-9 and -, not beginning with - (for "
	               "example demo-1)",
	               (int)shown, name ? name : "", n > 40 ? "…" : "", NAME_MAX_LEN);
}

int name_generate(struct state *st, const char *owner, int64_t now_ms, int n, char **name, struct err *err)
{
	const char *prefix = config_text(st->cfg, "CONTAINER_PREFIX");
	bool chat = strncmp(owner, OWNER_CHAT, strlen(OWNER_CHAT)) == 0;
	cleanup_free char *made = mem_printf(n ? "%s%s-%lld-%d" : "%s%s-%lld", chat ? "bot-" : "",
	                                     prefix ? prefix : "test", (long long)(now_ms / 1000), n + 1);
	if (session_name_check(made, err))
		return err_wrap(err, "CONTAINER_PREFIX=%s", prefix);
	*name = TAKE(made);
	return 0;
}

bool name_claim(struct state *st, const char *name, int *fd)
{
	const char *project = config_text(st->cfg, "COMPOSE_PROJECT_NAME");
	cleanup_free char *what = mem_printf("name-%s-%s", project ?: "", name);
	return net_claim(what, fd);
}

char *session_dev_name(const char *user)
{
	char name[NAME_MAX_LEN + 1] = DEV;
	size_t n = strlen(DEV);
	for (; *user && n < NAME_MAX_LEN; user++)
		name[n++] = (char)(isalnum((unsigned char)*user) ? tolower((unsigned char)*user) : '-');
	name[n] = '\0';
	return mem_strdup(name);
}
