/* libfyaml's events become a cJSON tree here, not by libfyaml's own documents: what aliases grow to, and how much is built
 * at all, is counted while it is built. */
#include "core/yaml.h"

#include "core/mem.h"
#include "core/text.h"
#include <libfyaml.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define MAX_DEPTH 64
#define MAX_NODES 20000 /* keys are looked up one after the other, so this bounds time as well */

struct anchor {
	char *name;
	const cJSON *node; /* in the tree; NULL while it is being built */
};

struct level { /* a list or map that is being built */
	cJSON *node;
	char *key;     /* of a map: the one whose value comes next */
	size_t anchor; /* index + 1; 0: none */
};

struct builder {
	struct fy_parser *parser;
	const char *name;
	struct err *err;
	cJSON *root;
	cJSON *merged; /* what << named: out of the tree, but an anchor may stand in it */
	struct level levels[MAX_DEPTH];
	int depth;
	struct anchor *anchors;
	size_t n_anchors, n_aliases, n_nodes;
	int documents;
	bool pyyaml; /* plain scalars are what PyYAML takes them for */
};

/* ---- messages ---- */

static int refuse(struct builder *b, struct fy_event *event, enum err_code code, const char *what)
{
	const struct fy_mark *mark = fy_event_start_mark(event);

	/* libfyaml counts from 0 */
	return err_set(b->err, code, "%s:%d:%d: %s", b->name, mark ? mark->line + 1 : 1,
	               mark ? mark->column + 1 : 1, what);
}

static void ignore_output(struct fy_diag *diag, void *user, const char *buf, size_t len)
{
	(void)diag, (void)user, (void)buf, (void)len;
}

/* ---- scalars ---- */

static bool one_of(const char *text, const char *const *words)
{
	for (; *words; words++)
		if (!strcmp(text, *words))
			return true;
	return false;
}

/* RFC 8259 number; "010", "0x1f", "1_000" and ".5" are text. */
static bool is_number(const char *p)
{
	p += *p == '-';
	if (*p == '0')
		p++;
	else if (*p >= '1' && *p <= '9')
		p += strspn(p, "0123456789");
	else
		return false;
	if (*p == '.') {
		if (!strspn(p + 1, "0123456789"))
			return false;
		p += 1 + strspn(p + 1, "0123456789");
	}
	if (*p == 'e' || *p == 'E') {
		p += 1 + (p[1] == '+' || p[1] == '-');
		if (!strspn(p, "0123456789"))
			return false;
		p += strspn(p, "0123456789");
	}
	return *p == '\0';
}

/* PyYAML has no number with an exponent but no dot and sign, and so does not quote a text that looks like one: 123e45. */
static bool is_pyyaml_text(const char *number)
{
	const char *e = strpbrk(number, "eE");

	return e && (!strchr(number, '.') || !strchr("+-", e[1]));
}

static cJSON *plain(struct builder *b, struct fy_event *event, const char *text)
{
	static const char *const nulls[] = {"", "~", "null", "Null", "NULL", NULL};
	static const char *const trues[] = {"true", "True", "TRUE", NULL};
	static const char *const falses[] = {"false", "False", "FALSE", NULL};
	double value;

	if (one_of(text, nulls))
		return cJSON_CreateNull();
	if (one_of(text, trues) || one_of(text, falses))
		return cJSON_CreateBool(one_of(text, trues));
	if (!is_number(text) || (b->pyyaml && is_pyyaml_text(text)))
		return cJSON_CreateString(text);
	value = strtod(text, NULL);
	if (!isfinite(value) || (!strpbrk(text, ".eE") && fabs(value) > 9007199254740992.0)) {
		if (b->pyyaml)
			return cJSON_CreateString(text);
		refuse(b, event, ERR_INVALID, "this number is too large to be exact; put it in quotes");
		return NULL;
	}
	return cJSON_CreateNumber(value);
}

/* The text of a token as a string of ours, or NULL when it cannot be one. */
static char *token_text(struct builder *b, struct fy_event *event, struct fy_token *token)
{
	size_t len = 0;
	const char *text = token ? fy_token_get_text(token, &len) : "";

	if (!text || memchr(text, '\0', len) || !text_is_utf8(text, len)) {
		refuse(b, event, ERR_INVALID, "this text has a NUL or is not UTF-8");
		return NULL;
	}
	return mem_strndup(text, len);
}

static cJSON *scalar(struct builder *b, struct fy_event *event, const char *text)
{
	struct fy_token *tag = event->scalar.tag;
	size_t len = 0;
	const char *name = tag ? fy_token_get_text(tag, &len) : NULL;

	if (name && len == 21 && !memcmp(name, "tag:yaml.org,2002:str", 21))
		return cJSON_CreateString(text);
	if (name) {
		refuse(b, event, ERR_INVALID, "tags other than !!str are not supported");
		return NULL;
	}
	if (event->scalar.value && fy_scalar_token_get_style(event->scalar.value) != FYSS_PLAIN)
		return cJSON_CreateString(text);
	return plain(b, event, text);
}

/* ---- the tree ---- */

static int count(struct builder *b, struct fy_event *event, const cJSON *node)
{
	if (++b->n_nodes > MAX_NODES)
		return refuse(b, event, ERR_LIMIT,
		              "more than 20000 values (aliases count with all they stand for)");
	for (const cJSON *child = node->child; child; child = child->next)
		if (count(b, event, child))
			return -1;
	return 0;
}

static int height(const cJSON *node)
{
	int most = 0;

	for (const cJSON *child = node->child; child; child = child->next) {
		int h = height(child);
		most = h > most ? h : most;
	}
	return most + 1;
}

/* Put ${node} (transferred) where it belongs. */
static int place(struct builder *b, struct fy_event *event, cJSON *node)
{
	struct level *top = b->depth ? &b->levels[b->depth - 1] : NULL;

	if (!top) {
		b->root = node;
	} else if (cJSON_IsArray(top->node)) {
		cJSON_AddItemToArray(top->node, node);
	} else if (!top->key) {
		cJSON_Delete(node);
		return refuse(b, event, ERR_INVALID, "a key must be plain text");
	} else {
		cJSON_AddItemToObject(top->node, top->key, node);
		free(TAKE(top->key));
	}
	return 0;
}

static int remember(struct builder *b, struct fy_event *event, struct fy_token *token, const cJSON *node)
{
	char *name;

	if (!token)
		return 0;
	name = token_text(b, event, token);
	if (!name)
		return -1;
	b->anchors = mem_resize(b->anchors, b->n_anchors + 1, sizeof(*b->anchors));
	b->anchors[b->n_anchors++] = (struct anchor){name, node};
	return 0;
}

static bool awaits_key(const struct builder *b)
{
	const struct level *top = b->depth ? &b->levels[b->depth - 1] : NULL;

	return top && cJSON_IsObject(top->node) && !top->key;
}

static int take_scalar(struct builder *b, struct fy_event *event)
{
	cleanup_free char *text = token_text(b, event, event->scalar.value);
	cJSON *node;

	if (!text)
		return -1;
	if (awaits_key(b)) {
		struct level *top = &b->levels[b->depth - 1];

		if (cJSON_GetObjectItemCaseSensitive(top->node, text))
			return refuse(b, event, ERR_INVALID, "this key stands here twice");
		top->key = TAKE(text);
		return 0;
	}
	node = scalar(b, event, text);
	if (!node)
		return -1;
	if (count(b, event, node)) {
		cJSON_Delete(node);
		return -1;
	}
	return place(b, event, node) || remember(b, event, event->scalar.anchor, node);
}

static int take_alias(struct builder *b, struct fy_event *event)
{
	cleanup_free char *name = token_text(b, event, event->alias.anchor);
	const cJSON *node = NULL;

	if (!name)
		return -1;
	if (++b->n_aliases > YAML_MAX_ALIASES)
		return refuse(b, event, ERR_LIMIT, "more than 64 aliases");
	for (size_t i = b->n_anchors; i > 0 && !node; i--) { /* the latest of that name counts */
		if (strcmp(b->anchors[i - 1].name, name))
			continue;
		node = b->anchors[i - 1].node;
		if (!node)
			return refuse(b, event, ERR_INVALID, "this alias stands inside what it stands for");
	}
	if (!node)
		return refuse(b, event, ERR_INVALID, "this alias has no anchor");
	if (b->depth + height(node) > MAX_DEPTH)
		return refuse(b, event, ERR_LIMIT, "nested more than 64 deep");
	return count(b, event, node) || place(b, event, cJSON_Duplicate(node, true));
}

static int begin(struct builder *b, struct fy_event *event, cJSON *node, struct fy_token *anchor,
                 struct fy_token *tag)
{
	struct level *level;

	if (tag || awaits_key(b) || b->depth == MAX_DEPTH || count(b, event, node)) {
		cJSON_Delete(node);
		return tag ? refuse(b, event, ERR_INVALID, "tags other than !!str are not supported")
		       : awaits_key(b)         ? refuse(b, event, ERR_INVALID, "a key must be plain text")
		       : b->depth == MAX_DEPTH ? refuse(b, event, ERR_LIMIT, "nested more than 64 deep")
		                               : -1;
	}
	if (place(b, event, node))
		return -1;
	level = &b->levels[b->depth++];
	*level = (struct level){.node = node};
	if (remember(b, event, anchor, NULL))
		return -1;
	level->anchor = anchor ? b->n_anchors : 0;
	return 0;
}

/* ---- merge keys (https://yaml.org/type/merge.html): what stands in the map itself wins, then the earlier source ---- */

static void merge_one(cJSON *map, const cJSON *from)
{
	for (const cJSON *item = from->child; item; item = item->next)
		if (!cJSON_GetObjectItemCaseSensitive(map, item->string))
			cJSON_AddItemToObject(map, item->string, cJSON_Duplicate(item, true));
}

static int merge(struct builder *b, struct fy_event *event, cJSON *map)
{
	cJSON *from = cJSON_DetachItemFromObjectCaseSensitive(map, "<<");
	bool good = from && (cJSON_IsObject(from) || cJSON_IsArray(from));

	if (!from)
		return 0;
	if (cJSON_IsObject(from))
		merge_one(map, from);
	for (const cJSON *each = cJSON_IsArray(from) ? from->child : NULL; each; each = each->next) {
		good = good && cJSON_IsObject(each);
		if (cJSON_IsObject(each))
			merge_one(map, each);
	}
	cJSON_AddItemToArray(b->merged, from);
	return good ? 0 : refuse(b, event, ERR_INVALID, "<< takes a map or a list of maps");
}

static int end(struct builder *b, struct fy_event *event)
{
	struct level *level = &b->levels[--b->depth];

	if (level->anchor)
		b->anchors[level->anchor - 1].node = level->node;
	return cJSON_IsObject(level->node) ? merge(b, event, level->node) : 0;
}

/* ---- events ---- */

static int take_event(struct builder *b, struct fy_event *event)
{
	switch (event->type) {
	case FYET_DOCUMENT_START:
		return b->documents++ ? refuse(b, event, ERR_INVALID,
		                               "a second document begins here; one is allowed")
		                      : 0;
	case FYET_SCALAR:
		return take_scalar(b, event);
	case FYET_ALIAS:
		return take_alias(b, event);
	case FYET_SEQUENCE_START:
		return begin(b, event, cJSON_CreateArray(), event->sequence_start.anchor,
		             event->sequence_start.tag);
	case FYET_MAPPING_START:
		return begin(b, event, cJSON_CreateObject(), event->mapping_start.anchor,
		             event->mapping_start.tag);
	case FYET_SEQUENCE_END:
	case FYET_MAPPING_END:
		return end(b, event);
	default:
		return 0;
	}
}

static int syntax_error(struct builder *b, struct fy_diag *diag)
{
	void *iter = NULL;
	const struct fy_diag_error *e = fy_diag_errors_iterate(diag, &iter);

	if (!e)
		return err_set(b->err, ERR_INVALID, "%s: not valid YAML", b->name);
	return err_set(b->err, ERR_INVALID, "%s:%d:%d: %s", b->name, e->line, e->column,
	               e->msg ? e->msg : "syntax error");
}

/* libfyaml takes a NUL and what is not UTF-8 for the end and would not tell of what stands behind it. */
static int check_bytes(const char *text, size_t len, const char *name, struct err *err)
{
	size_t good = 0;
	int line = 1;

	if (!memchr(text, '\0', len) && text_is_utf8(text, len))
		return 0;
	for (const char *nl; (nl = memchr(text + good, '\n', len - good)); line++) {
		size_t next = (size_t)(nl - text) + 1;

		if (memchr(text + good, '\0', next - good) || !text_is_utf8(text + good, next - good))
			break;
		good = next;
	}
	return err_set(err, ERR_INVALID, "%s:%d:1: this line has a NUL byte or is not UTF-8", name, line);
}

static int build(struct builder *b, struct fy_diag *diag)
{
	struct fy_event *event;
	int rc = 0;

	while (!rc && (event = fy_parser_parse(b->parser))) {
		bool last = event->type == FYET_STREAM_END;

		rc = take_event(b, event);
		fy_parser_event_free(b->parser, event);
		if (last)
			return rc;
	}
	return rc ? rc : syntax_error(b, diag);
}

static void builder_free(struct builder *b)
{
	for (int i = 0; i < b->depth; i++)
		free(b->levels[i].key);
	for (size_t i = 0; i < b->n_anchors; i++)
		free(b->anchors[i].name);
	free(b->anchors);
	cJSON_Delete(b->merged);
}

static cJSON *parse(const char *text, size_t len, const char *name, bool pyyaml, struct err *err)
{
	struct fy_diag_cfg diag_cfg = {.output_fn = ignore_output, .level = FYET_ERROR, .module_mask = ~0u};
	struct fy_diag *diag;
	struct fy_parse_cfg cfg = {.search_path = "", .flags = FYPCF_QUIET | FYPCF_JSON_NONE};
	struct builder b = {.name = name, .err = err, .merged = cJSON_CreateArray(), .pyyaml = pyyaml};
	int rc;

	diag = fy_diag_create(&diag_cfg);
	fy_diag_set_collect_errors(diag, true);
	cfg.diag = diag;
	b.parser = fy_parser_create(&cfg);
	if (len > YAML_MAX_BYTES)
		rc = err_set(err, ERR_LIMIT, "%s: larger than %u bytes", name, YAML_MAX_BYTES);
	else if (check_bytes(text, len, name, err))
		rc = -1;
	else if (!diag || !b.parser || fy_parser_set_string(b.parser, text, len))
		rc = err_set(err, ERR_FAILED, "%s: libfyaml did not start", name);
	else
		rc = build(&b, diag);
	fy_parser_destroy(b.parser);
	fy_diag_destroy(diag);
	builder_free(&b);
	if (rc) {
		cJSON_Delete(b.root);
		return NULL;
	}
	return b.root ? b.root : cJSON_CreateNull();
}

cJSON *yaml_parse(const char *text, size_t len, const char *name, struct err *err)
{
	return parse(text, len, name, false, err);
}

cJSON *yaml_parse_pyyaml(const char *text, size_t len, const char *name, struct err *err)
{
	return parse(text, len, name, true, err);
}
