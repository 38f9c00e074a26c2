#include "testsuite/selection.h"
#include "core/mem.h"
#include "testsuite/builtin.h"
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define MAX_SCENARIOS 512

static int add(struct selection *s, struct scenario *sc, struct err *err)
{
	if (s->n == MAX_SCENARIOS) {
		scenario_free(sc);
		return err_set(err, ERR_LIMIT, "at most %d scenarios in one run", MAX_SCENARIOS);
	}
	s->scenarios = mem_resize(s->scenarios, s->n + 1, sizeof(*s->scenarios));
	s->scenarios[s->n++] = sc;
	return 0;
}

static int add_builtin(struct selection *s, const char *name, struct err *err)
{
	struct scenario *sc = NULL;
	if (strcmp(name, "all") != 0)
		return builtin_load(name, &sc, err) || add(s, sc, err) ? -1 : 0;
	const struct builtin *b;
	for (size_t i = 0; (b = builtin_at(i)); i++)
		if (builtin_load(b->name, &sc, err) || add(s, sc, err))
			return -1;
	return 0;
}

static int is_scenario(const struct dirent *e)
{
	size_t n = strlen(e->d_name);
	return n > 4 && e->d_name[0] != '.' && strcmp(e->d_name + n - 4, ".yml") == 0;
}

/* All *.yml of a directory, by name. */
static int add_directory(struct selection *s, const char *path, struct err *err)
{
	struct dirent **entries;
	int n = scandir(path, &entries, is_scenario, alphasort), rc = 0;
	if (n < 0)
		return err_sys(err, errno, "scenario directory %s", path);
	for (int i = 0; i < n; i++) {
		struct scenario *sc = NULL;
		cleanup_free char *file = mem_printf("%s/%s", path, entries[i]->d_name);
		if (rc == 0)
			rc = scenario_load(&sc, file, err) || add(s, sc, err) ? -1 : 0;
		free(entries[i]);
	}
	free(entries);
	return rc == 0 && n == 0 ? err_set(err, ERR_NOT_FOUND, "no *.yml in %s", path) : rc;
}

static int add_file(struct selection *s, const char *path, struct err *err)
{
	struct stat sb;
	struct scenario *sc = NULL;
	if (strncmp(s->owner, "cli:", 4) != 0)
		return err_set(err, ERR_DENIED, "scenario files can be named on the command line only");
	if (stat(path, &sb) == 0 && S_ISDIR(sb.st_mode))
		return add_directory(s, path, err);
	return scenario_load(&sc, path, err) || add(s, sc, err) ? -1 : 0;
}

static int each_text(struct selection *s, const cJSON *list,
                     int (*fn)(struct selection *s, const char *, struct err *), struct err *err)
{
	const cJSON *item;
	cJSON_ArrayForEach(item, list) if (!cJSON_IsString(item) || fn(s, item->valuestring, err)) return -1;
	return 0;
}

int selection_make(struct selection *s, const cJSON *args, const char *owner, struct err *err)
{
	const cJSON *names = json_at(args, "scenarios"), *files = json_at(args, "files");
	*s = (struct selection){.owner = owner};
	if ((names && !cJSON_IsArray(names)) || (files && !cJSON_IsArray(files)))
		return err_set(err, ERR_INVALID, "'scenarios' and 'files' are lists of texts");
	if (each_text(s, names, add_builtin, err) || each_text(s, files, add_file, err))
		return err->code ? -1
		                 : err_set(err, ERR_INVALID, "'scenarios' and 'files' are lists of texts");
	return s->n ? 0 : add_builtin(s, "all", err);
}

bool selection_needs_target(const struct selection *s)
{
	for (size_t i = 0; i < s->n; i++)
		if (s->scenarios[i]->needs_target)
			return true;
	return false;
}

void selection_free(struct selection *s)
{
	for (size_t i = 0; i < s->n; i++)
		scenario_free(s->scenarios[i]);
	free(s->scenarios);
	*s = (struct selection){0};
}
