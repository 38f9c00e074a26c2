/* Images that are built for a session: each has its own, so that two sessions of one file do not build under each other's feet.
 * Odd rule: what is made from an image, a container or another image, inherits its labels. So an image has labels of its own, which say nothing
 * of a container, and is a session's only while it is called what its label says, or nothing at all. */
#ifndef COMPOSE_BUILT_H
#define COMPOSE_BUILT_H

#include "core/json.h"

#define BUILT_INSTALL "com.codefoundry.image.install"
#define BUILT_SESSION "com.codefoundry.image.session"
#define BUILT_NAME "com.codefoundry.image.name" /* what it is called */

/** What the image of ${service} of compose project ${project} is called: "codefoundry-demo-web"; a service whose name no image can
 * have gets a digest of it instead of what is odd. The caller frees it. */
char *built_name(const char *project, const char *service);

/** Whether ${image}, of docker_list()'s shape, is one that was built for a session, not one that somebody built on it. */
bool built_is(const cJSON *image);

/** Give ${image} the labels that other objects of its session have, for who looks by them. */
void built_relabel(cJSON *image);

/** Whether ${image} is called ${name}, in the version `latest`; a registry's name before it does not count. */
bool built_is_called(const cJSON *image, const char *name);

#endif
