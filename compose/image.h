/* The product's one image, for every role, made by the program of itself and of what the loader gave it: no registry, no builder,
 * no base image. Its tag is the digest of its content, so it is never stale. Loaded as an archive (docker save format). */
#ifndef COMPOSE_IMAGE_H
#define COMPOSE_IMAGE_H

#include "core/err.h"
#include "core/json.h"
#include "jobs/job.h"

#define IMAGE_REPOSITORY "codefoundry"
#define IMAGE_UID 65532 /* "nonroot" as in distroless images */
#define IMAGE_STATE_DIR "/var/lib/codefoundry"

/** The image's reference for this very program: "codefoundry:<10 hex>". Digests of files are remembered in ${cache_dir} by size and times. The
 * caller frees it; NULL with ${err} naming the file that is missing (busybox, ca-certificates, tzdata) and its package. */
char *image_reference(const char *cache_dir, struct err *err);

/** Whether the engine has ${reference}: 1, 0, or -1. */
int image_present(const char *reference, struct err *err);

/** Make it unless it is there, reporting on ${job} (may be NULL). Two that do so at once are fine. Blocks for seconds. */
int image_ensure(const char *reference, const char *cache_dir, struct job *job, struct err *err);

/** Let "codefoundry:latest" name ${reference}, which the engine has: for a compose file used by hand. */
int image_make_latest(const char *reference, struct err *err);

/** Write it as an archive for `docker load` to ${path}. ${*info} (may be NULL) gets {"reference","id","bytes","layer_bytes",
 * "compressed_bytes","files":n}. */
int image_save(const char *path, const char *cache_dir, cJSON **info, struct err *err);

#endif
