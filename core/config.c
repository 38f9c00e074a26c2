#include "core/config.h"
#include "core/dotenv.h"
#include "core/file.h"
#include "core/log.h"
#include "core/mem.h"
#include "core/text.h"
#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define CONFIG_MAX 256
#define CONFIG_FILE_BYTES (256u << 10)

struct value {
	const struct setting *setting;
	char *text; /* NULL: unset */
	bool given; /* by the user, not a default */
	bool placeholder;
};

struct config {
	struct value values[CONFIG_MAX];
	size_t n;
	char *file;
};

/* Bad settings, one line each; those past the room of an error by their names. */
struct report {
	struct str lines, more;
	unsigned count;
};
#define REPORT_LINES_MAX 1400
#define REPORT_MORE_MAX 500
#define REPORT_INIT                                                                                          \
	((struct report){.lines = STR_INIT_MAX(REPORT_LINES_MAX), .more = STR_INIT_MAX(REPORT_MORE_MAX)})
#define cleanup_report __attribute__((cleanup(report_free)))
#define SHOWN_MAX 80 /* bytes of a bad value */

static struct value *find(const struct config *cfg, const char *key)
{
	for (size_t i = 0; i < cfg->n; i++)
		if (!strcmp(cfg->values[i].setting->key, key))
			return (struct value *)&cfg->values[i];
	return NULL;
}

static const struct value *need(const struct config *cfg, const char *key)
{
	const struct value *v = find(cfg, key);
	if (!v) {
		fprintf(stderr, "codefoundry: setting %s stands in no table\n", key);
		abort();
	}
	return v;
}

static void report_free(struct report *r)
{
	str_free(&r->lines);
	str_free(&r->more);
}

/* Add the line; when there is no more room, ${name} (of the key, or the place in the file). */
static void report_add(struct report *r, const char *name, const char *line)
{
	size_t before = r->lines.len;
	str_addf(&r->lines, "%s%s", before ? "\n" : "", line);
	if (r->lines.overflow)
		str_addf(&r->more, "%s%s", r->more.len ? ", " : "", name);
	r->count++;
}

static int report_end(const struct report *r, struct err *err)
{
	if (!r->count)
		return 0;
	return err_set(err, ERR_CONFIG, "%s%s%s%s", str_text(&r->lines), r->more.len ? "\nalso wrong: " : "",
	               str_text(&r->more), r->more.overflow ? ", and more" : "");
}

static bool is_placeholder(const char *text)
{
	size_t n = strlen(text);
	return (n > 10 && !strncasecmp(text, "your", 4) && strchr("_- ", text[4]) &&
	        strchr("_- ", text[n - 5]) && !strcasecmp(text + n - 4, "here")) ||
	       !strcasecmp(text, "changeme") || !strcasecmp(text, "change_me") ||
	       !strcasecmp(text, "change-me") || (n > 2 && text[0] == '<' && text[n - 1] == '>');
}

static bool is_blank(const char *text)
{
	return text[strspn(text, " \t\r\n")] == '\0';
}

/* -- checking -- */

static int parse_bool(const char *text, bool *value)
{
	static const char *const words[] = {"false", "true", "off", "on", "no", "yes", "0", "1"};
	for (size_t i = 0; i < ARRAY_LEN(words); i++) {
		if (!strcasecmp(text, words[i])) {
			*value = i % 2;
			return 0;
		}
	}
	return -1;
}

static bool in_list(const char *list, const char *word, size_t n)
{
	for (const char *p = list; p; p = strchr(p, '|')) {
		p += *p == '|';
		size_t len = strcspn(p, "|");
		if (len == n && !strncmp(p, word, n))
			return true;
	}
	return false;
}

static bool is_url(const char *allowed, const char *text)
{
	const char *sep = strstr(text, "://");
	if (!sep || !in_list(allowed, text, (size_t)(sep - text)) || !sep[3] || strchr("/:?#", sep[3]))
		return false;
	for (const char *p = text; *p; p++)
		if (isspace((unsigned char)*p) || iscntrl((unsigned char)*p))
			return false;
	return true;
}

/* Step through a comma list of ids. Returns 1 with ${*id}, 0 at the end, -1 when malformed. */
static int next_id(const char **p, int64_t *id)
{
	*p += strspn(*p, " \t");
	if (!**p)
		return 0;
	char *end;
	errno = 0;
	long long v = strtoll(*p, &end, 10);
	if (!isdigit((unsigned char)**p) || errno || v <= 0)
		return -1;
	end += strspn(end, " \t");
	if (*end == ',' && end[1 + strspn(end + 1, " \t")])
		end++;
	else if (*end)
		return -1;
	*p = end;
	*id = v;
	return 1;
}

static bool is_ids(const char *text)
{
	if (!strcmp(text, "*"))
		return true;
	int64_t id;
	int rc;
	while ((rc = next_id(&text, &id)) == 1)
		;
	return rc == 0;
}

static int parse_range(const struct setting *s, const char *text, int64_t *low, int64_t *high)
{
	char *end;
	*low = strtoll(text, &end, 10);
	if (end == text || *end != '-' || text_int(end + 1, high))
		return -1;
	return *low > *high || *low < s->min || *high > s->max ? -1 : 0;
}

static bool acceptable(const struct setting *s, const char *text)
{
	int64_t i, j;
	bool b;
	switch (s->type) {
	case SETTING_TEXT:
		return true;
	case SETTING_INT:
		return text_int(text, &i) == 0 && i >= s->min && i <= s->max;
	case SETTING_BOOL:
		return parse_bool(text, &b) == 0;
	case SETTING_CHOICE:
		return in_list(s->allowed, text, strlen(text));
	case SETTING_IDS:
		return is_ids(text);
	case SETTING_URL:
		return is_url(s->allowed, text);
	case SETTING_RANGE:
		return parse_range(s, text, &i, &j) == 0;
	}
	return false;
}

static void describe(const struct setting *s, struct str *out)
{
	switch (s->type) {
	case SETTING_TEXT:
		str_add(out, "text");
		break;
	case SETTING_INT:
		str_addf(out, "a whole number from %lld to %lld", (long long)s->min, (long long)s->max);
		break;
	case SETTING_BOOL:
		str_add(out, "true or false");
		break;
	case SETTING_CHOICE:
		for (const char *p = s->allowed; *p; p++)
			str_add(out, *p == '|' ? ", " : (char[2]){*p, '\0'});
		break;
	case SETTING_IDS:
		str_add(out, "comma-separated Telegram user ids such as 12345,67890, or * for everybody");
		break;
	case SETTING_URL:
		str_add(out, "a URL such as ");
		str_addn(out, s->allowed, strcspn(s->allowed, "|"));
		str_add(out, "://127.0.0.1:8081");
		break;
	case SETTING_RANGE:
		str_addf(out, "LOW-HIGH, both from %lld to %lld", (long long)s->min, (long long)s->max);
		break;
	}
}

/* A value as it may stand in a message: not secret, not long, one line. */
static char *shown(const struct setting *s, const char *text)
{
	if (s->secret)
		return mem_strdup("***");
	size_t len = strlen(text), keep = len;
	if (len > SHOWN_MAX)
		keep = text_utf8_prefix(text, SHOWN_MAX);
	char *copy = mem_printf("%.*s%s", (int)keep, text, keep < len ? "..." : "");
	for (char *p = copy; *p; p++)
		if (iscntrl((unsigned char)*p))
			*p = '?';
	return copy;
}

static void assign(struct value *v, const char *text, const char *where, struct report *report)
{
	const struct setting *s = v->setting;
	bool placeholder = is_placeholder(text),
	     unset = placeholder || (s->type == SETTING_TEXT ? !text[0] : is_blank(text));
	if (!unset && !acceptable(s, text)) {
		cleanup_free char *value = shown(s, text);
		cleanup_str struct str line = STR_INIT;
		str_addf(&line, "%s=%s (%s): must be ", s->key, value, where);
		describe(s, &line);
		report_add(report, s->key, str_text(&line));
		return;
	}
	free(v->text);
	v->text = !unset ? mem_strdup(text) : s->def ? mem_strdup(s->def) : NULL;
	v->given = !unset;
	v->placeholder = placeholder;
	if (v->given && s->secret)
		log_secret(text);
}

/* -- the dotenv file -- */

static void warn_unknown(const struct config *cfg, const char *key, const char *where)
{
	const char *known[CONFIG_MAX + 1] = {0};
	for (size_t i = 0; i < cfg->n; i++)
		known[i] = cfg->values[i].setting->key;
	const char *near = text_nearest(key, known);
	log_warn("%s: unknown setting %s%s%s", where, key, near ? ", did you mean " : "", near ? near : "");
}

static int read_file(struct config *cfg, const char *path, bool required, struct report *report,
                     struct err *err)
{
	cleanup_free char *text = NULL;
	size_t len;
	if (file_read(path, CONFIG_FILE_BYTES, &text, &len, err)) {
		if (err->code == ERR_NOT_FOUND && !required) {
			err_clear(err);
			return 0;
		}
		err->code = ERR_CONFIG;
		return err_wrap(err, "settings file");
	}
	if (strlen(text) != len)
		return err_set(err, ERR_CONFIG, "settings file %s holds NUL bytes: it is not a text file",
		               path);
	cfg->file = realpath(path, NULL);
	const char *base = strrchr(path, '/') ? strrchr(path, '/') + 1 : path, *rest = text;
	struct dotenv_line line = {0};
	while (dotenv_next(&rest, &line)) {
		char where[64];
		snprintf(where, sizeof(where), "%.40s:%u", base, line.number);
		struct value *v = line.key ? find(cfg, line.key) : NULL;
		if (v) {
			assign(v, line.value, where, report);
		} else if (line.key) {
			warn_unknown(cfg, line.key, where);
		} else {
			cleanup_free char *bad = mem_printf("%s: %s", where, line.problem);
			report_add(report, where, bad);
		}
		dotenv_clear(&line);
	}
	return 0;
}

int config_load(struct config **out, const struct setting *const *tables, const char *env_file,
                bool file_required, struct err *err)
{
	struct config *cfg = mem_alloc(sizeof(*cfg));
	cleanup_report struct report report = REPORT_INIT;
	for (; *tables; tables++) {
		for (const struct setting *s = *tables; s->key && cfg->n < CONFIG_MAX; s++) {
			cfg->values[cfg->n].text = s->def ? mem_strdup(s->def) : NULL;
			cfg->values[cfg->n++].setting = s;
		}
	}
	int rc = env_file ? read_file(cfg, env_file, file_required, &report, err) : 0;
	for (size_t i = 0; i < cfg->n; i++) {
		const char *text = getenv(cfg->values[i].setting->key);
		if (text)
			assign(&cfg->values[i], text, "environment", &report);
	}
	if (rc || report_end(&report, err)) {
		config_free(cfg);
		return -1;
	}
	*out = cfg;
	return 0;
}

void config_free(struct config *cfg)
{
	if (!cfg)
		return;
	for (size_t i = 0; i < cfg->n; i++)
		free(cfg->values[i].text);
	free(cfg->file);
	free(cfg);
}

const char *config_text(const struct config *cfg, const char *key)
{
	const struct value *v = need(cfg, key);
	return v->text && v->text[0] ? v->text : NULL;
}

int64_t config_int(const struct config *cfg, const char *key)
{
	const char *text = config_text(cfg, key);
	int64_t value = 0;
	if (text)
		text_int(text, &value);
	return value;
}

bool config_bool(const struct config *cfg, const char *key)
{
	const char *text = config_text(cfg, key);
	bool value = false;
	if (text)
		parse_bool(text, &value);
	return value;
}

bool config_is_set(const struct config *cfg, const char *key)
{
	return need(cfg, key)->given;
}

bool config_was_placeholder(const struct config *cfg, const char *key)
{
	return need(cfg, key)->placeholder;
}

void config_range(const struct config *cfg, const char *key, int64_t *low, int64_t *high)
{
	const struct value *v = need(cfg, key);
	if (!v->text || parse_range(v->setting, v->text, low, high))
		*low = *high = 0;
}

bool config_has_id(const struct config *cfg, const char *key, int64_t id, bool *any)
{
	const char *p = config_text(cfg, key);
	bool all = p && !strcmp(p, "*");
	if (any)
		*any = all;
	int64_t each;
	while (p && !all && next_id(&p, &each) == 1)
		if (each == id)
			return true;
	return all;
}

size_t config_ids(const struct config *cfg, const char *key, int64_t *ids, size_t max)
{
	const char *p = config_text(cfg, key);
	size_t n = 0;
	while (p && strcmp(p, "*") && n < max && next_id(&p, &ids[n]) == 1)
		n++;
	return n;
}

int config_set(struct config *cfg, const char *key, const char *value, struct err *err)
{
	cleanup_report struct report report = REPORT_INIT;
	assign(find(cfg, need(cfg, key)->setting->key), value ? value : "", "set", &report);
	return report_end(&report, err);
}

struct config *config_copy(const struct config *cfg)
{
	struct config *copy = mem_alloc(sizeof(*copy));
	*copy = *cfg;
	for (size_t i = 0; i < copy->n; i++)
		if (copy->values[i].text)
			copy->values[i].text = mem_strdup(copy->values[i].text);
	copy->file = cfg->file ? mem_strdup(cfg->file) : NULL;
	return copy;
}

const char *config_file(const struct config *cfg)
{
	return cfg->file;
}

void config_example(const struct setting *const *tables, struct str *out)
{
	const char *group = NULL;
	for (; *tables; tables++) {
		for (const struct setting *s = *tables; s->key; s++) {
			if (s->group && (!group || strcmp(group, s->group)))
				str_addf(out, "%s# --- %s ---\n", out->len ? "\n" : "", group = s->group);
			str_addf(out, "# %s; ", s->help);
			describe(s, out);
			str_addf(out, "\n#%s=%s\n", s->key, s->def ? s->def : "");
		}
	}
}
