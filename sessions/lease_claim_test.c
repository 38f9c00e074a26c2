/* What keeps two installations on one host out of each other's ports, and what is counted as left on a leased one. The test program
 * starts itself again: `lease_claim_test listen PORT`. */
#include "core/proc.h"
#include "sessions/marker.h"
#include "sessions/test_lease.h"
#include <fcntl.h>
#include <signal.h>
#include <stddef.h>
#include <sys/un.h>
#include <sys/wait.h>

#define NOBODY 65534

/* Claim as another installation does. Returns the descriptor, or -1 when somebody has claimed it. */
static int claim(const char *what)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	int n = snprintf(a.sun_path + 1, sizeof(a.sun_path) - 1, "codefoundry-%s", what);
	cleanup_close int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	assert_true(fd >= 0);
	return bind(fd, (struct sockaddr *)&a, (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + n))
	               ? -1
	               : TAKE_FD(fd);
}

static int claim_port(int port)
{
	char what[32];
	snprintf(what, sizeof(what), "port-%d", port);
	return claim(what);
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
	cleanup_close int outer = claim_port(base);
	snprintf(range, sizeof(range), "%d-%d", base, base + 15);
	setenv(MARKER_PORTS_KEY, range, 1);
	assert_ok(take(t, "s", &b, err));
	unsetenv(MARKER_PORTS_KEY);
	assert_int_equal(b.port, base);
	snprintf(what, sizeof(what), "inner-port-%d", base + 15);
	assert_int_equal(claim(what), -1);
	lease_unclaim();
}

static const char *const sleeper[] = {"sleep", "600", NULL};

static void a_child_holds_them_as_long_as_it_lives(void **data)
{
	struct test_state *t = *data;
	struct block b;
	struct err err = {0};
	int held[LEASE_PORTS_MAX];
	assert_ok(take(t, "s", &b, err));
	lease_unclaim();
	cleanup_close int theirs = claim_port(b.port + 2);
	assert_int_equal(lease_hold(t->st, "s", held, &err), b.count - 1);
	close(TAKE_FD(theirs));
	/* again: what was somebody else's is taken now, the others are not taken twice */
	assert_int_equal(lease_hold(t->st, "s", held, &err), b.count);
	struct proc_spec spec = PROC_SPEC_INIT;
	spec.argv = sleeper;
	spec.held = held;
	spec.n_held = b.count;
	spec.die_with_parent = true;
	pid_t pid;
	assert_ok(proc_spawn(&spec, &pid, err));
	lease_unclaim();
	assert_true(all_claimed(&b, true));
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	assert_true(all_claimed(&b, false));
	assert_int_equal(lease_hold(t->st, "nobody", held, &err), 0);
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

/* Something that listens on ${port}, with ${marker} (NULL: none). */
static pid_t listener(int port, const char *marker, unsigned uid)
{
	int ends[2];
	char said, number[16], user[16];
	cleanup_free char *var = mem_printf(MARKER_KEY "%s%s", marker ? "=" : "", marker ? marker : "");
	const char *env[] = {var, NULL}, *argv[] = {proc_self(), "listen", number, user, NULL};
	snprintf(number, sizeof(number), "%d", port);
	snprintf(user, sizeof(user), "%u", uid);
	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	struct proc_spec spec = PROC_SPEC_INIT;
	spec.argv = argv;
	spec.env = env;
	spec.out = ends[1];
	spec.die_with_parent = true;
	pid_t pid;
	assert_ok(proc_spawn(&spec, &pid, err));
	close(ends[1]);
	assert_int_equal(read(ends[0], &said, 1), 1);
	close(ends[0]);
	return pid;
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
		pid_t pid = listener(b.port + 5, cases[i].marker, cases[i].uid);
		cleanup_free char *says =
		        mem_printf("process %d (lease_claim_tes) listens on port %d", (int)pid, b.port + 5);
		int held = lease_held(t->st, uuid, true, &who, &err),
		    any = lease_held(t->st, uuid, false, &anybody, &err);
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
		if (held != cases[i].held || any != cases[i].any_user)
			fail_msg("case %zu: %d and %d are held", i, held, any);
		assert_string_equal(who ? who : "", held ? says : "");
		assert_string_equal(anybody ? anybody : "", any ? says : "");
		assert_int_equal(lease_held(t->st, uuid, true, NULL, &err), 0);
	}
}

int main(int argc, char **argv)
{
	if (argc == 4)
		return listen_as(argv[2], argv[3]);
	base = test_sessions_port();
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test_setup_teardown(another_installation_starts_too, setup, teardown),
	        cmocka_unit_test_setup_teardown(those_the_session_around_us_keeps_are_ours, setup, teardown),
	        cmocka_unit_test_setup_teardown(a_child_holds_them_as_long_as_it_lives, setup, teardown),
	        cmocka_unit_test_setup_teardown(what_a_stranger_listens_on_is_not_left, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
