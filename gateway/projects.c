#include "gateway/projects.h"
#include "core/clock.h"
#include "core/file.h"
#include "core/mem.h"
#include "core/mutant.h"
#include "gateway/templates.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MARKER ".codefoundry.json" /* in each project: which job made it */
#define MARKER_MAX 4096

int project_name_check(const char *name, struct err *err)
{
	size_t n = name ? strlen(name) : 0;
	if (n < 1 || n > 50 || strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-") != n)
		return err_set(
		        err, ERR_INVALID,
		        "`%.60s` cannot name a project: use 1 to 50 of a-z, 0-9 and -, such as my-shop.",
		        name ? name : "");
	return 0;
}

static int framework_check(const char *framework, struct err *err)
{
	size_t n = framework ? strlen(framework) : 0;
	if (n > 40 ||
	    (n &&
	     strspn(framework, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789 ._+#/-") != n))
		return err_set(
		        err, ERR_INVALID,
		        "`%.60s` cannot name a framework: use up to 40 letters, digits and . _ + # / -.",
		        framework);
	return 0;
}

int project_args_check(const cJSON *args, struct err *err)
{
	const cJSON *options = json_at(args, "options");
	const char *type = json_text(args, "archetype");
	const struct project_template *t = template_find(type);
	if (project_name_check(json_text(args, "name"), err))
		return -1;
	if (!t)
		return err_set(err, ERR_INVALID, "There is no project type `%.40s`: use one of %s.",
		               type ? type : "", template_types());
	if (options && !cJSON_IsObject(options) && !cJSON_IsNull(options))
		return err_set(err, ERR_INVALID, "`options` must be an object, such as {\"port\": 8080}.");
	cleanup_json cJSON *values = template_options(t, options, err);
	return values ? framework_check(json_text(args, "framework"), err) : -1;
}

/* One attempt's view of the job. */
struct making {
	struct job *job;
	struct state *st;
	const char *name, *framework;
	const struct project_template *type;
	cJSON *values;   /* what the placeholders stand for */
	char *dir, *tmp; /* where it will be, where it is made */
	cJSON *files;
};

static void making_end(struct making *m)
{
	cJSON_Delete(m->values);
	cJSON_Delete(m->files);
	free(m->dir);
	free(m->tmp);
}

static int making_begin(struct making *m, struct job *job, struct err *err)
{
	const cJSON *args = job_args(job);
	*m = (struct making){.job = job, .st = job_state(job)};
	if (project_args_check(args, err))
		return -1;
	m->name = json_text(args, "name");
	m->framework = json_text(args, "framework");
	m->type = template_find(json_text(args, "archetype"));
	m->values = template_options(m->type, json_at(args, "options"), err);
	if (!m->values)
		return -1;
	json_add_text(m->values, "name", m->name);
	m->dir = state_path(m->st, "projects/%s", m->name);
	m->tmp = state_path(m->st, "projects/.new-%lld", (long long)job_id(job));
	m->files = json_array();
	cleanup_free char *projects = state_path(m->st, "projects");
	return dir_make(projects, 0700, err);
}

/* The job that made ${dir}, 0 when its marker does not tell. */
static int64_t made_by(const char *dir)
{
	struct err ignored;
	cleanup_free char *path = mem_printf("%s/" MARKER, dir), *text = NULL;
	size_t len;
	if (file_read(path, MARKER_MAX, &text, &len, &ignored))
		return 0;
	cleanup_json cJSON *marker = json_parse(text, len, &ignored);
	return json_int(marker, "job", 0);
}

static int has_row(struct making *m, bool *there, struct err *err)
{
	int64_t n = 0;
	if (db_get_int(m->st->db, &n, err, "SELECT count(*) FROM projects WHERE name = ?", "t", m->name))
		return -1;
	*there = n > 0;
	return 0;
}

/* Take away what an attempt of this job left, and nothing else: its temporary directory, and its project when the crash
 * fell between the rename and the commit. A committed project is ${*done}. */
static int clean_up(struct making *m, bool *done, struct err *err)
{
	bool row = false;
	if (has_row(m, &row, err) || tree_remove(m->tmp, err))
		return -1;
	bool ours = path_exists(m->dir) && made_by(m->dir) == job_id(m->job);
	*done = ours && row;
	return ours && !row ? tree_remove(m->dir, err) : 0;
}

static int write_one(struct making *m, const char *path, const char *data, size_t len, struct err *err)
{
	cleanup_free char *full = mem_printf("%s/%s", m->tmp, path), *dir = mem_strdup(full);
	*strrchr(dir, '/') = '\0';
	if (dir_make(dir, 0755, err) || file_write(full, data, len, 0644, err))
		return err_wrap(err, "write %s of project %s", path, m->name);
	if (strcmp(path, MARKER) != 0)
		cJSON_AddItemToArray(m->files, cJSON_CreateString(path));
	return 0;
}

static int write_marker(struct making *m, struct err *err)
{
	cleanup_json cJSON *marker = json_object();
	json_add_text(marker, "name", m->name);
	json_add_text(marker, "archetype", m->type->type);
	json_add_text(marker, "install", m->st->install);
	json_add_int(marker, "job", job_id(m->job));
	cleanup_free char *text = json_print_pretty(marker);
	return write_one(m, MARKER, text, strlen(text), err);
}

static int write_files(struct making *m, struct err *err)
{
	int n = 0;
	while (m->type->files[n].path)
		n++;
	for (int i = 0; i < n; i++) {
		cleanup_str struct str text = STR_INIT;
		const struct template_file *file = &m->type->files[i];
		if (MUTANT("new_forgets_the_tests") && strstr(file->path, "test_"))
			continue;
		job_progress(m->job, "files", 10 + 70 * i / n, "%s", file->path);
		template_render(file, m->values, &text);
		if (job_check(m->job, err) || write_one(m, file->path, str_text(&text), text.len, err))
			return -1;
	}
	return write_marker(m, err);
}

static int refuse_taken(struct making *m, struct err *err)
{
	return err_set(err, ERR_EXISTS,
	               "The project %s exists already: choose another name, or remove %s first.", m->name,
	               m->dir);
}

/* The rename happens inside the transaction: a crash after it and before the commit leaves a directory whose marker
 * names this job, which clean_up() takes away. */
static int publish(struct making *m, struct err *err)
{
	struct db *db = m->st->db;
	if (db_begin(db, err))
		return -1;
	/* A row whose directory a person removed gives its name back. */
	if (db_run(db, err, "DELETE FROM projects WHERE name = ?", "t", m->name) ||
	    db_run(db, err,
	           "INSERT INTO projects (name, archetype, framework, path, owner, created_at) VALUES (?, ?, "
	           "?, ?, ?, ?)",
	           "ttttti", m->name, m->type->type, m->framework, m->dir, job_owner(m->job), clock_now_ms()))
		goto fail;
	if (renameat2(AT_FDCWD, m->tmp, AT_FDCWD, m->dir, RENAME_NOREPLACE)) {
		if (errno == EEXIST || errno == ENOTEMPTY)
			refuse_taken(m, err);
		else
			err_sys(err, errno, "move the finished project to %s", m->dir);
		goto fail;
	}
	if (db_commit(db, err) == 0)
		return 0;
	struct err ignored;
	db_rollback(db);
	tree_remove(m->dir, &ignored);
	return -1;
fail:
	db_rollback(db);
	return -1;
}

static void tell_result(struct making *m)
{
	cJSON *result = json_object(), *options = cJSON_Duplicate(m->values, 1);
	cJSON_DeleteItemFromObject(options, "name");
	json_add_text(result, "project_name", m->name);
	json_add_text(result, "project_path", m->dir);
	json_add(result, "files_created", cJSON_Duplicate(m->files, 1));
	json_add_text(result, "archetype", m->type->type);
	if (m->framework)
		json_add_text(result, "framework", m->framework);
	json_add(result, "options", options);
	job_result(m->job, result);
}

static void list_files(struct making *m)
{
	for (const struct template_file *f = m->type->files; f->path; f++)
		cJSON_AddItemToArray(m->files, cJSON_CreateString(f->path));
}

static int create(struct making *m, struct err *err)
{
	bool done = false;
	if (clean_up(m, &done, err))
		return -1;
	if (done) { /* an earlier attempt got as far as the commit */
		list_files(m);
		return 0;
	}
	if (path_exists(m->dir))
		return refuse_taken(m, err);
	job_progress(m->job, "prepare", 5, "Making %s, a %s", m->name, m->type->title);
	if (write_files(m, err) || job_check(m->job, err))
		goto fail;
	job_progress(m->job, "publish", 90, "Putting it in place");
	if (publish(m, err))
		goto fail;
	return 0;
fail:;
	struct err ignored;
	tree_remove(m->tmp, &ignored);
	return -1;
}

static int run(struct job *job, struct err *err)
{
	struct making m;
	int failed = making_begin(&m, job, err);
	if (!failed)
		failed = create(&m, err);
	if (!failed) {
		tell_result(&m);
		job_progress(job, "done", 100, "%s is ready", m.name);
	}
	making_end(&m);
	return failed;
}

static int undo(struct job *job, struct err *err)
{
	struct making m;
	bool done;
	struct err invalid;
	int failed = 0;
	/* Arguments that were refused made nothing. */
	if (making_begin(&m, job, &invalid) == 0)
		failed = clean_up(&m, &done, err);
	making_end(&m);
	return failed;
}

const struct job_kind project_create_kind = {
        .name = "project.create",
        .run = run,
        .undo = undo,
        .max_attempts = 3,
        .timeout_ms = 60000,
};

cJSON *projects_list(struct state *st, struct err *err)
{
	cleanup_query struct query q = QUERY_INIT;
	cleanup_json cJSON *list = json_array();
	int row = 0;
	if (db_query(st->db, &q, err,
	             "SELECT name, archetype, framework, path, owner, created_at FROM projects ORDER BY "
	             "created_at DESC, name",
	             ""))
		return NULL;
	while ((row = query_next(&q, err)) == 1) {
		cJSON *project = json_object();
		json_add_text(project, "name", query_text(&q, 0));
		json_add_text(project, "archetype", query_text(&q, 1));
		json_add_text(project, "framework", query_text(&q, 2));
		json_add_text(project, "path", query_text(&q, 3));
		json_add_text(project, "owner", query_text(&q, 4));
		json_add_int(project, "created_at", query_int(&q, 5));
		cJSON_AddItemToArray(list, project);
	}
	return row < 0 ? NULL : TAKE(list);
}
