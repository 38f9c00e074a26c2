/* For tests of all floors that need the real engine: a small image of busybox, containers of it, and their removal. All that a
 * test makes carries the label com.codefoundry.test with a value of its own, and only that is ever removed. The image
 * is a docker-save archive made here, because no registry can be reached. */
#ifndef COMPOSE_TEST_DOCKER_H
#define COMPOSE_TEST_DOCKER_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
/* cmocka needs those above */
#include "compose/docker.h"
#include "core/file.h"
#include "core/id.h"
#include "core/mem.h"
#include "core/str.h"
#include "jobs/sha256.h"
#include <cmocka.h>
#include <string.h>
#include <unistd.h>

#define TEST_DOCKER __attribute__((unused)) static
#define TEST_DOCKER_BUSYBOX "/bin/busybox" /* of package busybox-static */

struct test_docker {
	char id[ID_UUID_LEN + 1];
	char label[80];  /* "com.codefoundry.test=<id>" */
	char image[80];  /* "codefoundry-test-<id>:1"; "" until test_docker_image */
	char prefix[20]; /* begins the names of its objects: "cft-<8 digits>-" */
};

/** What the helpers below need; nothing is made yet. */
TEST_DOCKER void test_docker_open(struct test_docker *t)
{
	*t = (struct test_docker){0};
	id_uuid(t->id);
	snprintf(t->label, sizeof(t->label), "com.codefoundry.test=%s", t->id);
	snprintf(t->prefix, sizeof(t->prefix), "cft-%.8s-", t->id);
}

/* ---- the archive ---- */

/* One entry of a ustar archive; ${link}: a symbolic link to it. */
TEST_DOCKER void test_docker_tar(struct str *tar, const char *name, const char *link, const void *data,
                                 size_t len)
{
	static const char zeros[512];
	char head[512] = {0};
	unsigned sum = 0;

	snprintf(head, 100, "%s", name);
	snprintf(head + 100, 8, "%07o", name[strlen(name) - 1] == '/' || link ? 0777 : 0755);
	snprintf(head + 108, 8, "%07o", 0);
	snprintf(head + 116, 8, "%07o", 0);
	snprintf(head + 124, 12, "%011o", (unsigned)len);
	snprintf(head + 136, 12, "%011o", 0);
	head[156] = link ? '2' : name[strlen(name) - 1] == '/' ? '5' : '0';
	snprintf(head + 157, 100, "%s", link ? link : "");
	memcpy(head + 257, "ustar\00000", 8);
	memset(head + 148, ' ', 8);
	for (size_t i = 0; i < sizeof(head); i++)
		sum += (unsigned char)head[i];
	snprintf(head + 148, 8, "%06o", sum);
	str_addn(tar, head, sizeof(head));
	if (len)
		str_addn(tar, data, len);
	str_addn(tar, zeros, (512 - len % 512) % 512);
}

TEST_DOCKER void test_docker_tar_end(struct str *tar)
{
	static const char zeros[1024];
	str_addn(tar, zeros, sizeof(zeros));
}

/* Busybox under the names that tests use, and what a small system has besides. */
TEST_DOCKER void test_docker_layer(struct str *tar)
{
	static const char *const applets[] = {"sh",     "sleep", "echo", "cat",  "true",  "false", "kill",
	                                      "ls",     "env",   "seq",  "test", "touch", "mkdir", "rm",
	                                      "printf", "id",    "ps",   "nc",   "httpd", "wget",  "head"};
	static const char users[] = "root:x:0:0:root:/:/bin/sh\n", groups[] = "root:x:0:\n";
	cleanup_free char *busybox = NULL;
	size_t len = 0;
	struct err err;

	if (file_read(TEST_DOCKER_BUSYBOX, 8 << 20, &busybox, &len, &err))
		fail_msg("%s", err.msg);
	test_docker_tar(tar, "bin/", NULL, NULL, 0);
	test_docker_tar(tar, "bin/busybox", NULL, busybox, len);
	for (size_t i = 0; i < ARRAY_LEN(applets); i++) {
		cleanup_free char *name = mem_printf("bin/%s", applets[i]);
		test_docker_tar(tar, name, "busybox", NULL, 0);
	}
	test_docker_tar(tar, "tmp/", NULL, NULL, 0);
	test_docker_tar(tar, "etc/", NULL, NULL, 0);
	test_docker_tar(tar, "etc/passwd", NULL, users, sizeof(users) - 1);
	test_docker_tar(tar, "etc/group", NULL, groups, sizeof(groups) - 1);
	test_docker_tar_end(tar);
}

TEST_DOCKER void test_docker_archive(const struct test_docker *t, struct str *archive)
{
	struct str layer = STR_INIT;
	char hex[SHA256_HEX + 1];

	test_docker_layer(&layer);
	sha256_hex(layer.p, layer.len, hex);
	cleanup_free char *config = mem_printf(
	        "{\"architecture\":\"amd64\",\"os\":\"linux\",\"config\":{\"Env\":[\"PATH=/bin\"],\"Labels\":"
	        "{\"com.codefoundry.test\":\"%s\"}},\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[\"sha256:%"
	        "s\"]},\"history\":[{\"created_by\":\"test\"}]}",
	        t->id, hex);
	cleanup_free char *manifest = mem_printf(
	        "[{\"Config\":\"config.json\",\"RepoTags\":[\"%s\"],\"Layers\":[\"layer.tar\"]}]", t->image);
	test_docker_tar(archive, "config.json", NULL, config, strlen(config));
	test_docker_tar(archive, "layer.tar", NULL, layer.p, layer.len);
	test_docker_tar(archive, "manifest.json", NULL, manifest, strlen(manifest));
	test_docker_tar_end(archive);
	str_free(&layer);
}

/** Make the image ${t->image}: busybox (sh, sleep, cat, nc, httpd, wget, …) with PATH=/bin and no command. */
TEST_DOCKER void test_docker_image(struct test_docker *t)
{
	struct str archive = STR_INIT;
	char path[] = "/tmp/codefoundry-test.XXXXXX";
	int fd = mkstemp(path);
	struct err err;

	snprintf(t->image, sizeof(t->image), "codefoundry-test-%s:1", t->id);
	test_docker_archive(t, &archive);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, archive.p, archive.len), archive.len);
	close(fd);
	int rc = docker_load(path, 0, &err);
	unlink(path);
	str_free(&archive);
	if (rc)
		fail_msg("%s", err.msg);
}

/* ---- containers ---- */

/** Create (and with ${run} start) a container of the image named "<prefix><name>" that runs `sh -c ${script}`, with the test's label and
 * those of ${labels} ("key=value", NULL-terminated; may be NULL). ${more} (JSON text of an object, may be NULL) adds to what is sent,
 * as {"Tty":true,"Healthcheck":{…}}. Returns its id; the caller frees it. */
TEST_DOCKER char *test_docker_container(const struct test_docker *t, const char *name, const char *script,
                                        const char *const labels[], const char *more, bool run)
{
	cJSON *body = more ? cJSON_Parse(more) : json_object(), *label = json_object(), *made = NULL;
	const char *cmd[] = {"/bin/sh", "-c", script};
	cleanup_free char *path = mem_printf("/containers/create?name=%s%s", t->prefix, name);
	struct err err;

	assert_non_null(body);
	json_add_text(body, "Image", t->image);
	json_add(body, "Cmd", cJSON_CreateStringArray(cmd, ARRAY_LEN(cmd)));
	json_add_text(label, "com.codefoundry.test", t->id);
	for (const char *const *l = labels; l && *l; l++) {
		const char *value = strchr(*l, '=');
		cleanup_free char *key = value ? mem_strndup(*l, (size_t)(value - *l)) : mem_strdup(*l);
		json_add_text(label, key, value ? value + 1 : "");
	}
	json_add(body, "Labels", label);
	if (docker_call("POST", path, body, 0, &made, &err))
		fail_msg("%s", err.msg);
	char *id = mem_strdup(json_text_or(made, "Id", ""));
	cleanup_free char *start = mem_printf("/containers/%s/start", id);
	if (run && docker_call("POST", start, NULL, 0, NULL, &err))
		fail_msg("%s", err.msg);
	cJSON_Delete(made);
	cJSON_Delete(body);
	return id;
}

/** Wait until the container has ended; returns its exit code. */
TEST_DOCKER int test_docker_wait(const char *id)
{
	cleanup_free char *path = mem_printf("/containers/%s/wait", id);
	cJSON *ended = NULL;
	struct err err;

	if (docker_call("POST", path, NULL, 0, &ended, &err))
		fail_msg("%s", err.msg);
	int code = (int)json_int(ended, "StatusCode", -1);
	cJSON_Delete(ended);
	return code;
}

/** Number of objects of all kinds but images with the test's label. */
TEST_DOCKER int test_docker_count(const struct test_docker *t)
{
	int n = 0;

	for (int kind = 0; kind < DOCKER_IMAGE; kind++) {
		struct err err;
		cJSON *list = docker_list(kind, (const char *const[]){t->label, NULL}, &err);
		if (!list)
			fail_msg("%s", err.msg);
		n += cJSON_GetArraySize(list);
		cJSON_Delete(list);
	}
	return n;
}

/** Remove every object with the test's label, and its image. Never fails: it also runs after a failed test. */
TEST_DOCKER void test_docker_close(const struct test_docker *t)
{
	for (int kind = 0; kind < DOCKER_KINDS; kind++) {
		struct err err;
		cJSON *list = docker_list(kind, (const char *const[]){t->label, NULL}, &err);
		for (const cJSON *o = list ? list->child : NULL; o; o = o->next)
			if (docker_remove(kind, json_text_or(o, "id", ""), &err))
				print_error("%s\n", err.msg);
		cJSON_Delete(list);
	}
	if (*t->image) {
		cleanup_free char *path = mem_printf("/images/%s?force=1", t->image);
		struct err err;
		if (docker_call("DELETE", path, NULL, 0, NULL, &err) && err.code != ERR_NOT_FOUND)
			print_error("%s\n", err.msg);
	}
}

#endif
