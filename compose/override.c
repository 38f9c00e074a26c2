#include "compose/override.h"
#include "compose/built.h"
#include "compose/lint.h"
#include "compose/provider.h"
#include "compose/share.h"
#include "core/mem.h"
#include "core/text.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define NAME_MAX_LEN 63        /* a container's name is a host name to others: RFC 1035, 2.3.4 */
#define OBJECT_NAME_MAX 255    /* a volume's name is that of a directory */
#define MEMORY_STEP 4096       /* the kernel counts pages */
#define MEMORY_LEAST (6 << 20) /* Docker refuses less: "Minimum memory limit allowed is 6MB" */
#define CPU_LEAST 10           /* thousandths; Docker refuses less than 0.01 */
#define CPU_PERIOD_US 100000   /* the kernel's default, which cpu_quota counts in */
#define PIDS_MOST 4096

static bool started(const struct override *o, const char *service)
{
	return !o->services || json_has_text(o->services, service);
}

/* Characters that YAML 1.1 and 1.2 do not take as they are, or fold as line ends, although JSON does (YAML 1.2.2, 5.1 and 5.4;
 * PyYAML follows 1.1): C1 controls, U+2028, U+2029, the byte order mark and the two that are none. 0: none. */
static unsigned needs_escape(const unsigned char *p)
{
	if (p[0] == 0xc2 && p[1] < 0xa0)
		return p[1];
	if (p[0] == 0xe2 && p[1] == 0x80 && (p[2] == 0xa8 || p[2] == 0xa9))
		return 0x2000u + (p[2] & 0x3fu);
	if (p[0] == 0xef && p[1] == 0xbb && p[2] == 0xbf)
		return 0xfeff;
	if (p[0] == 0xef && p[1] == 0xbf && p[2] >= 0xbe)
		return 0xffc0u + (p[2] & 0x3fu);
	return 0;
}

/* ${text} (valid UTF-8) as a double-quoted scalar; ${dollars}: each $ twice, because compose expands variables in values. */
static void scalar(struct str *out, const char *text, bool dollars)
{
	cleanup_str struct str quoted = STR_INIT;
	str_add_json(&quoted, text);
	for (const unsigned char *p = (const unsigned char *)str_text(&quoted); *p; p++) {
		unsigned c = *p < 0x80 ? 0 : needs_escape(p);
		if (c) {
			str_addf(out, "\\u%04x", c);
			p += c < 0x100 ? 1 : 2;
		} else {
			str_addn(out, *p == '$' && dollars ? "$$" : (const char *)p,
			         *p == '$' && dollars ? 2 : 1);
		}
	}
}

/* A value of the frozen base as it stands there (its $ are doubled already), on one line: JSON. */
static void flow(struct str *out, const cJSON *value)
{
	if (cJSON_IsString(value)) {
		scalar(out, value->valuestring, false);
	} else if (cJSON_IsObject(value) || cJSON_IsArray(value)) {
		const cJSON *item;
		str_addc(out, cJSON_IsObject(value) ? '{' : '[');
		cJSON_ArrayForEach(item, value)
		{
			if (item != value->child)
				str_add(out, ", ");
			if (cJSON_IsObject(value)) {
				scalar(out, item->string, false);
				str_add(out, ": ");
			}
			flow(out, item);
		}
		str_addc(out, cJSON_IsObject(value) ? '}' : ']');
	} else {
		cleanup_free char *text = json_print(value);
		str_add(out, text);
	}
}

/* One line "key: text # why". */
static void line(struct str *out, int depth, const char *key, const char *text, const char *why)
{
	str_addf(out, "%*s", depth * 2, "");
	scalar(out, key, false);
	str_add(out, ": ");
	scalar(out, text, true);
	if (why)
		str_addf(out, " # %s", why);
	str_addc(out, '\n');
}

/* docker-compose 1.29 takes only the last file's word on a network or volume (compose/config/config.py, load_mapping), so
 * that what the base says of it must stand here again. The others merge, and compose v2 refuses a label of a volume that
 * stands in both files. */
static bool must_repeat(const struct override *o)
{
	return !strcmp(json_text_or(o->project, "provider", ""), PROVIDER_V1) &&
	       !json_bool(o->project, "json", false);
}

/* A member of the frozen base once more. */
static void copied(struct str *out, int depth, const cJSON *item)
{
	str_addf(out, "%*s", depth * 2, "");
	scalar(out, item->string, false);
	str_add(out, ": ");
	flow(out, item);
	str_add(out, " # as in the base\n");
}

/* One label; in a list where the base has one, for podman-compose merges no map into a list. */
static void label(struct str *out, int depth, bool list, const char *key, const char *text, const char *why)
{
	if (!list) {
		line(out, depth, key, text, why);
		return;
	}
	cleanup_free char *both = mem_printf("%s=%s", key, text);
	str_addf(out, "%*s- ", depth * 2, "");
	scalar(out, both, true);
	str_addc(out, '\n');
}

static void add_labels(const struct override *o, struct str *out, const char *service, const cJSON *base)
{
	char expires[32], when[64];
	time_t at = (time_t)o->expires_s;
	struct tm tm;
	snprintf(expires, sizeof(expires), "%lld", (long long)o->expires_s);
	if (!gmtime_r(&at, &tm) ||
	    !strftime(when, sizeof(when), "%Y-%m-%d %H:%M:%S UTC, unless extended", &tm))
		when[0] = '\0';
	const struct {
		const char *key, *text, *why;
	} labels[] = {{LABEL_INSTALL, o->install, "this installation"},
	              {LABEL_SESSION, o->uuid, "this session, whatever it is called"},
	              {LABEL_NAME, o->session, NULL},
	              {LABEL_EXPIRES, expires, when[0] ? when : NULL},
	              {LABEL_SERVICE, service, NULL}};
	str_add(out, "    labels: # by these everything of the session is found and removed\n");
	bool list = cJSON_IsArray(base);
	const cJSON *item;
	for (item = cJSON_IsObject(base) && must_repeat(o) ? base->child : NULL; item; item = item->next) {
		bool ours = false;
		for (size_t i = 0; i < ARRAY_LEN(labels); i++)
			ours |= !strcmp(item->string, labels[i].key);
		if (!ours)
			copied(out, 3, item);
	}
	for (size_t i = 0; i < ARRAY_LEN(labels); i++) {
		if (labels[i].text)
			label(out, 3, list, labels[i].key, labels[i].text, labels[i].why);
	}
}

static int add_environment(const struct override *o, struct str *out, const char *service, struct err *err)
{
	/* in files of their own: its arguments are for everybody to see */
	if (!strcmp(json_text_or(o->project, "provider", ""), PROVIDER_PODMAN))
		return 0;
	str_add(out, "    environment: # added to the service's own; may hold secrets (this file is 0600)\n");
	line(out, 3, "SESSION_NAME", o->session, NULL);
	const cJSON *item;
	cJSON_ArrayForEach(item, cJSON_GetObjectItemCaseSensitive(o->environment, service))
	{
		if (!strcmp(item->string, "SESSION_NAME"))
			continue;
		if (!cJSON_IsString(item) || !item->string[0] || strchr(item->string, '='))
			return err_set(err, ERR_INVALID,
			               "service %s: %s cannot be a variable of its environment", service,
			               item->string);
		if (!text_is_utf8(item->string, strlen(item->string)) ||
		    !text_is_utf8(item->valuestring, strlen(item->valuestring)))
			return err_set(err, ERR_INVALID, "service %s: the variable %s is no UTF-8", service,
			               item->string);
		line(out, 3, item->string, item->valuestring, NULL);
	}
	return 0;
}

static int add_ports(const struct override *o, struct str *out, const cJSON *service, struct err *err)
{
	const char *name = json_text(service, "name");
	const cJSON *port;
	bool first = true;
	cJSON_ArrayForEach(port, o->ports)
	{
		if (strcmp(json_text_or(port, "service", ""), name) != 0)
			continue;
		if (json_int(service, "replicas", 1) > 1)
			return err_set(
			        err, ERR_INVALID,
			        "service %s runs %lld copies, which cannot share one host port: take its "
			        "ports or its replicas out of the compose file",
			        name, (long long)json_int(service, "replicas", 1));
		if (first)
			str_add(out, "    ports: # leased for this session; for this machine only\n");
		first = false;
		str_addf(out, "      - \"127.0.0.1:%lld:%lld/%s\"\n", (long long)json_int(port, "port", 0),
		         (long long)json_int(port, "target", 0), json_text_or(port, "protocol", "tcp"));
	}
	return 0;
}

static const cJSON *base_of(const struct override *o, const char *section, const char *name)
{
	const cJSON *all = json_at(json_at(o->project, "base"), section);
	return cJSON_GetObjectItemCaseSensitive(all, name);
}

/* The same limit under `deploy`, if it stands there: compose v2 refuses two different ones, docker-compose 1.29 reads only
 * the short form. Memory is always a text there; a number of CPUs stays what it was, because podman-compose merges no text
 * into a number. */
static void add_deploy(struct str *out, const cJSON *base, const char *memory, const char *cpus)
{
	const cJSON *limits = json_at(base, "deploy.resources.limits");
	const cJSON *own_cpus = json_at(limits, "cpus");
	bool kept = memory && json_at(base, "deploy.resources.reservations.memory");
	bool both = memory && json_at(limits, "memory");
	if (!both && !kept && !(cpus && own_cpus))
		return;
	str_add(out,
	        "    deploy: # the same in its long form, which stands in the base too\n      resources:\n");
	if (both || (cpus && own_cpus))
		str_add(out, "        limits:\n");
	if (both)
		str_addf(out, "          memory: \"%s\"\n", memory);
	if (cpus && own_cpus)
		str_addf(out, cJSON_IsString(own_cpus) ? "          cpus: \"%s\"\n" : "          cpus: %s\n",
		         cpus);
	if (kept)
		str_addf(out, "        reservations:\n          memory: \"%s\"\n", memory);
}

/* ${key}: ${number}, of the type that the base has there. */
static void add_number(struct str *out, const cJSON *base, const char *key, const char *number)
{
	bool text = cJSON_IsString(json_at(base, key));
	str_addf(out, "    %s: %s%s%s", key, text ? "\"" : "", number, text ? "\"" : "");
}

static void add_cpu(const struct override *o, struct str *out, const cJSON *base, int64_t milli, char *cpus,
                    size_t size)
{
	snprintf(cpus, size, "%lld.%03lld", (long long)milli / 1000, (long long)milli % 1000);
	for (char *end = cpus + strlen(cpus) - 1; *end == '0' && end[-1] != '.'; end--)
		*end = '\0';
	const cJSON *period = json_at(base, "cpu_period");
	if (!json_at(base, "cpu_quota") && !period) {
		add_number(out, base, "cpus", cpus);
	} else { /* the engine takes only one of both forms */
		char quota[24];
		int64_t us = cJSON_IsNumber(period) ? json_int(base, "cpu_period", 0) : CPU_PERIOD_US;
		snprintf(quota, sizeof(quota), "%lld", (long long)(us * milli / 1000));
		add_number(out, base, "cpu_quota", quota);
	}
	str_addf(out, " # %s of the session's %lld.%02lld CPU\n", cpus, (long long)o->cpu_percent / 100,
	         (long long)o->cpu_percent % 100);
}

/* Memory alone would allow more processes than many a machine has numbers for (pid_max is 32768 on small ones). Left out where limits
 * stand under `deploy`: compose v2 wants it there too then, which 1.29 knows nothing of. */
static void add_pids(struct str *out, const cJSON *base)
{
	int64_t own = json_int(base, "pids_limit", 0);
	if ((own > 0 && own <= PIDS_MOST) || json_at(base, "deploy.resources.limits"))
		return;
	str_addf(out, "    pids_limit: %d # processes and threads\n", PIDS_MOST);
}

static void add_limits(const struct override *o, struct str *out, const char *name, int64_t bytes,
                       int64_t milli)
{
	const cJSON *base = base_of(o, "services", name);
	char memory[24], cpus[24];
	snprintf(memory, sizeof(memory), "%lld", (long long)bytes);
	if (bytes) {
		add_number(out, base, "mem_limit", memory);
		str_addf(out, " # %.1f of the session's %lld MiB\n", (double)bytes / (1 << 20),
		         (long long)o->memory_mib);
	}
	if (bytes && json_at(base, "mem_reservation")) {
		add_number(out, base, "mem_reservation", memory);
		str_add(out, " # may not be more than the limit\n");
	}
	if (milli)
		add_cpu(o, out, base, milli, cpus, sizeof(cpus));
	add_pids(out, base);
	add_deploy(out, base, bytes ? memory : NULL, milli ? cpus : NULL);
}

/* Docker keeps all that a container ever said; a driver of the file's own choice stays. */
static void add_logging(const struct override *o, struct str *out, const char *name)
{
	const cJSON *own = json_at(base_of(o, "services", name), "logging");
	if (own && !cJSON_IsNull(own))
		return;
	str_add(out, "    logging: # else it could fill the disk\n      driver: json-file\n      options:\n"
	             "        max-size: \"10m\"\n        max-file: \"2\"\n");
}

static int check_name(const char *project, const char *kind, const char *name, size_t most, struct err *err)
{
	size_t len = strlen(project) + 1 + strlen(name);
	if (len > most)
		return err_set(err, ERR_INVALID,
		               "%s %s: with the project's name %s it is %zu characters long, %zu is the "
		               "most: choose "
		               "a shorter session or %s name",
		               kind, name, project, len, most, kind);
	return 0;
}

/* Its own image, whatever the file calls it, by whose labels it is found. */
static void add_image(const struct override *o, struct str *out, const cJSON *service)
{
	const char *name = json_text(service, "name");
	if (!json_bool(service, "build", false))
		return;
	cleanup_free char *image = built_name(o->name, name);
	bool list = cJSON_IsArray(json_at(base_of(o, "services", name), "build.labels"));
	line(out, 2, "image", image, "built for this session");
	str_add(out,
	        "    build:\n      labels: # its containers inherit them, so they are not the containers'\n");
	label(out, 4, list, BUILT_INSTALL, o->install, "this installation");
	label(out, 4, list, BUILT_SESSION, o->uuid, "this session");
	label(out, 4, list, BUILT_NAME, image, "else it was built on this one by somebody");
}

static int add_service(const struct override *o, struct str *out, const cJSON *service,
                       const struct share *memory, const struct share *cpu, struct err *err)
{
	const char *name = json_text(service, "name");
	if (check_name(o->name, "service", name, NAME_MAX_LEN, err))
		return -1;
	str_add(out, "  ");
	scalar(out, name, false);
	str_add(out, ":\n");
	if (json_int(service, "replicas", 1) > 1)
		str_addf(out, "    # no container_name: the compose tool numbers its %lld copies\n",
		         (long long)json_int(service, "replicas", 1));
	else
		str_addf(out, "    container_name: \"%s-%s\" # so that sessions run side by side\n", o->name,
		         name);
	add_labels(o, out, name, NULL);
	add_image(o, out, service);
	if (add_environment(o, out, name, err) || add_ports(o, out, service, err))
		return -1;
	add_limits(o, out, name, memory->given, cpu->given);
	add_logging(o, out, name);
	return 0;
}

/* Fill what each started service is given; those that are not started have no copies. */
static int share_limits(const struct override *o, struct share *memory, struct share *cpu, struct err *err)
{
	const cJSON *service;
	size_t n = 0;
	/* the engine refuses more CPUs than there are */
	int64_t most = (int64_t)sysconf(_SC_NPROCESSORS_ONLN) * 1000;
	cJSON_ArrayForEach(service, json_at(o->project, "services"))
	{
		if (!started(o, json_text(service, "name")))
			continue;
		const cJSON *cpus = json_at(service, "cpus");
		int64_t copies = json_int(service, "replicas", 1);
		memory[n] = (struct share){.own = json_int(service, "memory", 0),
		                           .copies = copies > 1 ? copies : 1};
		cpu[n] = (struct share){.own = cJSON_IsNumber(cpus) ? (int64_t)(cpus->valuedouble * 1000) : 0,
		                        .copies = memory[n].copies};
		n++;
	}
	if (o->memory_mib)
		share_out(memory, n, o->memory_mib << 20, MEMORY_STEP);
	if (o->cpu_percent)
		share_out(cpu, n, o->cpu_percent * 10, 1);
	for (size_t i = 0; i < n; i++) {
		if (o->memory_mib && memory[i].given < MEMORY_LEAST)
			return err_set(err, ERR_INVALID,
			               "%lld MiB are too little for the %zu services of the session: raise "
			               "SESSION_MEMORY_MB, or start fewer services",
			               (long long)o->memory_mib, n);
		if (o->cpu_percent && cpu[i].given < CPU_LEAST)
			return err_set(
			        err, ERR_INVALID,
			        "%lld %% of a CPU are too little for the %zu services of the session: raise "
			        "SESSION_CPU_PERCENT, or start fewer services",
			        (long long)o->cpu_percent, n);
		if (cpu[i].given > most)
			cpu[i].given = most;
	}
	return 0;
}

static int add_services(const struct override *o, struct str *out, struct err *err)
{
	const cJSON *services = json_at(o->project, "services"), *service;
	size_t all = (size_t)cJSON_GetArraySize(services), n = 0;
	cleanup_free struct share *memory = mem_alloc((all + 1) * sizeof(*memory)),
	                          *cpu = mem_alloc((all + 1) * sizeof(*cpu));
	if (share_limits(o, memory, cpu, err))
		return -1;
	str_add(out, "services:\n");
	cJSON_ArrayForEach(service, services)
	{
		if (!started(o, json_text(service, "name")))
			continue;
		if (add_service(o, out, service, &memory[n], &cpu[n], err))
			return -1;
		n++;
	}
	return n ? 0 : err_set(err, ERR_INVALID, "the session has no services to start");
}

static void add_base(struct str *out, const cJSON *base)
{
	static const char *const ours[] = {"name", "labels", "ipam", "external", NULL};
	const cJSON *item;
	cJSON_ArrayForEach(item, base)
	{
		bool mine = false;
		for (size_t i = 0; ours[i]; i++)
			mine |= !strcmp(item->string, ours[i]);
		if (mine || cJSON_IsNull(item))
			continue;
		copied(out, 2, item);
	}
}

/* A subnet that the file gives it stands in the base, to which a list here would only be added. Podman tells of each network that its
 * addresses are given by "host-local", which docker-compose 1.29 takes for a change when it finds the network there, unless the file says
 * so too. */
static void add_ipam(const struct override *o, struct str *out, const cJSON *repeated, const char *name,
                     const char *subnet)
{
	const cJSON *item, *own = json_at(repeated, "ipam");
	bool fixed = cJSON_GetObjectItemCaseSensitive(json_at(o->project, "fixed"), name);
	if (fixed && !own)
		return;
	str_add(out, "    ipam:\n");
	cJSON_ArrayForEach(item, own)
	{
		if ((fixed || strcmp(item->string, "config") != 0) && !cJSON_IsNull(item))
			copied(out, 3, item);
	}
	if (o->podman && !strcmp(json_text_or(o->project, "provider", ""), PROVIDER_V1))
		str_add(out, "      options:\n        driver: host-local # as Podman will say\n");
	if (fixed)
		return;
	str_add(out, "      config:\n        - subnet: ");
	scalar(out, subnet, false);
	str_add(out, " # leased, so that no two sessions overlap\n");
}

/* The networks, or the volumes of the project. */
static int add_objects(const struct override *o, struct str *out, const char *kind, struct err *err)
{
	const cJSON *list = json_at(o->project, kind), *item;
	bool networks = !strcmp(kind, "networks");
	if (cJSON_GetArraySize(list))
		str_addf(out, "%s:\n", kind);
	cJSON_ArrayForEach(item, list)
	{
		const char *name = cJSON_IsString(item) ? item->valuestring : "";
		const char *subnet = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(o->subnets, name));
		const cJSON *base = base_of(o, kind, name);
		if (networks && !subnet)
			return err_set(err, ERR_INVALID, "network %s has no subnet", name);
		if (check_name(o->name, networks ? "network" : "volume", name, OBJECT_NAME_MAX, err))
			return -1;
		str_add(out, "  ");
		scalar(out, name, false);
		str_addf(out, ":\n    name: \"%s_%s\" # this session's own\n", o->name, name);
		const cJSON *repeated = must_repeat(o) ? base : NULL;
		add_base(out, repeated);
		add_labels(o, out, NULL, json_at(base, "labels"));
		if (networks)
			add_ipam(o, out, repeated, name, subnet);
	}
	return 0;
}

/* What of the file reaches out of this session because somebody let it. */
static void add_allowed(const struct override *o, struct str *out)
{
	const cJSON *one;
	cJSON_ArrayForEach(one, json_at(o->project, "findings"))
	{
		if (strcmp(json_text_or(one, "action", ""), "allowed") != 0)
			continue;
		cleanup_free char *place = lint_place(one), *what = lint_what(one),
		                  *text = mem_printf("%s: %s", place, what);
		text_blank(text, "");
		str_addf(out, "# Not isolated, by --allow=%s: %s\n", json_text_or(one, "rule", ""), text);
	}
}

int override_write(const struct override *o, struct str *out, struct err *err)
{
	cleanup_free char *session = mem_strdup(o->session);
	text_blank(session, "");
	str_addf(out,
	         "# Session %s: what makes the compose file beside it this one session. Overrides names, "
	         "labels,\n"
	         "# ports, limits, networks and volumes of the services that are started; adds to their "
	         "environment.\n"
	         "# Made by codefoundry, do not edit: what it says is leased and counted for this session.\n",
	         session);
	add_allowed(o, out);
	if (add_services(o, out, err) || add_objects(o, out, "networks", err) ||
	    add_objects(o, out, "volumes", err))
		return -1;
	return out->overflow ? err_set(err, ERR_LIMIT, "the override of session %s is too large", session)
	                     : 0;
}
