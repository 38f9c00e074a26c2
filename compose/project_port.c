/* The many ways to write a published port; only what is inside the container counts, the host's side is leased. */
#include "compose/project_private.h"
#include "core/mem.h"
#include <stdlib.h>
#include <string.h>

/* "80" or "80-82". Returns -1 for anything else. */
static int read_range(const char *text, size_t len, long *low, long *high)
{
	char copy[16], *end;
	if (!len || len >= sizeof(copy))
		return -1;
	memcpy(copy, text, len);
	copy[len] = '\0';
	if (strspn(copy, "0123456789-") != len || copy[0] == '-')
		return -1;
	*low = *high = strtol(copy, &end, 10);
	if (*end == '-' && end[1] >= '0' && end[1] <= '9')
		*high = strtol(end + 1, &end, 10);
	return *end || *low < 1 || *high > 65535 || *low > *high ? -1 : 0;
}

static int add(cJSON *ports, long target, const char *protocol, struct err *err)
{
	for (const cJSON *p = ports->child; p; p = p->next)
		if (json_int(p, "target", 0) == target && !strcmp(json_text(p, "protocol"), protocol))
			return 0;
	if (cJSON_GetArraySize(ports) >= PROJECT_PORTS_MAX)
		return err_set(err, ERR_INVALID, "more than %d ports are published", PROJECT_PORTS_MAX);
	cJSON *one = json_object();
	json_add_int(one, "target", target);
	json_add_text(one, "protocol", protocol);
	cJSON_AddItemToArray(ports, one);
	return 0;
}

static int add_text(cJSON *ports, const char *text, const char *protocol, struct err *err)
{
	long low, high;
	const char *slash = strchr(text, '/');
	size_t len = slash ? (size_t)(slash - text) : strlen(text);
	/* behind the last colon, whatever stands before it: an address, v6 too, a host port, nothing */
	const char *colon = memrchr(text, ':', len), *target = colon ? colon + 1 : text;
	if (slash)
		protocol = slash + 1;
	if (strcmp(protocol, "tcp") != 0 && strcmp(protocol, "udp") != 0)
		return err_set(err, ERR_INVALID, "port %.80s: only tcp and udp ports can be leased", text);
	if (read_range(target, len - (size_t)(target - text), &low, &high))
		return err_set(err, ERR_INVALID, "'%.80s' is no port", text);
	for (; low <= high; low++)
		if (add(ports, low, protocol, err))
			return -1;
	return 0;
}

int project_port_add(cJSON *ports, const cJSON *entry, struct err *err)
{
	const cJSON *target = cJSON_IsObject(entry) ? json_at(entry, "target") : entry;
	const char *protocol = json_text_or(cJSON_IsObject(entry) ? entry : NULL, "protocol", "tcp");
	if (cJSON_IsString(target))
		return add_text(ports, target->valuestring, protocol, err);
	cleanup_free char *text = json_print(target);
	return add_text(ports, cJSON_IsNumber(target) ? text : "", protocol, err);
}
