/* Making a project from a template, as a job. A project appears whole or not at all: files are written beside, then
 * renamed, and the row is committed with the rename; a crash at any instant is finished or undone by the next attempt. */
#ifndef GATEWAY_PROJECTS_H
#define GATEWAY_PROJECTS_H

#include "jobs/job.h"

/*
 * project.create {name, archetype, framework?, options?: {port?, python?}}
 *   → {project_name, project_path, files_created: [path], archetype, framework?, options}
 * ERR_EXISTS when the name is taken, ERR_INVALID for anything wrong with the arguments.
 */
extern const struct job_kind project_create_kind;

/** 0 when ${name} may name a project (^[a-z0-9-]{1,50}$), else -1 ERR_INVALID saying what is allowed. */
int project_name_check(const char *name, struct err *err);

/** All arguments of project.create, checked without touching anything: what the gateway asks before enqueueing. */
int project_args_check(const cJSON *args, struct err *err);

/** The projects as [{name, archetype, framework, path, owner, created_at}], newest first; NULL with ${err}. */
cJSON *projects_list(struct state *st, struct err *err);

#endif
