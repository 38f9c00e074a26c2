#include "compose/image.h"
#include "compose/docker.h"
#include "compose/image_archive.h"
#include "compose/image_files.h"
#include "compose/image_prune.h"
#include "core/file.h"
#include "core/mem.h"
#include "core/proc.h"
#include "core/version.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#define TAG_DIGITS                                                                                           \
	10 /* with twelve, which are an image id to the docker client, it shows no name in `docker ps` */
#define TITLE "codefoundry"
#define KEPT 3 /* images of earlier builds */
#define KEPT_MS 600000
#define LATEST IMAGE_REPOSITORY ":latest"
#define EPOCH "1970-01-01T00:00:00Z"
#define SECOND_NS INT64_C(1000000000)
#define MEMORY_MAX (64u << 10)
#define GZIP_MS 120000

/* One image: files, the digest of their archive, the configuration that names that digest, its digest. */
struct image {
	struct image_files files;
	char key[SHA256_HEX + 1], layer[SHA256_HEX + 1], id[SHA256_HEX + 1];
	char *config, *reference;
};

static void image_free(struct image *image)
{
	image_files_free(&image->files);
	free(image->config);
	free(image->reference);
}
#define cleanup_image __attribute__((cleanup(image_free)))

/* GOARCH of this machine, as image configurations want it. */
static const char *architecture(void)
{
	static struct utsname name;
	if (uname(&name) || !strcmp(name.machine, "x86_64"))
		return "amd64";
	return !strcmp(name.machine, "aarch64") ? "arm64" : name.machine;
}

static cJSON *texts(const char *const *list)
{
	cJSON *array = json_array();
	for (; *list; list++)
		cJSON_AddItemToArray(array, cJSON_CreateString(*list));
	return array;
}

/* What the engine must know to run it (OCI image specification, config.md; Healthcheck is Docker's). */
static cJSON *run_config(void)
{
	/* A name is resolved in a thread that nothing can stop: with the defaults (5 s, twice) a part that looks for a service that is gone
	 * would outlive the time it has to end. */
	static const char *const env[] = {"PATH=/usr/bin", "STATE_DIR=" IMAGE_STATE_DIR, "ENGINE=process",
	                                  "RES_OPTIONS=timeout:1 attempts:1", NULL};
	static const char *const entrypoint[] = {"/usr/bin/codefoundry", NULL};
	static const char *const test[] = {"CMD", "/usr/bin/codefoundry", "health", "--self", NULL};
	cJSON *config = json_object(), *health = json_object(), *labels = json_object();
	cleanup_free char *user = mem_printf("%d:%d", IMAGE_UID, IMAGE_UID);
	json_add(health, "Test", texts(test));
	json_add(health, "Interval", cJSON_CreateNumber((double)(15 * SECOND_NS)));
	json_add(health, "Timeout", cJSON_CreateNumber((double)(5 * SECOND_NS)));
	json_add_int(health, "Retries", 3);
	json_add_text(labels, IMAGE_TITLE, TITLE);
	json_add_text(
	        labels, "org.opencontainers.image.description",
	        "Throw-away test environments: gateway, Telegram bot, built-in Telegram server, worker");
	json_add_text(labels, "org.opencontainers.image.version", version_text);
	json_add_text(labels, "org.opencontainers.image.revision", version_text);
	json_add_text(config, "User", user);
	json_add(config, "Env", texts(env));
	json_add(config, "Entrypoint", texts(entrypoint));
	json_add_text(config, "WorkingDir", "/");
	json_add(config, "Healthcheck", health);
	json_add(config, "Labels", labels);
	json_add_text(config, "StopSignal", "SIGTERM");
	return config;
}

static char *make_config(const char *layer)
{
	cleanup_json cJSON *config = json_object();
	cleanup_free char *diff = mem_printf("sha256:%s", layer);
	cJSON *rootfs = json_object(), *history = json_array(), *made = json_object();
	json_add_text(made, "created", EPOCH);
	json_add_text(made, "created_by", "codefoundry image build");
	cJSON_AddItemToArray(history, made);
	json_add_text(rootfs, "type", "layers");
	json_add(rootfs, "diff_ids", texts((const char *const[]){diff, NULL}));
	json_add_text(config, "architecture", architecture());
	json_add_text(config, "os", "linux");
	json_add_text(config, "created", EPOCH);
	json_add(config, "config", run_config());
	json_add(config, "rootfs", rootfs);
	json_add(config, "history", history);
	return json_print(config);
}

static int put_layer(struct archive *a, const struct image_files *files, struct err *err)
{
	for (size_t i = 0; i < files->n; i++)
		if (archive_add(a, &files->list[i], err))
			return -1;
	return archive_end(a, err);
}

/* Everything that follows from the content of the files. Reads them all. */
static int image_make(struct image *image, struct err *err)
{
	struct archive a = {.fd = -1};
	if (image_files_find(&image->files, true, err))
		return -1;
	a.sum = sha256_begin();
	int rc = put_layer(&a, &image->files, err);
	sha256_end(a.sum, image->layer);
	if (rc)
		return -1;
	image->config = make_config(image->layer);
	sha256_hex(image->config, strlen(image->config), image->id);
	image->reference = mem_printf(IMAGE_REPOSITORY ":%.*s", TAG_DIGITS, image->id);
	return 0;
}

/* -- the reference, remembered -- */

static char *remembered(const char *path, const char *key)
{
	cleanup_free char *text = NULL;
	size_t len = 0;
	struct err ignored = {0};
	if (file_read(path, MEMORY_MAX, &text, &len, &ignored))
		return NULL;
	cleanup_json cJSON *memory = json_parse(text, len, &ignored);
	const char *known = json_text(memory, "key"), *reference = json_text(memory, "reference");
	return known && reference && !strcmp(known, key) ? mem_strdup(reference) : NULL;
}

/* A cache that cannot be written only costs time. */
static void remember(const char *path, const char *key, const char *reference)
{
	cleanup_json cJSON *memory = json_object();
	struct err ignored = {0};
	json_add_text(memory, "key", key);
	json_add_text(memory, "reference", reference);
	cleanup_free char *text = json_print(memory);
	file_write(path, text, strlen(text), 0600, &ignored);
}

char *image_reference(const char *cache_dir, struct err *err)
{
	cleanup_image struct image quick = {0};
	cleanup_image struct image whole = {0};
	cleanup_free char *path = mem_printf("%s/image.json", cache_dir);
	if (dir_make(cache_dir, 0700, err) || image_files_find(&quick.files, false, err) ||
	    image_files_key(&quick.files, quick.key, err))
		return NULL;
	char *reference = remembered(path, quick.key);
	if (reference)
		return reference;
	if (image_make(&whole, err))
		return NULL;
	remember(path, quick.key, whole.reference);
	return TAKE(whole.reference);
}

/* -- the archive -- */

static int put_text(struct archive *a, const char *name, const char *text, struct err *err)
{
	if (archive_header(a, name, (int64_t)strlen(text), err) || archive_put(a, text, strlen(text), err))
		return -1;
	return archive_pad(a, err);
}

static char *make_manifest(const struct image *image, const char *config_name)
{
	cleanup_json cJSON *manifest = json_array();
	cJSON *one = json_object();
	json_add_text(one, "Config", config_name);
	json_add(one, "RepoTags", texts((const char *const[]){image->reference, LATEST, NULL}));
	json_add(one, "Layers", texts((const char *const[]){"layer.tar", NULL}));
	cJSON_AddItemToArray(manifest, one);
	return json_print(manifest);
}

/* In docker-save's format: manifest.json, <id>.json, layer.tar. ${*bytes} (may be NULL): its size. */
static int write_archive(const struct image *image, int fd, int64_t *bytes, struct err *err)
{
	struct archive out = {.fd = fd}, layer = {.fd = fd};
	char seen[SHA256_HEX + 1];
	cleanup_free char *name = mem_printf("%s.json", image->id), *manifest = make_manifest(image, name);
	if (put_text(&out, "manifest.json", manifest, err) || put_text(&out, name, image->config, err) ||
	    archive_header(&out, "layer.tar", archive_size(&image->files), err))
		return -1;
	layer.sum = sha256_begin();
	int rc = put_layer(&layer, &image->files, err);
	sha256_end(layer.sum, seen);
	if (rc)
		return -1;
	if (strcmp(seen, image->layer) != 0)
		return err_set(err, ERR_STATE, "image: a file changed while it was read: try again");
	out.bytes += layer.bytes; /* a multiple of a block */
	rc = archive_end(&out, err);
	if (bytes)
		*bytes = out.bytes;
	return rc;
}

/* Bytes of the layer as registries keep and send it: through gzip. */
static int64_t compressed_size(const struct image *image, const char *cache_dir, struct err *err)
{
	cleanup_free char *path = mem_printf("%s/layer.XXXXXX", cache_dir);
	cleanup_close int fd = mkostemp(path, O_CLOEXEC);
	if (fd < 0)
		return err_sys(err, errno, "image: write in %s", cache_dir);
	cleanup_free char *packed = mem_printf("%s.gz", path);
	struct archive layer = {.fd = fd};
	struct proc_spec spec = PROC_SPEC_INIT;
	struct proc_result r = {0};
	struct stat st = {0};
	spec.argv = (const char *const[]){"gzip", "-n", "--", path, NULL};
	int rc = put_layer(&layer, &image->files, err) || proc_run(&spec, NULL, GZIP_MS, 4096, &r, err);
	if (!rc && (r.status || stat(packed, &st)))
		rc = err_set(err, ERR_FAILED, "image: gzip: %s", r.errs);
	unlink(path);
	unlink(packed);
	proc_result_free(&r);
	return rc ? -1 : st.st_size;
}

int image_save(const char *path, const char *cache_dir, cJSON **info, struct err *err)
{
	cleanup_image struct image image = {0};
	int64_t bytes = 0, compressed = 0;
	struct stat st;
	if (dir_make(cache_dir, 0700, err) || image_make(&image, err))
		return -1;
	cleanup_close int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	if (fd < 0)
		return err_sys(err, errno, "image: write %s", path);
	if (write_archive(&image, fd, &bytes, err)) {
		if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode))
			unlink(path); /* half an archive is none */
		return -1;
	}
	if (!info)
		return 0;
	compressed = compressed_size(&image, cache_dir, err);
	if (compressed < 0)
		return -1;
	cleanup_free char *id = mem_printf("sha256:%s", image.id);
	*info = json_object();
	json_add_text(*info, "reference", image.reference);
	json_add_text(*info, "id", id);
	json_add_int(*info, "bytes", bytes);
	json_add_int(*info, "layer_bytes", archive_size(&image.files));
	json_add_int(*info, "compressed_bytes", compressed);
	json_add_int(*info, "files", (int64_t)image.files.n);
	return 0;
}

/* -- with the engine -- */

int image_present(const char *reference, struct err *err)
{
	cleanup_free char *name = docker_escape(reference), *path = mem_printf("/images/%s/json", name);
	struct err why = {0};
	cleanup_json cJSON *image = docker_get(path, &why);
	if (image)
		return 1;
	if (why.code == ERR_NOT_FOUND)
		return 0;
	*err = why;
	return err_wrap(err, "image %s", reference);
}

/* An archive without a name: nothing is left of it whatever happens. */
static int load(const struct image *image, const char *cache_dir, struct err *err)
{
	cleanup_free char *path = mem_printf("%s/archive.XXXXXX", cache_dir);
	cleanup_close int fd = mkostemp(path, O_CLOEXEC);
	if (fd < 0)
		return err_sys(err, errno, "image: write in %s", cache_dir);
	unlink(path);
	cleanup_free char *open_path = mem_printf("/proc/self/fd/%d", fd);
	return write_archive(image, fd, NULL, err) || docker_load(open_path, 0, err) ? -1 : 0;
}

static int name_it(const char *reference, const char *tag, struct err *err)
{
	cleanup_free char *name = docker_escape(reference),
	                  *path = mem_printf("/images/%s/tag?repo=" IMAGE_REPOSITORY "&tag=%s", name, tag);
	return docker_call("POST", path, NULL, 0, NULL, err) ? err_wrap(err, "image %s", reference) : 0;
}

int image_make_latest(const char *reference, struct err *err)
{
	return name_it(reference, "latest", err);
}

int image_ensure(const char *reference, const char *cache_dir, struct job *job, struct err *err)
{
	cleanup_image struct image image = {0};
	int present = image_present(reference, err);
	if (present)
		return present < 0 ? -1 : 0;
	if (job)
		job_progress(job, "image", 5, "Making the image %s.", reference);
	if (dir_make(cache_dir, 0700, err) || image_make(&image, err))
		return -1;
	if (strcmp(reference, image.reference) != 0 && strcmp(reference, LATEST) != 0)
		return err_set(
		        err, ERR_NOT_FOUND,
		        "the engine has no image %s, and this program makes %s: `docker pull` it, or unset "
		        "CODEFOUNDRY_IMAGE",
		        reference, image.reference);
	if (job && job_check(job, err))
		return -1;
	/* named once more: so the engine notes when, and the newest is known as such */
	if (load(&image, cache_dir, err) || name_it(reference, strchr(reference, ':') + 1, err))
		return -1;
	image_prune(TITLE, IMAGE_REPOSITORY, KEPT, KEPT_MS);
	return 0;
}
