/* Loading with both generations of the real tool, and what is kept of it. */
#include "compose/compose_testing.h"
#include "compose/project.h"
#include "compose/project_cache.h"
#include "compose/test_docker.h"
#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>

static char *cache_of(const struct test_dir *d)
{
	return mem_printf("%s/cache", d->path);
}

static cJSON *load(const struct test_dir *d, const struct provider *p, const char *file, const char *env_file)
{
	cleanup_free char *cache = cache_of(d);
	cJSON *project = NULL;
	const struct project_ask ask = {.provider = p,
	                                .files = (const char *const[]){file, NULL},
	                                .env_file = env_file,
	                                .cache_dir = cache};
	assert_ok(!(project = project_load(&ask, err)));
	assert_ok(project_verdict(project, err));
	return project;
}

static struct err refusal(const struct test_dir *d, const struct provider *p, const char *file)
{
	cleanup_free char *cache = cache_of(d);
	struct err err = {0};
	const struct project_ask ask = {
	        .provider = p, .files = (const char *const[]){file, NULL}, .cache_dir = cache};
	cleanup_json cJSON *project = project_load(&ask, &err);
	if (project && project_verdict(project, &err) == 0) {
		cleanup_free char *text = json_print(project);
		fail_msg("%s took %s", p->name, text);
	}
	return err;
}

/* A tool that must not be asked: what is loaded with it was kept. */
static struct provider not_to_be_asked(struct provider p)
{
	static const char *const none[] = {"/nonexistent/compose", NULL};
	p.command = none;
	return p;
}

static bool is_kept(const struct test_dir *d, const struct provider *p, const char *file,
                    const char *env_file)
{
	cleanup_free char *cache = cache_of(d);
	struct provider silent = not_to_be_asked(*p);
	struct err err = {0};
	const struct project_ask ask = {.provider = &silent,
	                                .files = (const char *const[]){file, NULL},
	                                .env_file = env_file,
	                                .cache_dir = cache};
	cleanup_json cJSON *project = project_load(&ask, &err);
	return project != NULL;
}

static void assert_tree(const cJSON *got, const char *want)
{
	cleanup_free char *text = json_print(got);
	assert_string_equal(text, want);
}

/* -- what the tools print -- */

static const char rich[] =
        "services:\n"
        "  web:\n"
        "    image: web:1\n"
        "    container_name: fixed\n"
        "    command: [sh, -c, \"echo $$HOME $$$$ ${TAG}\"]\n"
        "    environment: {DIGEST: \"123e45\", BIG: \"12345678901234567890\", OLD: \"010\", ANSWER: \"yes\", "
        "EMPTY: \"\"}\n"
        "    ports: [\"8080:80\", \"127.0.0.1:9000-9001:9000-9001/udp\", \"3000\", \"127.0.0.1::7000\", "
        "\"[::1]:6000:6000\",\n"
        "            \"5000-5001\", {target: 443, published: 8443, protocol: tcp, mode: host}]\n"
        "    networks: {front: {ipv4_address: 10.5.0.5, aliases: [w]}}\n"
        "    volumes: [\"data:/data\", \"./sub:/sub:ro\", \"/anonymous\"]\n"
        "    mem_limit: 128m\n"
        "    healthcheck: {test: [CMD, \"true\"], interval: 5s}\n"
        "    depends_on: {db: {condition: service_started}}\n"
        "    secrets: [s]\n"
        "  db:\n"
        "    image: db:1\n"
        "    restart: always\n"
        "    labels: {com.codefoundry.role: gateway}\n"
        "  debug: {image: debug, profiles: [debug]}\n"
        "  ollama: {image: ollama, profiles: [ai, all]}\n"
        "networks: {front: {name: frontname, internal: true, ipam: {config: [{subnet: 10.5.0.0/24}]}}}\n"
        "volumes: {data: {name: dataname, labels: {l: \"1\"}}}\n"
        "secrets: {s: {file: ./sub/secret}}\n";

static void both_say_the_same(void **data)
{
	struct test_dir *d = *data;
	cleanup_free char *file = test_dir_write(d, "docker-compose.yml", rich),
	                  *env = test_dir_write(d, ".env", "TAG=a$b\nCOMPOSE_PROFILES=x,ai\n");
	for (size_t i = 0; i < ARRAY_LEN(generations); i++) {
		struct provider p = generation(i);
		cleanup_json cJSON *got = load(d, &p, file, NULL);
		const cJSON *base = json_at(got, "base"), *services = json_at(base, "services");
		const cJSON *web = json_at(services, "web");
		assert_tree(
		        json_at(got, "services"),
		        "[{\"name\":\"db\",\"role\":\"gateway\",\"image\":\"db:1\",\"build\":false,"
		        "\"healthcheck\":false,"
		        "\"oneshot\":false,\"replicas\":1,\"ports\":[]},"
		        "{\"name\":\"ollama\",\"image\":\"ollama\",\"build\":false,\"healthcheck\":false,"
		        "\"oneshot\":true,"
		        "\"replicas\":1,\"ports\":[]},"
		        "{\"name\":\"web\",\"image\":\"web:1\",\"build\":false,\"healthcheck\":true,"
		        "\"oneshot\":false,"
		        "\"replicas\":1,\"memory\":134217728,\"ports\":[{\"target\":80,\"protocol\":\"tcp\"},"
		        "{\"target\":9000,\"protocol\":\"udp\"},{\"target\":9001,\"protocol\":\"udp\"},"
		        "{\"target\":3000,\"protocol\":\"tcp\"},{\"target\":7000,\"protocol\":\"tcp\"},"
		        "{\"target\":6000,\"protocol\":\"tcp\"},{\"target\":5000,\"protocol\":\"tcp\"},"
		        "{\"target\":5001,\"protocol\":\"tcp\"},{\"target\":443,\"protocol\":\"tcp\"}]}]");
		assert_tree(json_at(got, "networks"), "[\"default\",\"front\"]");
		assert_tree(json_at(got, "volumes"), "[\"data\",\"anonymous-web-1\"]");
		assert_tree(json_at(base, "networks.front"), "{\"internal\":true}");
		assert_tree(json_at(base, "volumes.data"), "{\"labels\":{\"l\":\"1\"}}");
		assert_tree(json_at(web, "networks"), "{\"front\":{\"aliases\":[\"w\"]}}");
		/* texts stay what they are, whichever way YAML would read them */
		const cJSON *environment = json_at(web, "environment");
		assert_string_equal(json_text(environment, "DIGEST"), "123e45");
		assert_string_equal(json_text(environment, "BIG"), "12345678901234567890");
		assert_string_equal(json_text(environment, "OLD"), "010");
		assert_string_equal(json_text(environment, "ANSWER"), "yes");
		assert_string_equal(json_text(environment, "EMPTY"), "");
		/* doubled, because it will be read by the tool again */
		assert_non_null(strstr(json_text(web, "command.2"), "echo $$HOME $$$$ a"));
		assert_null(json_at(base, "name"));
		assert_string_equal(json_text(got, "provider"), p.name);
		assert_int_equal(json_bool(got, "json", !p.json), p.json);
		for (const char *const *gone =
		             (const char *const[]){"ports", "container_name", "profiles", NULL};
		     *gone; gone++)
			for (const cJSON *s = services->child; s; s = s->next)
				assert_null(json_at(s, *gone));
	}
}

/* The frozen file means to the tool what the first one meant, and freezing it again changes nothing. */
static void frozen_is_stable(void **data)
{
	struct test_dir *d = *data;
	cleanup_free char *file = test_dir_write(d, "docker-compose.yml", rich);
	for (size_t i = 0; i < ARRAY_LEN(generations); i++) {
		struct provider p = generation(i);
		cleanup_json cJSON *once = load(d, &p, file, NULL), *none = NULL;
		cleanup_free char *text = json_print(json_at(once, "base"));
		cleanup_free char *frozen = test_dir_write(d, "compose.yml", text);
		cleanup_json cJSON *twice = load(d, &p, frozen, NULL);
		if (!cJSON_Compare(json_at(once, "base"), json_at(twice, "base"), true)) {
			cleanup_free char *a = json_print(json_at(once, "base")),
			                  *b = json_print(json_at(twice, "base"));
			fail_msg("%s\n%s", a, b);
		}
	}
}

/* Two copies at once, and what the engine was told to run. */
static void copies_live_side_by_side(void **data)
{
	struct test_dir *d = *data;
	struct test_docker t;
	test_docker_open(&t);
	test_docker_image(&t);
	cleanup_free char *label = mem_printf("{com.codefoundry.test: %s}", t.id);
	cleanup_free char *text =
	        mem_printf("services:\n"
	                   "  web:\n"
	                   "    image: %s\n"
	                   "    container_name: %sfixed\n"
	                   "    command: [sh, -c, \"echo $$HOME $$$$\"]\n"
	                   "    labels: %s\n"
	                   "    ports: [\"127.0.0.1:1:80\"]\n"
	                   "    volumes: [\"data:/data\"]\n"
	                   "    networks: [front]\n"
	                   "networks: {front: {name: %sfront, internal: true, labels: %s}}\n"
	                   "volumes: {data: {name: %sdata, labels: %s}}\n",
	                   t.image, t.prefix, label, t.prefix, label, t.prefix, label);
	cleanup_free char *file = test_dir_write(d, "docker-compose.yml", text);
	for (size_t i = 0; i < ARRAY_LEN(generations); i++) {
		struct provider p = generation(i);
		cleanup_json cJSON *project = load(d, &p, file, NULL);
		cleanup_free char *base = json_print(json_at(project, "base"));
		cleanup_free char *frozen = test_dir_write(d, "compose.yml", base);
		for (int copy = 0; copy < 2; copy++) {
			cleanup_free char *name = mem_printf("%s%zu-%d", t.prefix, i, copy);
			struct provider_call call = {.project = name,
			                             .files = (const char *const[]){frozen, NULL},
			                             .args = (const char *const[]){"up", "--no-start", NULL}};
			assert_ok(provider_run(&p, &call, NULL, err));
		}
	}
	cleanup_json cJSON *containers = NULL;
	assert_ok(!(containers = docker_list(DOCKER_CONTAINER, (const char *const[]){t.label, NULL}, err)));
	assert_int_equal(cJSON_GetArraySize(containers), 4);
	assert_int_equal(test_docker_count(&t), 12);
	for (const cJSON *c = containers->child; c; c = c->next) {
		cleanup_free char *path = mem_printf("/containers/%s/json", json_text(c, "id"));
		cleanup_json cJSON *info = NULL;
		assert_ok(!(info = docker_get(path, err)));
		assert_tree(json_at(info, "Config.Cmd"), "[\"sh\",\"-c\",\"echo $HOME $$\"]");
		assert_null(json_at(info, "HostConfig.PortBindings")->child);
	}
	test_docker_close(&t);
	assert_int_equal(test_docker_count(&t), 0);
}

static void built_in_stack(void **data)
{
	struct test_dir *d = *data;
	cleanup_free char *cache = cache_of(d);
	for (size_t i = 0; i < ARRAY_LEN(generations); i++) {
		struct provider p = generation(i), silent = not_to_be_asked(p);
		cleanup_json cJSON *got = NULL, *again = NULL;
		struct project_ask ask = {.provider = &p, .image = "codefoundry:0123", .cache_dir = cache};
		assert_ok(!(got = project_load(&ask, err)));
		assert_ok(project_verdict(got, err));
		cleanup_str struct str all = STR_INIT;
		const cJSON *s;
		cJSON_ArrayForEach(s, json_at(got, "services"))
		{
			assert_string_equal(json_text(s, "image"), "codefoundry:0123");
			str_addf(&all, "%s=%s ", json_text(s, "name"), json_text(s, "role"));
		}
		assert_string_equal(str_text(&all),
		                    "gateway=gateway telegram=telegram telegram-bot=telegram-bot "
		                    "test-runner=test-runner ");
		assert_tree(json_at(got, "files"), "[]");
		assert_tree(json_at(got, "networks"), "[\"net\"]");
		assert_tree(json_at(got, "volumes"), "[\"state\"]");
		ask.provider = &silent;
		assert_ok(!(again = project_load(&ask, err)));
		assert_true(cJSON_Compare(got, again, true));
		struct err err = {0};
		ask.image = "codefoundry:4567";
		assert_null(project_load(&ask, &err));
	}
}

static void what_is_refused(void **data)
{
	struct test_dir *d = *data;
	static const struct {
		const char *text, *word;
	} cases[] = {
	        {"services:\n  web: {image: x, privileged: true}\n", "service web: privileged"},
	        {"services:\n  web: {image: x, volumes: [\"/etc:/e\"]}\n", "/etc lies outside"},
	        {"services:\n  web: {image: x, volumes: [\"~/x:/e\"]}\n", "lies outside"},
	        {"services:\n  web: {image: x, network_mode: host}\n", "network_mode host"},
	        {"services:\n  web: {image: x, volumes: [\"data:/v\"]}\nvolumes: {data: {external: true}}\n",
	         "volume data: external"},
	        {"services:\n  web: {image: x}\nnetworks: {default: {external: true, name: n}}\n",
	         "network default: external"},
	        {"services:\n  web: {image: x, ports: [\"80:80/sctp\"]}\n", "service web: port"},
	        {"services:\n  web: {image: x, depends_on: [db]}\n  db: {image: x, profiles: [p]}\n", "db"},
	        {"services:\n  web: {build: ..}\n", "service web: build /"},
	        {"services:\n  web: {build: {context: ., dockerfile: /etc/shadow}}\n",
	         "/etc/shadow lies outside"},
	        {"services:\n  web: {image: x}\n  --build: {image: x}\n", "--build"},
	        {"services:\n  web: {image: x, volumes: [\"data:/v\"]}\n"
	         "volumes: {data: {driver_opts: {type: overlay, device: overlay, o: "
	         "\"lowerdir=/etc:/usr\"}}}\n",
	         "volume data: driver_opts overlay"},
	        {"services:\n  web: {imagination: x}\n", "imagination"},
	        {"services: [\n", "docker-compose.yml"},
	        {"just text\n", "docker-compose.yml"},
	};
	for (size_t k = 0; k < ARRAY_LEN(cases); k++) {
		cleanup_free char *file = test_dir_write(d, "docker-compose.yml", cases[k].text);
		for (size_t i = 0; i < ARRAY_LEN(generations); i++) {
			struct provider p = generation(i);
			struct err err = refusal(d, &p, file);
			if (err.code != ERR_INVALID || strncmp(err.msg, file, strlen(file)) != 0 ||
			    !strstr(err.msg, cases[k].word))
				fail_msg("%s: %s: %s", cases[k].text, err_name(err.code), err.msg);
			assert_false(is_kept(d, &p, file, NULL));
		}
	}
	struct provider p = generation(0);
	assert_int_equal(refusal(d, &p, "/nonexistent/docker-compose.yml").code, ERR_NOT_FOUND);
	assert_int_equal(refusal(d, &p, "docker-compose.yml").code, ERR_INVALID);
}

/* -- what is kept -- */

#define SIMPLE "services:\n  web:\n    image: \"x:${TAG:-1}\"\n    environment: [PASSED]\n"

static void kept_until_something_changes(void **data)
{
	struct test_dir *d = *data;
	struct provider p = generation(1), other;
	cleanup_free char *file = test_dir_write(d, "docker-compose.yml", SIMPLE),
	                  *env_file = test_dir_write(d, "more.env", "TAG=5\n");
	cleanup_json cJSON *first = load(d, &p, file, NULL), *second = NULL;
	struct provider silent = not_to_be_asked(p);
	second = load(d, &silent, file, NULL);
	assert_true(cJSON_Compare(first, second, true));

	setenv("UNRELATED_TO_IT", "1", 1);
	assert_true(is_kept(d, &p, file, NULL));
	unsetenv("UNRELATED_TO_IT");
	for (const char *const *name = (const char *const[]){"TAG", "PASSED", NULL}; *name; name++) {
		setenv(*name, "7", 1);
		assert_false(is_kept(d, &p, file, NULL));
		unsetenv(*name);
	}
	assert_false(is_kept(d, &p, file, env_file));
	cleanup_json cJSON *with_env = load(d, &p, file, env_file);
	assert_string_equal(json_text(with_env, "services.0.image"), "x:5");
	assert_true(is_kept(d, &p, file, env_file));
	cleanup_free char *changed = test_dir_write(d, "more.env", "TAG=6\n");
	assert_false(is_kept(d, &p, file, env_file));
	cleanup_free char *dotenv = test_dir_write(d, ".env", "TAG=8\n");
	assert_false(is_kept(d, &p, file, NULL));
	unlink(dotenv);
	other = p;
	snprintf(other.version, sizeof(other.version), "9.9");
	assert_false(is_kept(d, &other, file, NULL));
	other = generation(0);
	assert_false(is_kept(d, &other, file, NULL));
	assert_true(is_kept(d, &p, file, NULL));
	cleanup_free char *edited = test_dir_write(d, "docker-compose.yml", SIMPLE "    restart: always\n");
	assert_false(is_kept(d, &p, file, NULL));
}

static void files_that_name_others_are_not_kept(void **data)
{
	struct test_dir *d = *data;
	cleanup_free char *other = test_dir_write(d, "e.env", "A=1\n");
	cleanup_free char *file = test_dir_write(d, "docker-compose.yml",
	                                         "services:\n  web:\n    image: x\n    env_file: e.env\n");
	for (size_t i = 0; i < ARRAY_LEN(generations); i++) {
		struct provider p = generation(i);
		cleanup_json cJSON *one = load(d, &p, file, NULL);
		assert_string_equal(json_text(one, "base.services.web.environment.A"), "1");
		assert_false(is_kept(d, &p, file, NULL));
	}
}

/* The kept file that is there; the caller frees its path. */
static char *kept_file(const struct test_dir *d)
{
	cleanup_free char *cache = cache_of(d);
	char *path = NULL;
	DIR *dir = opendir(cache);
	assert_non_null(dir);
	for (struct dirent *e; (e = readdir(dir));) {
		if (e->d_name[0] == '.')
			continue;
		assert_null(path);
		path = mem_printf("%s/%s", cache, e->d_name);
	}
	closedir(dir);
	return path;
}

static void damaged_is_not_kept(void **data)
{
	struct test_dir *d = *data;
	struct provider p = generation(1);
	cleanup_free char *file = test_dir_write(d, "docker-compose.yml", SIMPLE), *text = NULL;
	cJSON_Delete(load(d, &p, file, NULL));
	cleanup_free char *kept = kept_file(d), *cache = cache_of(d);
	struct stat st;
	assert_int_equal(stat(kept, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_equal(stat(cache, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0700);
	size_t len;
	assert_ok(file_read(kept, 1 << 20, &text, &len, err));
	for (size_t at = 0; at < len; at += 7) {
		cleanup_free char *bad = mem_strdup(text);
		bad[at] ^= 1;
		assert_ok(file_write(kept, bad, len, 0600, err));
		assert_false(is_kept(d, &p, file, NULL));
		assert_ok(file_write(kept, text, at, 0600, err));
		assert_false(is_kept(d, &p, file, NULL));
	}
	/* and is mended */
	cJSON_Delete(load(d, &p, file, NULL));
	assert_true(is_kept(d, &p, file, NULL));
}

/* What was fine may be a link out of the directory now. */
static void links_are_followed_each_time(void **data)
{
	struct test_dir *d = *data;
	struct provider p = generation(1);
	cleanup_free char *sub = mem_printf("%s/sub", d->path);
	cleanup_free char *file = test_dir_write(d, "docker-compose.yml",
	                                         "services:\n  web: {image: x, volumes: [\"./sub:/s\"]}\n");
	assert_int_equal(mkdir(sub, 0700), 0);
	cJSON_Delete(load(d, &p, file, NULL));
	assert_true(is_kept(d, &p, file, NULL));
	assert_int_equal(rmdir(sub), 0);
	assert_int_equal(symlink("/etc", sub), 0);
	assert_false(is_kept(d, &p, file, NULL));
	assert_int_equal(refusal(d, &p, file).code, ERR_INVALID);
}

static void the_oldest_go(void **data)
{
	struct test_dir *d = *data;
	cleanup_json cJSON *one = cJSON_Parse("{\"base\":{}}");
	for (int i = 0; i < PROJECT_CACHE_MAX + 5; i++) {
		cleanup_free char *key = mem_printf("%d", i), *path = mem_printf("%s/%d.project", d->path, i);
		project_cache_put(d->path, key, one);
		/* file times are coarse: give each its own, in the past */
		struct timespec at[] = {{.tv_sec = 1000 + i}, {.tv_sec = 1000 + i}};
		assert_int_equal(utimensat(AT_FDCWD, path, at, 0), 0);
		if (i == PROJECT_CACHE_MAX - 1) {
			cleanup_json cJSON *used = project_cache_get(d->path, "0");
			assert_non_null(used);
		}
	}
	for (int i = 0; i < PROJECT_CACHE_MAX + 5; i++) {
		cleanup_free char *key = mem_printf("%d", i);
		cleanup_json cJSON *got = project_cache_get(d->path, key);
		assert_int_equal(got != NULL, i == 0 || i > 5);
	}
}

static void what_is_kept_needs_no_tool(void **data)
{
	struct test_dir *d = *data;
	struct provider p = generation(1);
	cleanup_free char *file = test_dir_write(d, "docker-compose.yml", rich);
	cJSON_Delete(load(d, &p, file, NULL));
	struct provider silent = not_to_be_asked(p);
	cJSON_Delete(load(d, &silent, file, NULL));
}

#define in_dir(test) cmocka_unit_test_setup_teardown(test, test_dir_setup, test_dir_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	        in_dir(both_say_the_same),
	        in_dir(frozen_is_stable),
	        in_dir(copies_live_side_by_side),
	        in_dir(built_in_stack),
	        in_dir(what_is_refused),
	        in_dir(kept_until_something_changes),
	        in_dir(files_that_name_others_are_not_kept),
	        in_dir(damaged_is_not_kept),
	        in_dir(links_are_followed_each_time),
	        in_dir(the_oldest_go),
	        in_dir(what_is_kept_needs_no_tool),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
