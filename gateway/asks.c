#include "gateway/asks.h"
#include "core/mem.h"
#include <stdlib.h>

#define ASKS_MAX 64

struct asks {
	struct loop *loop;
	const struct config *cfg;
	unsigned running;
	loop_fn *closed; /* set once closing */
	void *closed_arg;
};

struct ask {
	uv_work_t work;
	struct asks *asks;
	command_query *query;
	cJSON *args, *runtime, *result;
	struct err err;
	ask_done *done; /* NULL: forgotten */
	void *arg;
};

struct asks *asks_open(struct loop *loop, const struct config *cfg)
{
	struct asks *asks = mem_alloc(sizeof(*asks));
	asks->loop = loop;
	asks->cfg = cfg;
	return asks;
}

/* On a thread of the pool. */
static void work(uv_work_t *w)
{
	struct ask *ask = w->data;
	struct state *st = NULL;
	if (state_open(&st, ask->asks->cfg, &ask->err) == 0)
		ask->result = ask->query(st, ask->args, ask->runtime, &ask->err);
	state_close(st);
}

static void finish_close(struct asks *asks)
{
	loop_fn *closed = asks->closed;
	void *arg = asks->closed_arg;
	free(asks);
	closed(arg);
}

static void after_work(uv_work_t *w, int status)
{
	struct ask *ask = w->data;
	struct asks *asks = ask->asks;
	asks->running--;
	if (status && !ask->err.code)
		err_set(&ask->err, ERR_FAILED, "the query could not be run: %s", uv_strerror(status));
	if (ask->done)
		ask->done(ask->arg, TAKE(ask->result), ask->err.code && !ask->result ? &ask->err : NULL);
	cJSON_Delete(ask->result);
	cJSON_Delete(ask->args);
	cJSON_Delete(ask->runtime);
	free(ask);
	if (asks->closed && asks->running == 0)
		finish_close(asks);
}

struct ask *ask_start(struct asks *asks, command_query *query, const cJSON *args, cJSON *runtime,
                      ask_done *done, void *arg)
{
	if (asks->running >= ASKS_MAX || asks->closed) {
		cJSON_Delete(runtime);
		return NULL;
	}
	struct ask *ask = mem_alloc(sizeof(*ask));
	ask->asks = asks;
	ask->query = query;
	ask->args = cJSON_Duplicate(args, 1);
	ask->runtime = runtime;
	ask->done = done;
	ask->arg = arg;
	ask->work.data = ask;
	asks->running++;
	uv_queue_work(loop_uv(asks->loop), &ask->work, work, after_work);
	return ask;
}

void ask_forget(struct ask *ask)
{
	if (ask)
		ask->done = NULL;
}

void asks_close(struct asks *asks, loop_fn *done, void *arg)
{
	asks->closed = done;
	asks->closed_arg = arg;
	if (asks->running == 0)
		finish_close(asks);
}
