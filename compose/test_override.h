/* What an override is made of in tests: a project with each kind of thing, and what a session of it is given. */
#ifndef COMPOSE_TEST_OVERRIDE_H
#define COMPOSE_TEST_OVERRIDE_H

#include "compose/override.h"
#include "compose/test_docker.h"
#include "core/mem.h"
#include <string.h>

#define UUID "2b1f3c58-7a55-4a53-9d8e-0f6c1f1c9a11"
#define INSTALL "7d1e4c02-11aa-4f4e-8f0b-3a5b6c7d8e9f"

static struct err err;

static inline cJSON *parse(const char *text)
{
	cJSON *j = json_parse(text, strlen(text), &err);
	if (!j)
		fail_msg("%s in %s", err.msg, text);
	return j;
}

/* What a session of ${project} is given in most tests. */
struct fixture {
	cJSON *project, *ports, *subnets, *environment, *services;
	struct override o;
};

static inline void fixture_open(struct fixture *f, const char *project, const char *ports,
                                const char *subnets, const char *environment)
{
	*f = (struct fixture){.project = parse(project),
	                      .ports = parse(ports),
	                      .subnets = parse(subnets),
	                      .environment = parse(environment)};
	f->o = (struct override){.project = f->project,
	                         .name = "codefoundry-demo",
	                         .install = INSTALL,
	                         .uuid = UUID,
	                         .session = "demo",
	                         .expires_s = 1800000000,
	                         .ports = f->ports,
	                         .subnets = f->subnets,
	                         .environment = f->environment,
	                         .memory_mib = 1024,
	                         .cpu_percent = 100};
}

static inline void fixture_close(struct fixture *f)
{
	cJSON_Delete(f->project);
	cJSON_Delete(f->ports);
	cJSON_Delete(f->subnets);
	cJSON_Delete(f->environment);
	cJSON_Delete(f->services);
}

/* Each kind of limit a base may have; IMAGE stands for an image, TEST for the label's value. */
static const char project_text[] =
        "{\"provider\":\"docker-compose\",\"base\":{\"services\":{"
        "\"web\":{\"image\":\"IMAGE\",\"command\":[\"sleep\",\"600\"],\"mem_limit\":\"256m\",\"mem_"
        "reservation\":"
        "\"2g\",\"stop_grace_period\":\"0s\",\"environment\":{\"OWN\":\"1\"},\"labels\":{\"com.codefoundry."
        "test\":"
        "\"TEST\"},\"networks\":{\"default\":null,\"back\":null},\"volumes\":[\"state:/data\"]},"
        "\"db\":{\"image\":\"IMAGE\",\"command\":[\"sleep\",\"600\"],\"deploy\":{\"resources\":{\"limits\":{"
        "\"memory\":"
        "\"512M\",\"cpus\":0.2},\"reservations\":{\"memory\":\"64M\"}}},\"stop_grace_period\":\"0s\"},"
        "\"slow\":{\"image\":\"IMAGE\",\"command\":[\"sleep\",\"600\"],\"cpu_quota\":20000,\"pids_limit\":"
        "100,\"stop_grace_"
        "period\":"
        "\"0s\"},"
        "\"many\":{\"image\":\"IMAGE\",\"command\":[\"sleep\",\"600\"],\"deploy\":{\"replicas\":2},"
        "\"stop_grace_period\":\"0s\"}},"
        "\"networks\":{\"default\":{\"labels\":{\"com.codefoundry.test\":\"TEST\"}},\"back\":{\"internal\":"
        "true,"
        "\"driver_opts\":{\"com.docker.network.driver.mtu\":\"1400\"},\"labels\":{\"team\":\"a$$b\"}}},"
        "\"volumes\":{\"state\":{\"labels\":{\"com.codefoundry.test\":\"TEST\"}}}},"
        "\"services\":[{\"name\":\"web\",\"memory\":268435456},"
        "{\"name\":\"db\",\"memory\":536870912,\"cpus\":0.2},{\"name\":\"slow\",\"cpus\":0.2},"
        "{\"name\":\"many\",\"replicas\":2}],"
        "\"networks\":[\"default\",\"back\"],\"volumes\":[\"state\"]}";
static const char ports_text[] =
        "[{\"service\":\"web\",\"port\":20000,\"target\":80,\"protocol\":\"tcp\"},"
        "{\"service\":\"web\",\"port\":20001,\"target\":53,\"protocol\":\"udp\"}]";
static const char subnets_text[] =
        "{\"default\":\"10.213.0.64/26\",\"back\":\"10.213.0.128/26\"}";

/* The labels of everything. */
#define LABELS                                                                                               \
	"      \"com.codefoundry.install\": \"" INSTALL "\" # this installation\n"                           \
	"      \"com.codefoundry.session\": \"" UUID "\" # this session, whatever it is called\n"            \
	"      \"com.codefoundry.session.name\": \"demo\"\n"                                                 \
	"      \"com.codefoundry.expires\": \"1800000000\" # 2027-01-15 08:00:00 UTC, unless extended\n"

#define PIDS "    pids_limit: 4096 # processes and threads\n"
#define LOGGING                                                                                              \
	"    logging: # else it could fill the disk\n      driver: json-file\n      options:\n"              \
	"        max-size: \"10m\"\n        max-file: \"2\"\n"

#endif
