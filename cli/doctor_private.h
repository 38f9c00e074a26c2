/* Between the files of doctor. */
#ifndef CLI_DOCTOR_PRIVATE_H
#define CLI_DOCTOR_PRIVATE_H

#include "core/config.h"
#include "core/json.h"
#include "jobs/state.h"

enum doctor_state { STATE_OK, STATE_WARN, STATE_BAD, STATE_UNUSED };

struct doctor {
	const struct config *cfg;
	struct state *st;   /* NULL: it could not be opened */
	const char *engine; /* the chosen one's name */
	bool compose;       /* it is */
	cJSON *docker;      /* docker_info(); NULL: it does not answer */
	cJSON *checks, *last;
	int bad;
};

/** Add a finding. */
void doctor_found(struct doctor *d, const char *check, enum doctor_state state, const char *fmt, ...)
        __attribute__((format(printf, 4, 5)));
/** Add advice to the last finding. */
void doctor_advise(struct doctor *d, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/** The state of something that only containers need and that is missing. */
enum doctor_state doctor_needed(const struct doctor *d);

/* Containers: doctor_containers.c. */
void doctor_check_docker(struct doctor *d);
void doctor_check_tools(struct doctor *d);
void doctor_check_image(struct doctor *d);

/* The machine: doctor_host.c. */
void doctor_check_state(struct doctor *d);
void doctor_check_disk(struct doctor *d);
void doctor_check_memory(struct doctor *d);
void doctor_check_cgroup(struct doctor *d);
void doctor_check_leases(struct doctor *d);
void doctor_check_clock(struct doctor *d);

#endif
