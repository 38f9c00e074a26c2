#include "core/file.h"
#include "core/mem.h"
#include "jobs/state.h"
#include <setjmp.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static const struct setting *const tables[] = {state_settings, NULL};
static char dir[64];
static struct config *cfg;

static int setup(void **unused)
{
	(void)unused;
	struct err err;
	memcpy(dir, "/tmp/state_test.XXXXXX", sizeof("/tmp/state_test.XXXXXX"));
	assert_non_null(mkdtemp(dir));
	cleanup_free char *sub = mem_printf("%s/a/b", dir);
	assert_int_equal(config_load(&cfg, tables, NULL, false, &err), 0);
	assert_int_equal(config_set(cfg, "STATE_DIR", sub, &err), 0);
	return 0;
}

static int teardown(void **unused)
{
	(void)unused;
	struct err err;
	config_free(cfg);
	return tree_remove(dir, &err);
}

static void first_open_makes_a_private_directory_and_an_id(void **unused)
{
	(void)unused;
	struct err err = {0};
	cleanup_state struct state *st = NULL, *again = NULL;
	struct stat s;
	assert_int_equal(state_open(&st, cfg, &err), 0);
	assert_int_equal(stat(st->dir, &s), 0);
	assert_int_equal(s.st_mode & 0777, 0700);
	cleanup_free char *db = state_path(st, "codefoundry.db");
	assert_int_equal(stat(db, &s), 0);
	assert_int_equal(s.st_mode & 0777, 0600);
	assert_true(id_is_uuid(st->install));
	assert_int_equal(state_open(&again, cfg, &err), 0);
	assert_string_equal(st->install, again->install);
}

static void eight_processes_that_open_at_once_agree(void **unused)
{
	(void)unused;
	int result[2];
	assert_int_equal(pipe(result), 0);
	for (int i = 0; i < 8; i++) {
		if (fork() == 0) {
			struct err err = {0};
			struct state *st = NULL;
			bool ok = state_open(&st, cfg, &err) == 0;
			if (!ok)
				print_error("%s\n", err.msg);
			_exit(!ok || write(result[1], st->install, ID_UUID_LEN) != ID_UUID_LEN);
		}
	}
	close(result[1]);
	for (int i = 0; i < 8; i++) {
		int status;
		assert_true(wait(&status) > 0);
		assert_int_equal(status, 0);
	}
	char first[ID_UUID_LEN], other[ID_UUID_LEN];
	assert_int_equal(read(result[0], first, sizeof(first)), sizeof(first));
	for (int i = 1; i < 8; i++) {
		assert_int_equal(read(result[0], other, sizeof(other)), sizeof(other));
		assert_memory_equal(first, other, sizeof(first));
	}
	close(result[0]);
}

static void a_file_in_place_of_the_directory_is_named(void **unused)
{
	(void)unused;
	struct err err = {0};
	struct state *st = NULL;
	cleanup_free char *file = mem_printf("%s/a", dir);
	assert_int_equal(file_write(file, "", 0, 0600, &err), 0);
	assert_int_equal(state_open(&st, cfg, &err), -1);
	assert_non_null(strstr(err.msg, file));
	assert_non_null(strstr(err.msg, "STATE_DIR"));
}

static void a_damaged_id_is_refused(void **unused)
{
	(void)unused;
	struct err err = {0};
	struct state *st = NULL;
	cleanup_free char *sub = mem_printf("%s/a/b", dir), *file = mem_printf("%s/install", sub);
	assert_int_equal(dir_make(sub, 0700, &err), 0);
	assert_int_equal(file_write(file, "nonsense\n", 9, 0600, &err), 0);
	assert_int_equal(state_open(&st, cfg, &err), -1);
	assert_int_equal(err.code, ERR_STATE);
}

static void lease(const char *session, const char *text)
{
	struct err err = {0};
	cleanup_free char *at = mem_printf("%s/a/b/sessions/%s", dir, session),
	                  *file = mem_printf("%s/lease.json", at);
	assert_int_equal(dir_make(at, 0700, &err), 0);
	assert_int_equal(file_write(file, text, strlen(text), 0600, &err), 0);
}

#define OLD "11111111-1111-4111-8111-111111111111"

static void a_lost_id_is_read_back_from_the_sessions(void **unused)
{
	(void)unused;
	struct err err = {0};
	cleanup_state struct state *st = NULL, *again = NULL;
	lease("demo", "{\"version\":1,\"install\":\"" OLD "\"}");
	lease("damaged", "{\"version\":1,\"inst");
	lease("odd", "{\"install\":7}");
	lease("other", "{\"install\":\"" OLD "\"}");
	assert_int_equal(state_open(&st, cfg, &err), 0);
	assert_string_equal(st->install, OLD);
	assert_int_equal(state_open(&again, cfg, &err), 0);
	assert_string_equal(again->install, OLD);
}

/* Whichever it took, it would disown the other's. */
static void sessions_of_two_installations_are_refused(void **unused)
{
	(void)unused;
	struct err err = {0};
	struct state *st = NULL;
	cleanup_free char *file = mem_printf("%s/a/b/install", dir);
	lease("demo", "{\"install\":\"" OLD "\"}");
	lease("other", "{\"install\":\"22222222-2222-4222-8222-222222222222\"}");
	assert_int_equal(state_open(&st, cfg, &err), -1);
	assert_int_equal(err.code, ERR_STATE);
	assert_non_null(strstr(err.msg, OLD));
	assert_false(path_exists(file));
	assert_int_equal(file_write(file, OLD "\n", ID_UUID_LEN + 1, 0600, &err), 0);
	err_clear(&err);
	assert_int_equal(state_open(&st, cfg, &err), 0);
	assert_string_equal(st->install, OLD);
	state_close(st);
}

/* It may be of the id that was lost; a new one would disown it. */
static void no_new_id_beside_what_cannot_be_read(void **unused)
{
	(void)unused;
	struct err err = {0};
	struct state *st = NULL;
	cleanup_free char *file = mem_printf("%s/a/b/install", dir),
	                  *odd = mem_printf("%s/a/b/sessions/unread/lease.json", dir);
	assert_int_equal(dir_make(odd, 0700, &err), 0);
	lease("none", "");
	assert_int_equal(state_open(&st, cfg, &err), -1);
	assert_non_null(strstr(err.msg, odd));
	assert_non_null(strstr(err.msg, file));
	assert_false(path_exists(file));
	lease("other", "{\"install\":\"" OLD "\"}");
	err_clear(&err);
	assert_int_equal(state_open(&st, cfg, &err), 0);
	assert_string_equal(st->install, OLD);
	state_close(st);
}

static void a_database_of_a_newer_program_is_refused(void **unused)
{
	(void)unused;
	struct err err = {0};
	struct state *st = NULL;
	{
		cleanup_state struct state *first = NULL;
		assert_int_equal(state_open(&first, cfg, &err), 0);
		assert_int_equal(db_run(first->db, &err, "PRAGMA user_version = 1000", ""), 0);
	}
	assert_int_equal(state_open(&st, cfg, &err), -1);
	assert_int_equal(err.code, ERR_STATE);
	assert_non_null(strstr(err.msg, "newer"));
}

/* Its rows stand in the sessions' files as well, so whoever has no backup needs none. */
static void a_damaged_database_may_be_moved_away(void **unused)
{
	(void)unused;
	struct err err = {0};
	struct state *st = NULL;
	char noise[8192];
	memset(noise, 'x', sizeof(noise));
	cleanup_free char *sub = mem_printf("%s/a/b", dir), *file = mem_printf("%s/codefoundry.db", sub);
	assert_int_equal(dir_make(sub, 0700, &err), 0);
	assert_int_equal(file_write(file, noise, sizeof(noise), 0600, &err), 0);
	assert_int_equal(state_open(&st, cfg, &err), -1);
	assert_int_equal(err.code, ERR_DB);
	assert_non_null(strstr(err.msg, "codefoundry.db is damaged: restore it from a backup"));
	assert_non_null(strstr(err.msg, "not beside the old -wal and -shm"));
	assert_non_null(strstr(err.msg, "move it away"));
	assert_non_null(strstr(err.msg, "session reap"));
}

static int out_of_memory(const char *sql)
{
	return strstr(sql, "user_version") ? SQLITE_NOMEM : 0;
}

/* Whoever moved it away for that would lose jobs and history. */
static void a_sound_database_may_not(void **unused)
{
	(void)unused;
	struct err err = {0};
	struct state *st = NULL;
	db_hook = out_of_memory;
	assert_int_equal(state_open(&st, cfg, &err), -1);
	db_hook = NULL;
	assert_int_equal(err.code, ERR_DB);
	assert_null(strstr(err.msg, "move it away"));
}

static void assert_opens_as(const char *at, const char *uuid)
{
	struct err err = {0};
	struct state *st = NULL;
	assert_int_equal(config_set(cfg, "STATE_DIR", at, &err), 0);
	if (state_open(&st, cfg, &err))
		fail_msg("%s", err.msg);
	assert_string_equal(st->install, uuid);
	state_close(st);
}

static void copy_install(const char *from, const char *to)
{
	struct err err = {0};
	cleanup_free char *source = mem_printf("%s/install", from), *target = mem_printf("%s/install", to),
	                  *text = NULL;
	assert_int_equal(file_read(source, 10000, &text, NULL, &err), 0);
	assert_int_equal(dir_make(to, 0700, &err), 0);
	assert_int_equal(file_write(target, text, strlen(text), 0600, &err), 0);
}

/* Two of one id would remove each other's sessions. */
static void a_copy_beside_the_original_is_refused(void **unused)
{
	(void)unused;
	struct err err = {0};
	struct state *st = NULL;
	cleanup_free char *one = mem_printf("%s/a/b", dir), *two = mem_printf("%s/two", dir),
	                  *link = mem_printf("%s/link", dir), *three = mem_printf("%s/three", dir);
	assert_int_equal(state_open(&st, cfg, &err), 0);
	cleanup_free char *uuid = mem_strdup(st->install);
	state_close(st);
	copy_install(one, two);
	assert_int_equal(config_set(cfg, "STATE_DIR", two, &err), 0);
	assert_int_equal(state_open(&st, cfg, &err), -1);
	assert_int_equal(err.code, ERR_STATE);
	assert_non_null(strstr(err.msg, one));
	/* the original is as ever, by whatever way one comes to it */
	assert_int_equal(symlink(one, link), 0);
	assert_opens_as(link, uuid);
	assert_opens_as(one, uuid);
	/* with that gone it was moved; and what is copied from there, is a copy of this one */
	assert_int_equal(tree_remove(one, &err), 0);
	assert_opens_as(two, uuid);
	copy_install(two, three);
	assert_int_equal(config_set(cfg, "STATE_DIR", three, &err), 0);
	assert_int_equal(state_open(&st, cfg, &err), -1);
	assert_non_null(strstr(err.msg, two));
}

/* What earlier versions wrote says nothing of its place. */
static void an_older_id_settles_where_it_is(void **unused)
{
	(void)unused;
	struct err err = {0};
	cleanup_free char *one = mem_printf("%s/a/b", dir), *two = mem_printf("%s/two", dir),
	                  *file = mem_printf("%s/install", one);
	struct state *st = NULL;
	assert_int_equal(dir_make(one, 0700, &err), 0);
	assert_int_equal(file_write(file, OLD "\n", ID_UUID_LEN + 1, 0600, &err), 0);
	assert_opens_as(one, OLD);
	copy_install(one, two);
	assert_int_equal(config_set(cfg, "STATE_DIR", two, &err), 0);
	assert_int_equal(state_open(&st, cfg, &err), -1);
	assert_non_null(strstr(err.msg, "is a copy of"));
}

static void a_mark_tells_directories_apart(void **unused)
{
	(void)unused;
	cleanup_free char *above = mem_printf("%s/..", dir),
	                  *around = mem_printf("%s/../%s", dir, strrchr(dir, '/')),
	                  *gone = mem_printf("%s/gone", dir), *one = state_mark(dir),
	                  *two = state_mark(above), *same = state_mark(around), *none = state_mark(gone);
	assert_string_equal(one, same);
	assert_string_not_equal(one, two);
	assert_string_equal(none, "");
}

static void without_a_home_it_is_not_in_tmp(void **unused)
{
	(void)unused;
	struct err err;
	int status;
	pid_t pid = fork();
	if (pid == 0) { /* somebody whose uid has no entry */
		unsetenv("HOME");
		unsetenv("XDG_STATE_HOME");
		if (config_set(cfg, "STATE_DIR", NULL, &err) || (geteuid() == 0 && seteuid(54321)))
			_exit(2);
		cleanup_free char *where = state_dir(cfg);
		_exit(strncmp(where, "/tmp", 4) == 0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test_setup_teardown(a_copy_beside_the_original_is_refused, setup, teardown),
	        cmocka_unit_test_setup_teardown(an_older_id_settles_where_it_is, setup, teardown),
	        cmocka_unit_test_setup_teardown(a_mark_tells_directories_apart, setup, teardown),
	        cmocka_unit_test_setup_teardown(without_a_home_it_is_not_in_tmp, setup, teardown),
	        cmocka_unit_test_setup_teardown(first_open_makes_a_private_directory_and_an_id, setup,
	                                        teardown),
	        cmocka_unit_test_setup_teardown(eight_processes_that_open_at_once_agree, setup, teardown),
	        cmocka_unit_test_setup_teardown(a_file_in_place_of_the_directory_is_named, setup, teardown),
	        cmocka_unit_test_setup_teardown(a_damaged_id_is_refused, setup, teardown),
	        cmocka_unit_test_setup_teardown(a_damaged_database_may_be_moved_away, setup, teardown),
	        cmocka_unit_test_setup_teardown(a_sound_database_may_not, setup, teardown),
	        cmocka_unit_test_setup_teardown(a_lost_id_is_read_back_from_the_sessions, setup, teardown),
	        cmocka_unit_test_setup_teardown(sessions_of_two_installations_are_refused, setup, teardown),
	        cmocka_unit_test_setup_teardown(no_new_id_beside_what_cannot_be_read, setup, teardown),
	        cmocka_unit_test_setup_teardown(a_database_of_a_newer_program_is_refused, setup, teardown),
	};
	return cmocka_run_group_tests_name("state", tests, NULL, NULL);
}
