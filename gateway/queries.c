#include "gateway/queries.h"
#include "core/clock.h"
#include "core/file.h"
#include "core/mem.h"
#include "gateway/projects.h"
#include "jobs/worker.h"
#include "sessions/session.h"
#include "testsuite/history.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>

#define LOG_LINES 30
#define JOBS_SHOWN 10

cJSON *query_help(struct state *st, const cJSON *args, const cJSON *runtime, struct err *err)
{
	(void)st, (void)args, (void)runtime, (void)err;
	cJSON *result = json_object(), *list = json_array();
	for (const struct command *c = commands; c->name; c++) {
		cJSON *entry = json_object();
		json_add_text(entry, "name", c->name);
		json_add_text(entry, "description", c->description);
		json_add_text(entry, "usage", c->usage);
		json_add_text(entry, "example", c->example);
		cJSON_AddItemToArray(list, entry);
	}
	json_add(result, "commands", list);
	return result;
}

/* A line "Key:   123 kB" of /proc/meminfo in bytes, 0 when it is not there. */
static double meminfo(const char *text, const char *key)
{
	const char *line = strstr(text, key);
	return line ? strtod(line + strlen(key), NULL) * 1024 : 0;
}

static cJSON *usage(double total, double used)
{
	cJSON *j = json_object();
	json_add_int(j, "total_bytes", (int64_t)total);
	json_add_int(j, "used_bytes", (int64_t)used);
	json_add_int(j, "percent", total > 0 ? (int64_t)(used * 100 / total) : 0);
	return j;
}

static cJSON *system_status(const struct state *st)
{
	cJSON *j = json_object();
	char text[4096];
	struct statvfs fs;
	if (file_peek("/proc/uptime", text, sizeof(text)) > 0)
		json_add_int(j, "uptime", (int64_t)strtod(text, NULL));
	if (file_peek("/proc/meminfo", text, sizeof(text)) > 0) {
		double total = meminfo(text, "MemTotal:");
		json_add(j, "memory_usage", usage(total, total - meminfo(text, "MemAvailable:")));
	}
	if (statvfs(st->dir, &fs) == 0) {
		double total = (double)fs.f_blocks * (double)fs.f_frsize;
		json_add(j, "disk_usage", usage(total, total - (double)fs.f_bfree * (double)fs.f_frsize));
	}
	return j;
}

static int add_jobs(struct state *st, cJSON *result, struct err *err)
{
	int64_t queued = 0, running = 0;
	cJSON *jobs = json_object();
	json_add(result, "jobs", jobs);
	if (db_get_int(st->db, &queued, err, "SELECT count(*) FROM jobs WHERE state = 'queued'", "") ||
	    db_get_int(st->db, &running, err, "SELECT count(*) FROM jobs WHERE state = 'running'", ""))
		return -1;
	json_add_int(jobs, "queued", queued);
	json_add_int(jobs, "running", running);
	return 0;
}

static int add_last_run(struct state *st, cJSON *result, struct err *err)
{
	cJSON *run;
	if (history_last(st, &run, err))
		return -1;
	if (!run)
		return 0;
	json_add_int(run, "id", json_int(run, "run_id", 0));
	json_add(result, "last_test_run", run);
	return 0;
}

/* A part that cannot be told now is left out and named in `problems`: status is asked when something is wrong. */
cJSON *query_status(struct state *st, const cJSON *args, const cJSON *runtime, struct err *err)
{
	(void)args;
	cJSON *result = json_object(), *problems = json_array(), *worker = json_object();
	cJSON *projects = projects_list(st, err);
	if (!projects)
		cJSON_AddItemToArray(problems, cJSON_CreateString(err->msg));
	cJSON *sessions = sessions_list(st, false, err);
	if (!sessions)
		cJSON_AddItemToArray(problems, cJSON_CreateString(err->msg));
	json_add(result, "gateway", cJSON_Duplicate(runtime, 1));
	json_add_bool(worker, "running", worker_alive(st));
	json_add(result, "worker", worker);
	json_add(result, "projects", projects ? projects : json_array());
	json_add(result, "sessions", sessions ? sessions : json_array());
	if (add_jobs(st, result, err) || add_last_run(st, result, err))
		cJSON_AddItemToArray(problems, cJSON_CreateString(err->msg));
	json_add(result, "system", system_status(st));
	json_add(result, "problems", problems);
	return result;
}

static cJSON *under(const char *key, cJSON *list)
{
	if (!list)
		return NULL;
	cJSON *result = json_object();
	json_add(result, key, list);
	return result;
}

cJSON *query_session_list(struct state *st, const cJSON *args, const cJSON *runtime, struct err *err)
{
	(void)runtime;
	return under("sessions", sessions_list(st, json_bool(args, "all", false), err));
}

cJSON *query_session_show(struct state *st, const cJSON *args, const cJSON *runtime, struct err *err)
{
	(void)runtime;
	return session_show(st, json_text(args, "name"), err);
}

cJSON *query_session_logs(struct state *st, const cJSON *args, const cJSON *runtime, struct err *err)
{
	(void)runtime;
	cJSON *result = under("lines", session_logs(st, json_text(args, "name"), json_text(args, "service"),
	                                            (int)json_int(args, "lines", LOG_LINES), err));
	if (result)
		json_add_text(result, "name", json_text(args, "name"));
	return result;
}

cJSON *query_project_list(struct state *st, const cJSON *args, const cJSON *runtime, struct err *err)
{
	(void)args, (void)runtime;
	return under("projects", projects_list(st, err));
}

cJSON *query_job_list(struct state *st, const cJSON *args, const cJSON *runtime, struct err *err)
{
	(void)runtime;
	return under("jobs", jobs_list(st, NULL, -1, (int)json_int(args, "limit", JOBS_SHOWN), err));
}

cJSON *query_job_show(struct state *st, const cJSON *args, const cJSON *runtime, struct err *err)
{
	(void)runtime;
	struct job_row row;
	if (jobs_get(st, json_int(args, "job", 0), &row, err))
		return NULL;
	cJSON *j = job_row_json(&row);
	job_row_free(&row);
	return j;
}

cJSON *query_job_cancel(struct state *st, const cJSON *args, const cJSON *runtime, struct err *err)
{
	int64_t id = json_int(args, "job", 0);
	if (jobs_cancel(st, id, json_text(runtime, "asked_by"), err))
		return NULL;
	cJSON *j = json_object();
	json_add_int(j, "job", id);
	json_add_bool(j, "cancel_requested", true);
	return j;
}
