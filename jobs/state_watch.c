#include "jobs/state_watch.h"
#include "core/mem.h"
#include <stdlib.h>

struct state_watch {
	struct state *st;
	struct loop *loop;
	struct loop_timer *timer;
	bool lost;
};

int64_t state_watch_ms = 2000;

static void look(void *arg)
{
	struct state_watch *watch = arg;
	watch->lost = db_moved(watch->st->db);
	if (watch->lost)
		loop_stop(watch->loop);
}

struct state_watch *state_watch_new(struct state *st, struct loop *loop)
{
	struct state_watch *watch = mem_alloc(sizeof(*watch));
	watch->st = st;
	watch->loop = loop;
	watch->timer = loop_timer_new(loop, look, watch);
	loop_timer_set(watch->timer, state_watch_ms, state_watch_ms);
	return watch;
}

int state_watch_end(struct state_watch *watch, struct err *err)
{
	bool lost = watch && watch->lost;
	if (lost)
		err_set(err, ERR_STATE,
		        "%s/codefoundry.db was removed, replaced or moved while this ran: start it again "
		        "(`codefoundry up` does so by itself); sessions come back with `codefoundry session "
		        "reap`",
		        watch->st->dir);
	if (watch)
		loop_timer_free(watch->timer);
	free(watch);
	return lost ? -1 : 0;
}
