/* What keeps two installations on one host out of each other's ports, and what is counted as left on a leased one. The test program
 * starts itself again: `lease_claim_test listen PORT`. */
#include "sessions/test_lease.h"
#include "sessions/test_marker.h"
#include <sys/wait.h>

#define NOBODY 65534

/* As another installation does: the descriptor, or -1 when somebody has claimed it. */
static int claim_port(int port)
{
	int fd = -1;
	cleanup_free char *what = mem_printf("port-%d", port);
	net_claim(what, &fd);
	return fd;
}

/* Whether all of ${b} is claimed (or nothing of it). */
static bool all_claimed(const struct block *b, bool wanted)
{
	for (int port = b->port; port < b->port + b->count; port++) {
		cleanup_close int fd = claim_port(port);
		if ((fd < 0) != wanted)
			return false;
	}
	return true;
}

/* Two installations start a session at the same moment: each has its own leases, and nothing is bound yet. The other
 * one's claim is all that tells. */
static void another_installation_starts_too(void **data)
{
	struct test_state *t = *data;
	struct block first, second;
	cleanup_close int theirs = claim_port(base + 1);
	assert_true(theirs >= 0);
	assert_ok(take(t, "s", &first, err));
	assert_int_equal(first.port, base + 2);
	close(TAKE_FD(theirs));
	/* and ours tells it, until the services have bound: those for sessions inside too, which are bound by nobody */
	assert_ok(take(t, "r", &second, err));
	assert_int_equal(second.count, 16);
	assert_true(all_claimed(&second, true));
	lease_unclaim();
	assert_true(all_claimed(&second, false));
}

/* The session around us keeps them against everybody else: among us they are told apart. */
static void those_the_session_around_us_keeps_are_ours(void **data)
{
	struct test_state *t = *data;
	struct block b;
	char range[32], what[32];
	int again;
	cleanup_close int outer = claim_port(base);
	snprintf(range, sizeof(range), "%d-%d", base, base + 15);
	setenv(MARKER_PORTS_KEY, range, 1);
	assert_ok(take(t, "s", &b, err));
	unsetenv(MARKER_PORTS_KEY);
	assert_int_equal(b.port, base);
	snprintf(what, sizeof(what), "inner-port-%d", base + 15);
	assert_false(net_claim(what, &again));
	lease_unclaim();
}

static void a_child_holds_them_as_long_as_it_lives(void **data)
{
	struct test_state *t = *data;
	struct block b;
	int held[LEASE_PORTS_MAX];
	assert_ok(take(t, "s", &b, err));
	lease_unclaim();
	assert_int_equal(lease_claims(held), 0);
	cleanup_close int theirs = claim_port(b.port + 2);
	assert_ok(lease_hold(t->st, "s", err));
	assert_int_equal(lease_claims(held), b.count - 1);
	close(TAKE_FD(theirs));
	/* again: what was somebody else's is taken now, the others are not taken twice */
	assert_ok(lease_hold(t->st, "s", err));
	struct proc_spec spec = PROC_SPEC_INIT;
	spec.argv = (const char *[]){"sleep", "600", NULL};
	spec.held = held;
	spec.n_held = lease_claims(held);
	assert_int_equal(spec.n_held, b.count);
	spec.die_with_parent = true;
	pid_t pid;
	assert_ok(proc_spawn(&spec, &pid, err));
	lease_unclaim();
	assert_true(all_claimed(&b, true));
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	assert_true(all_claimed(&b, false));
	assert_ok(lease_hold(t->st, "nobody", err));
	assert_int_equal(lease_claims(held), 0);
}

/* Bind ${port} again and again until told to end: the exit code is how often somebody was in the way. */
static int bind_again(const char *port)
{
	int number = (int)strtol(port, NULL, 10), failed = 0;
	const struct timespec now = {0};
	struct err err = {0};
	sigset_t term;
	sigemptyset(&term);
	sigaddset(&term, SIGTERM);
	sigprocmask(SIG_BLOCK, &term, NULL);
	if (write(STDOUT_FILENO, "\n", 1) != 1)
		return 255;
	while (sigtimedwait(&term, NULL, &now) != SIGTERM)
		failed += failed < 254 && net_probe("127.0.0.1", number, &err) != 0;
	return failed;
}

/* A probe is a listener for an instant. Who has claimed a port is just about to bind it. */
static void a_look_is_in_nobodys_way(void **data)
{
	enum { LOOKS = 500 };
	struct test_state *t = *data;
	struct block b;
	char number[16], said;
	cleanup_close int theirs = claim_port(base + 1);
	snprintf(number, sizeof(number), "%d", base + 1);
	pid_t pid = ready_as(NULL, "bind", number, NULL, &said, 1);
	for (int i = 0; i < LOOKS; i++) {
		struct err err = {0};
		cleanup_json cJSON *survey = lease_survey(t->st, &err);
		assert_int_equal(json_int(survey, "ports.taken", -1), 1);
		assert_ok(db_begin(t->st->db, err));
		assert_ok(lease_take(t->st, "s", &(struct lease_wants){.nested = 4}, err));
		db_rollback(t->st->db);
	}
	kill(pid, SIGTERM);
	assert_int_equal(test_wait_end(pid), 0);
	assert_ok(take(t, "s", &b, err));
	assert_int_equal(b.port, base + 2);
}

/* -- who listens -- */

/* As ${uid}. Says so, and waits for its end. */
static int listen_as(const char *port, const char *uid)
{
	if (setuid((uid_t)strtol(uid, NULL, 10)))
		return 1;
	listen_on((int)strtol(port, NULL, 10));
	if (write(STDOUT_FILENO, "\n", 1) != 1)
		return 1;
	for (;;)
		pause();
}

static void what_a_stranger_listens_on_is_not_left(void **data)
{
	struct test_state *t = *data;
	char uuid[ID_UUID_LEN + 1], other[ID_UUID_LEN + 1];
	struct block b;
	struct err err = {0};
	id_uuid(uuid);
	id_uuid(other);
	cleanup_free char *ours = marker_make(t->st->install, uuid),
	                  *same = marker_make(t->st->install, other), *another = marker_make(other, uuid),
	                  *inside = mem_printf("%s/%s.%s", ours, other, other);
	const struct {
		const char *marker;
		unsigned uid;
		int held, any_user;
	} cases[] = {
	        {NULL, geteuid(), 1, 1}, {ours, geteuid(), 1, 1},    {inside, geteuid(), 1, 1},
	        {same, geteuid(), 0, 0}, {another, geteuid(), 0, 0}, {NULL, NOBODY, 0, 1},
	        {another, NOBODY, 0, 0},
	};
	assert_ok(take(t, uuid, &b, err));
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		cleanup_free char *who = NULL, *anybody = NULL;
		if (cases[i].uid != geteuid() && geteuid() != 0)
			continue; /* only root may be somebody else */
		char port[16], uid[16], said;
		snprintf(port, sizeof(port), "%d", b.port + 5);
		snprintf(uid, sizeof(uid), "%u", cases[i].uid);
		pid_t pid = ready_as(cases[i].marker, "listen", port, uid, &said, 1);
		cleanup_free char *says =
		        mem_printf("process %d (lease_claim_tes) listens on port %d", (int)pid, b.port + 5);
		int held = lease_held(t->st, uuid, true, NULL, &who, &err),
		    any = lease_held(t->st, uuid, false, NULL, &anybody, &err);
		cleanup_json cJSON *lent = cJSON_CreateIntArray((int[]){b.port + 4, b.port + 5}, 2),
		                   *another_one = cJSON_CreateIntArray((int[]){b.port + 4}, 1);
		assert_int_equal(lease_held(t->st, uuid, true, lent, NULL, &err), 0);
		assert_int_equal(lease_held(t->st, uuid, true, another_one, NULL, &err), held);
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
		if (held != cases[i].held || any != cases[i].any_user)
			fail_msg("case %zu: %d and %d are held", i, held, any);
		assert_string_equal(who ? who : "", held ? says : "");
		assert_string_equal(anybody ? anybody : "", any ? says : "");
		assert_int_equal(lease_held(t->st, uuid, true, NULL, NULL, &err), 0);
	}
}

int main(int argc, char **argv)
{
	if (argc > 2)
		return strcmp(argv[1], "bind") ? listen_as(argv[2], argv[3]) : bind_again(argv[2]);
	base = test_sessions_port();
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test_setup_teardown(another_installation_starts_too, setup, teardown),
	        cmocka_unit_test_setup_teardown(those_the_session_around_us_keeps_are_ours, setup, teardown),
	        cmocka_unit_test_setup_teardown(a_child_holds_them_as_long_as_it_lives, setup, teardown),
	        cmocka_unit_test_setup_teardown(a_look_is_in_nobodys_way, setup, teardown),
	        cmocka_unit_test_setup_teardown(what_a_stranger_listens_on_is_not_left, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
