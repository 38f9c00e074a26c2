#include "core/clock.h"
#include "core/file.h"
#include "core/http_client.h"
#include "core/mem.h"
#include "core/proc.h"
#include "gateway/projects.h"
#include "gateway/templates.h"
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

static const struct setting *const tables[] = {state_settings, NULL};
static const struct job_kind *const kinds[] = {&project_create_kind, NULL};

struct fixture {
	char dir[64];
	struct config *cfg;
	struct state *st;
};

static int setup(void **data)
{
	struct fixture *f = mem_alloc(sizeof(*f));
	struct err err = {0};
	snprintf(f->dir, sizeof(f->dir), "/tmp/gateway-projects-XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	assert_int_equal(config_load(&f->cfg, tables, NULL, false, &err), 0);
	assert_int_equal(config_set(f->cfg, "STATE_DIR", f->dir, &err), 0);
	assert_int_equal(state_open(&f->st, f->cfg, &err), 0);
	*data = f;
	return 0;
}

static int teardown(void **data)
{
	struct fixture *f = *data;
	struct err err;
	state_close(f->st);
	config_free(f->cfg);
	tree_remove(f->dir, &err);
	free(f);
	return 0;
}

/* Enqueue with ${args} (JSON) and ${origin}, run, and give the row. */
static void create(struct fixture *f, const char *args, const char *origin, struct job_row *row)
{
	struct err err = {0};
	int64_t id;
	cleanup_json cJSON *j = json_parse(args, strlen(args), &err);
	struct job_request req = {.kind = "project.create", .args = j, .owner = "test", .origin = origin};
	assert_int_equal(jobs_enqueue(f->st, &req, &id, NULL, &err), 0);
	if (jobs_get(f->st, id, row, &err) == 0 && row->state == JOB_QUEUED) {
		job_row_free(row);
		assert_int_equal(jobs_exec(f->st, kinds, id, &err), 0);
		assert_int_equal(jobs_get(f->st, id, row, &err), 0);
	}
}

static int64_t rows(struct fixture *f)
{
	int64_t n = -1;
	struct err err;
	assert_int_equal(db_get_int(f->st->db, &n, &err, "SELECT count(*) FROM projects", ""), 0);
	return n;
}

/* Files and directories below projects/, without itself. */
static long files(struct fixture *f)
{
	cleanup_free char *dir = state_path(f->st, "projects");
	long n = tree_count(dir);
	return n > 0 ? n - 1 : 0;
}

static void arguments(void **data)
{
	(void)data;
	static const struct {
		const char *args;
		bool ok;
	} cases[] = {
	        {"{\"name\":\"shop\",\"archetype\":\"web-service\"}", true},
	        {"{\"name\":\"shop\",\"archetype\":\"Telegram_Bot\"}", true},
	        {"{\"name\":\"shop\",\"archetype\":\"full stack\"}", true},
	        {"{\"name\":\"shop\",\"archetype\":\"api\",\"framework\":\"FastAPI\"}", true},
	        {"{\"name\":\"0-9\",\"archetype\":\"ai-agent\",\"options\":{\"port\":8080,\"python\":\"3."
	         "11\"}}",
	         true},
	        {"{\"name\":\"shop\",\"archetype\":\"ai-agent\",\"options\":null}", true},
	        {"{}", false},
	        {"{\"name\":\"shop\"}", false},
	        {"{\"archetype\":\"web-service\"}", false},
	        {"{\"name\":7,\"archetype\":\"web-service\"}", false},
	        {"{\"name\":\"\",\"archetype\":\"web-service\"}", false},
	        {"{\"name\":\"Shop\",\"archetype\":\"web-service\"}", false},
	        {"{\"name\":\"../shop\",\"archetype\":\"web-service\"}", false},
	        {"{\"name\":\"a b\",\"archetype\":\"web-service\"}", false},
	        {"{\"name\":\"shop\\u0000x\",\"archetype\":\"nothing\"}", false},
	        {"{\"name\":\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\",\"archetype\":\"web-"
	         "service\"}",
	         false},
	        {"{\"name\":\"shop\",\"archetype\":\"spaceship\"}", false},
	        {"{\"name\":\"shop\",\"archetype\":\"web-service\",\"options\":[]}", false},
	        {"{\"name\":\"shop\",\"archetype\":\"web-service\",\"options\":{\"port\":80}}", false},
	        {"{\"name\":\"shop\",\"archetype\":\"web-service\",\"options\":{\"port\":\"8080;rm\"}}",
	         false},
	        {"{\"name\":\"shop\",\"archetype\":\"web-service\",\"options\":{\"port\":99999999999}}",
	         false},
	        {"{\"name\":\"shop\",\"archetype\":\"web-service\",\"options\":{\"python\":\"2.7\"}}", false},
	        {"{\"name\":\"shop\",\"archetype\":\"web-service\",\"options\":{\"color\":\"red\"}}", false},
	        {"{\"name\":\"shop\",\"archetype\":\"web-service\",\"options\":{\"port\":{}}}", false},
	        {"{\"name\":\"shop\",\"archetype\":\"web-service\",\"framework\":\"a\\nb\"}", false},
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct err err = {0};
		cleanup_json cJSON *args = json_parse(cases[i].args, strlen(cases[i].args), &err);
		int result = project_args_check(args, &err);
		if ((result == 0) != cases[i].ok)
			fail_msg("case %zu: %s", i, err.msg);
		assert_true(cases[i].ok || err.code == ERR_INVALID);
	}
}

static void a_project_appears_whole(void **data)
{
	struct fixture *f = *data;
	struct job_row row;
	create(f,
	       "{\"name\":\"shop\",\"archetype\":\"web-service\",\"framework\":\"express\",\"options\":{"
	       "\"port\":9000}}",
	       NULL, &row);
	assert_int_equal(row.state, JOB_DONE);
	cleanup_free char *dir = state_path(f->st, "projects/shop"), *app = mem_printf("%s/app.py", dir),
	                  *text = NULL;
	assert_string_equal(json_text(row.result, "project_name"), "shop");
	assert_string_equal(json_text(row.result, "project_path"), dir);
	assert_string_equal(json_text(row.result, "archetype"), "web-service");
	assert_string_equal(json_text(row.result, "framework"), "express");
	assert_string_equal(json_text(row.result, "options.port"), "9000");
	const cJSON *file;
	cJSON_ArrayForEach(file, json_at(row.result, "files_created"))
	{
		cleanup_free char *path = mem_printf("%s/%s", dir, file->valuestring);
		assert_true(path_exists(path));
	}
	struct err err;
	assert_int_equal(file_read(app, 1 << 20, &text, NULL, &err), 0);
	assert_non_null(strstr(text, "\"9000\""));
	assert_null(strstr(text, "{{"));
	assert_int_equal(rows(f), 1);
	job_row_free(&row);
}

static void a_name_is_given_once(void **data)
{
	struct fixture *f = *data;
	struct job_row row;
	struct err err;
	create(f, "{\"name\":\"shop\",\"archetype\":\"web-service\"}", "cp:1", &row);
	int64_t first = row.id;
	long before = files(f);
	job_row_free(&row);
	create(f, "{\"name\":\"shop\",\"archetype\":\"web-service\"}", "cp:1",
	       &row); /* the same request again */
	assert_int_equal(row.id, first);
	assert_int_equal(row.state, JOB_DONE);
	job_row_free(&row);
	create(f, "{\"name\":\"shop\",\"archetype\":\"ai-agent\"}", "cp:2", &row);
	assert_int_equal(row.state, JOB_FAILED);
	assert_int_equal(row.error_code, ERR_EXISTS);
	assert_non_null(strstr(row.error, "shop"));
	job_row_free(&row);
	assert_int_equal(files(f), before);
	/* a directory that nobody recorded is not ours to overwrite */
	cleanup_free char *foreign = state_path(f->st, "projects/foreign"),
	                  *gone = state_path(f->st, "projects/shop");
	assert_int_equal(dir_make(foreign, 0755, &err), 0);
	create(f, "{\"name\":\"foreign\",\"archetype\":\"ai-agent\"}", NULL, &row);
	assert_int_equal(row.error_code, ERR_EXISTS);
	assert_int_equal(tree_count(foreign), 1);
	job_row_free(&row);
	/* a project that a person removed gives its name back */
	assert_int_equal(tree_remove(gone, &err), 0);
	create(f, "{\"name\":\"shop\",\"archetype\":\"ai-agent\"}", NULL, &row);
	assert_int_equal(row.state, JOB_DONE);
	assert_int_equal(rows(f), 1);
	job_row_free(&row);
}

static void refused_leaves_nothing(void **data)
{
	struct fixture *f = *data;
	struct job_row row;
	struct err err;
	create(f, "{\"name\":\"shop\",\"archetype\":\"spaceship\"}", NULL, &row);
	assert_int_equal(row.error_code, ERR_INVALID);
	job_row_free(&row);
	/* the row cannot be written: the directory must not stay either */
	assert_int_equal(
	        db_run(f->st->db, &err,
	               "CREATE TRIGGER no BEFORE INSERT ON projects BEGIN SELECT RAISE(ABORT, 'no'); END",
	               ""),
	        0);
	create(f, "{\"name\":\"shop\",\"archetype\":\"web-service\"}", NULL, &row);
	assert_int_equal(row.state, JOB_FAILED);
	job_row_free(&row);
	assert_int_equal(files(f), 0);
	assert_int_equal(rows(f), 0);
}

/* A child that ends at its n-th system call that renames or makes something: kill -9 at every step. */
static int child(struct fixture *f, int64_t id, int delay_us)
{
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		struct state *st = NULL;
		struct err err;
		_exit(state_open(&st, f->cfg, &err) || jobs_exec(st, kinds, id, &err) ? 1 : 0);
	}
	struct timespec ts = {0, delay_us * 1000L};
	nanosleep(&ts, NULL);
	kill(pid, SIGKILL);
	int status;
	waitpid(pid, &status, 0);
	return WIFSIGNALED(status);
}

static void killed_at_any_time(void **data)
{
	struct fixture *f = *data;
	struct err err = {0};
	int killed = 0;
	for (int i = 0; i < 40; i++) {
		cleanup_free char *name = mem_printf("p-%d", i);
		cleanup_json cJSON *args = json_object();
		int64_t id;
		struct job_row row;
		json_add_text(args, "name", name);
		json_add_text(args, "archetype", "fullstack");
		struct job_request req = {.kind = "project.create", .args = args, .owner = "test"};
		assert_int_equal(jobs_enqueue(f->st, &req, &id, NULL, &err), 0);
		killed += child(f, id, 1500 * i);
		assert_true(jobs_recover(f->st, kinds, &err) >= 0);
		for (int tries = 0; tries < 3; tries++) {
			assert_int_equal(jobs_get(f->st, id, &row, &err), 0);
			bool over = job_state_final(row.state);
			job_row_free(&row);
			if (over)
				break;
			/* a crash makes the next attempt wait */
			assert_int_equal(db_run(f->st->db, &err,
			                        "UPDATE jobs SET not_before = 0 WHERE id = ?", "i", id),
			                 0);
			assert_int_equal(jobs_exec(f->st, kinds, id, &err), 0);
		}
		assert_int_equal(jobs_get(f->st, id, &row, &err), 0);
		assert_int_equal(row.state, JOB_DONE);
		assert_true(cJSON_GetArraySize(json_at(row.result, "files_created")) > 5);
		job_row_free(&row);
		cleanup_free char *tmp = state_path(f->st, "projects/.new-%lld", (long long)id);
		assert_false(path_exists(tmp));
	}
	assert_int_equal(rows(f), 40);
	assert_true(killed > 3);
}

/* The crash between the rename and the commit, made by hand: the next attempt takes its own directory up again. */
static void killed_before_the_commit(void **data)
{
	struct fixture *f = *data;
	struct job_row row;
	struct err err = {0};
	int64_t id;
	cleanup_json cJSON *args = json_parse("{\"name\":\"shop\",\"archetype\":\"ai-agent\"}", 39, &err);
	struct job_request req = {.kind = "project.create", .args = args, .owner = "test"};
	assert_int_equal(jobs_enqueue(f->st, &req, &id, NULL, &err), 0);
	cleanup_free char *dir = state_path(f->st, "projects/shop"),
	                  *path = mem_printf("%s/.codefoundry.json", dir);
	cleanup_free char *marker = mem_printf("{\"job\":%lld}", (long long)id),
	                  *old = mem_printf("%s/old", dir);
	assert_int_equal(dir_make(dir, 0755, &err), 0);
	assert_int_equal(file_write(path, marker, strlen(marker), 0644, &err), 0);
	assert_int_equal(file_write(old, "", 0, 0644, &err), 0);
	assert_int_equal(jobs_exec(f->st, kinds, id, &err), 0);
	assert_int_equal(jobs_get(f->st, id, &row, &err), 0);
	assert_int_equal(row.state, JOB_DONE);
	job_row_free(&row);
	assert_false(path_exists(old));
	assert_int_equal(rows(f), 1);
}

static int free_port(void)
{
	struct sockaddr_in sa = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(sa);
	cleanup_close int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&sa, &len), 0);
	return ntohs(sa.sin_port);
}

/* Start the project as its README says, read the line that says it listens, ask for its health, end it. */
static void start_and_ask(const char *dir, int port)
{
	struct err err = {0};
	int out[2];
	pid_t pid;
	char line[512] = "";
	cleanup_free char *port_env = mem_printf("PORT=%d", port),
	                  *url = mem_printf("http://127.0.0.1:%d/health", port);
	assert_int_equal(pipe2(out, O_CLOEXEC), 0);
	struct proc_spec spec = PROC_SPEC_INIT;
	spec.argv = (const char *const[]){"python3", "app.py", NULL};
	spec.env = (const char *const[]){port_env, "TELEGRAM_BOT_TOKEN=1:x",
	                                 "TELEGRAM_API_URL=http://127.0.0.1:1", NULL};
	spec.cwd = dir;
	spec.out = out[1];
	spec.die_with_parent = true;
	assert_int_equal(proc_spawn(&spec, &pid, &err), 0);
	close(out[1]);
	FILE *lines = fdopen(out[0], "r");
	while (!strstr(line, "listening") && fgets(line, sizeof(line), lines))
		;
	assert_non_null(strstr(line, "listening"));
	struct http_request req = {.url = url, .total_ms = 5000};
	struct http_reply reply;
	assert_int_equal(http_fetch(&req, &reply, &err), 0);
	assert_int_equal(reply.status, 200);
	cleanup_json cJSON *health = json_parse(reply.body, reply.len, &err);
	assert_string_equal(json_text(health, "status"), "healthy");
	http_reply_free(&reply);
	int status;
	kill(pid, SIGTERM);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	fclose(lines);
}

static void every_template_works(void **data)
{
	struct fixture *f = *data;
	for (const struct project_template *t = project_templates; t->type; t++) {
		struct err err = {0};
		struct job_row row;
		struct proc_result result;
		cleanup_free char *args =
		        mem_printf("{\"name\":\"x-%s\",\"archetype\":\"%s\"}", t->type, t->type);
		create(f, args, NULL, &row);
		assert_int_equal(row.state, JOB_DONE);
		cleanup_free char *dir = mem_strdup(json_text(row.result, "project_path"));
		job_row_free(&row);
		struct proc_spec spec = PROC_SPEC_INIT;
		spec.argv = (const char *const[]){"python3", "-W", "error", "-m", "unittest", NULL};
		spec.cwd = dir;
		assert_int_equal(proc_run(&spec, NULL, 60000, 1 << 16, &result, &err), 0);
		if (result.status != 0 || strstr(result.errs, "Ran 0 tests"))
			fail_msg("%s: %s", t->type, result.errs);
		proc_result_free(&result);
		start_and_ask(dir, free_port());
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(arguments),
	        cmocka_unit_test_setup_teardown(a_project_appears_whole, setup, teardown),
	        cmocka_unit_test_setup_teardown(a_name_is_given_once, setup, teardown),
	        cmocka_unit_test_setup_teardown(refused_leaves_nothing, setup, teardown),
	        cmocka_unit_test_setup_teardown(killed_at_any_time, setup, teardown),
	        cmocka_unit_test_setup_teardown(killed_before_the_commit, setup, teardown),
	        cmocka_unit_test_setup_teardown(every_template_works, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
