/* A cJSON tree knows no lines. Messages are rare, so the text is parsed once more when one is needed. */
#include "core/mem.h"
#include "core/yaml.h"
#include <libfyaml.h>
#include <stdlib.h>
#include <string.h>

/* Where the first scalar of ${node} stands: block collections have no token of their own. 0 when there is none. */
static int line_of(struct fy_node *node)
{
	void *at = NULL;
	struct fy_token *token;
	switch (node ? fy_node_get_type(node) : FYNT_SCALAR) {
	case FYNT_SEQUENCE:
		return line_of(fy_node_sequence_iterate(node, &at));
	case FYNT_MAPPING: {
		struct fy_node_pair *pair = fy_node_mapping_iterate(node, &at);
		return pair ? line_of(fy_node_pair_key(pair)) : 0;
	}
	case FYNT_SCALAR:
		token = node ? fy_node_get_scalar_token(node) : NULL;
		const struct fy_mark *mark = token ? fy_token_start_mark(token) : NULL;
		return mark ? mark->line + 1 : 0;
	}
	return 0;
}

static struct fy_node *child(struct fy_node *node, const char *key, int *line)
{
	if (fy_node_is_sequence(node)) {
		struct fy_node *item = fy_node_sequence_get_by_index(node, atoi(key));
		int found = line_of(item);
		*line = found ? found : *line;
		return item;
	}
	void *at = NULL;
	struct fy_node_pair *pair;
	while (fy_node_is_mapping(node) && (pair = fy_node_mapping_iterate(node, &at))) {
		size_t len = 0;
		const char *name = fy_node_get_scalar(fy_node_pair_key(pair), &len);
		if (!name || strlen(key) != len || memcmp(name, key, len) != 0)
			continue;
		int found = line_of(fy_node_pair_key(pair));
		*line = found ? found : *line;
		return fy_node_pair_value(pair);
	}
	return NULL;
}

int yaml_line(const char *text, size_t len, const char *path)
{
	struct fy_parse_cfg cfg = {.flags = FYPCF_QUIET};
	struct fy_document *doc = fy_document_build_from_string(&cfg, text, len);
	struct fy_node *node = doc ? fy_document_root(doc) : NULL;
	cleanup_free char *copy = mem_strdup(path);
	char *rest = copy, *key;
	int line = line_of(node);
	while (node && (key = strsep(&rest, "/")))
		if (*key)
			node = child(node, key, &line);
	fy_document_destroy(doc);
	return line;
}
