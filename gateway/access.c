#include "gateway/access.h"
#include "core/id.h"
#include "core/mem.h"
#include "core/mutant.h"
#include "core/str.h"
#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

const char *role_name(enum role role)
{
	static const char *const names[] = {"none", "viewer", "operator"};
	return names[role];
}

/* Numeric addresses of this machine's own loopback, IPv4 also as IPv6 sockets show it. */
static bool is_loopback(const char *address)
{
	struct in_addr v4;
	struct in6_addr v6;
	if (!address)
		return false;
	if (strncmp(address, "::ffff:", 7) == 0)
		address += 7;
	if (inet_pton(AF_INET, address, &v4) == 1)
		return ntohl(v4.s_addr) >> 24 == 127;
	return inet_pton(AF_INET6, address, &v6) == 1 && IN6_IS_ADDR_LOOPBACK(&v6);
}

static bool is_address(const char *host)
{
	struct in6_addr any;
	return inet_pton(AF_INET, host, &any) == 1 || inet_pton(AF_INET6, host, &any) == 1;
}

int access_open(struct access *a, const struct config *cfg, struct err *err)
{
	const char *anonymous = config_text(cfg, "GATEWAY_ANONYMOUS");
	*a = (struct access){
	        .host = config_text(cfg, "GATEWAY_HOST"),
	        .token = config_text(cfg, "GATEWAY_TOKEN"),
	        .origins = config_text(cfg, "GATEWAY_ORIGINS"),
	};
	if (!a->host || strcmp(a->host, "localhost") == 0)
		a->host = "127.0.0.1";
	if (!is_address(a->host))
		return err_set(err, ERR_CONFIG,
		               "GATEWAY_HOST=%s: must be a numeric address to listen on, such as 127.0.0.1 "
		               "or 0.0.0.0",
		               a->host);
	for (enum role r = ROLE_VIEWER; anonymous && r <= ROLE_OPERATOR; r++)
		if (strcmp(anonymous, role_name(r)) == 0)
			a->anonymous = r;
	if (!is_loopback(a->host) && !a->token && a->anonymous == ROLE_NONE)
		return err_set(err, ERR_CONFIG,
		               "GATEWAY_HOST=%s: would let anybody who reaches this machine in; set "
		               "GATEWAY_TOKEN to a secret "
		               "(`openssl rand -hex 24` makes one), or GATEWAY_ANONYMOUS=viewer|operator if "
		               "that is meant",
		               a->host);
	return 0;
}

static int hex(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10 : -1;
}

/* The decoded value of ${key} in a raw query string, NULL when absent; the caller frees it. */
static char *query_value(const char *query, const char *key)
{
	size_t n = strlen(key);
	for (const char *p = query; p && *p; p += strcspn(p, "&"), p += *p == '&') {
		if (strncmp(p, key, n) != 0 || p[n] != '=')
			continue;
		struct str out = STR_INIT_MAX(4096);
		for (p += n + 1; *p && *p != '&'; p++) {
			if (*p == '%' && hex(p[1]) >= 0 && hex(p[2]) >= 0) {
				str_addc(&out, (char)(hex(p[1]) * 16 + hex(p[2])));
				p += 2;
			} else {
				str_addc(&out, *p);
			}
		}
		return str_take(&out);
	}
	return NULL;
}

/* The host of an Origin ("scheme://host[:port]") as a copy, NULL for "null" and nonsense. */
static char *origin_host(const char *origin)
{
	const char *p = strstr(origin, "://");
	if (!p)
		return NULL;
	p += 3;
	if (*p == '[')
		return mem_strndup(p + 1, strcspn(p + 1, "]"));
	return mem_strndup(p, strcspn(p, ":/"));
}

/* Pages of this machine and of the host we listen on by name. A page elsewhere whose name was made to resolve to us
 * still carries its own name here, so that is refused as well. */
static bool origin_ok(const struct access *a, const char *origin)
{
	cleanup_free char *host = origin_host(origin);
	for (const char *p = a->origins; p && *p; p += strcspn(p, ","), p += *p == ',') {
		p += strspn(p, " ");
		size_t n = strcspn(p, ", ");
		if ((n == strlen(origin) && strncasecmp(p, origin, n) == 0) || (n == 1 && *p == '*'))
			return true;
	}
	return host &&
	       (strcasecmp(host, "localhost") == 0 || is_loopback(host) || strcmp(host, a->host) == 0);
}

int access_check(const struct access *a, const char *query, const char *authorization, const char *origin,
                 const char *peer, enum role *role)
{
	cleanup_free char *given = query_value(query, "token");
	if (origin && *origin && !origin_ok(a, origin))
		return 403;
	if (authorization && strncasecmp(authorization, "Bearer ", 7) == 0) {
		free(given);
		given = mem_strdup(authorization + 7 + strspn(authorization + 7, " "));
	}
	if (a->token && given) {
		*role = ROLE_OPERATOR;
		return id_secret_equal(a->token, given) || MUTANT("gateway_takes_any_token") ? 0 : 401;
	}
	*role = a->anonymous;
	if (!a->token && is_loopback(peer))
		*role = ROLE_OPERATOR;
	return *role == ROLE_NONE ? 401 : 0;
}

enum rate_verdict rate_take(struct rate *rate, int per_s, int burst, int64_t now_ms)
{
	if (per_s <= 0)
		return RATE_OK;
	if (!rate->at_ms)
		*rate = (struct rate){.tokens = burst, .at_ms = now_ms};
	rate->tokens += (double)(now_ms - rate->at_ms) * per_s / 1000;
	rate->at_ms = now_ms;
	if (rate->tokens > burst)
		rate->tokens = burst;
	if (rate->tokens * 2 >= burst)
		rate->strikes = 0;
	if (rate->tokens >= 1) {
		rate->tokens -= 1;
		return RATE_OK;
	}
	return ++rate->strikes > per_s ? RATE_CLOSE : RATE_REFUSE;
}
