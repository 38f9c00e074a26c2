/* Our gateway with its whole protocol beside echoes that have none. */
#include "bench/bench.h"
#include "bench/load.h"
#include "core/clock.h"
#include "core/mem.h"
#include "core/net.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#define CONNECTIONS 64
#define IDLE 1000
#define WARM_MS 300
#define RUN_MS 1500
#define PING "{\"type\":\"ping\",\"sessionId\":\"0123456789abcdef0123456\"}"

enum { OURS, WS, BARE, SERVERS };
enum { MESSAGES_PER_S, CPU_US, IDLE_BYTES, FIGURES };

static const char *const names[SERVERS] = {"codefoundry", "ws (Node)", "bare C echo"};

static int free_port(void)
{
	struct err err = {0};
	int port = 0, fd = net_listen("127.0.0.1", 0, &port, &err);
	if (fd < 0)
		give_up("%s", err.msg);
	close(fd);
	return port;
}

static int start_ours(struct peer *p, const struct bench *b)
{
	int port = free_port();
	cleanup_free char *listen = mem_printf("GATEWAY_PORT=%d", port);
	cleanup_free char *dir = new_dir(b, "gateway"), *state = mem_printf("STATE_DIR=%s", dir);
	const char *argv[] = {b->program, "--env", "/dev/null", "gateway", NULL};
	const char *env[] = {state, listen, "GATEWAY_HEALTH_PORT=0", "GATEWAY_RATE_LIMIT=0", NULL};
	peer_start(p, b, argv, env);
	peer_wait(p, "");
	return port;
}

static int start_server(struct peer *p, const struct bench *b, int which)
{
	cleanup_free char *modules = mem_printf("NODE_PATH=%s", b->modules);
	cleanup_free char *script = mem_printf("%s/ws_echo.js", b->scripts);
	const char *node[] = {"node", script, NULL}, *bare[] = {b->bare_echo, NULL};
	const char *env[] = {modules, NULL};
	if (which == OURS)
		return start_ours(p, b);
	peer_start(p, b, which == WS ? node : bare, env);
	return atoi(peer_wait(p, "port"));
}

static double idle_bytes(const struct peer *p, int port, bool greeted)
{
	int64_t before = process_kb(p->pid, "smaps_rollup", "Pss");
	struct load *l = load_open(port, IDLE, greeted);
	int64_t after = process_kb(p->pid, "smaps_rollup", "Pss");
	load_close(l);
	return (double)(after - before) * 1024 / IDLE;
}

static void run_round(const struct bench *b, int which, double figures[FIGURES])
{
	struct peer p;
	int port = start_server(&p, b, which);
	figures[IDLE_BYTES] = idle_bytes(&p, port, which == OURS);
	peer_stop(&p);
	port = start_server(&p, b, which);
	struct load *l = load_open(port, CONNECTIONS, which == OURS);
	load_run(l, PING, WARM_MS);
	int64_t cpu = process_cpu_ns(p.pid), began = clock_mono_ms();
	uint64_t answers = load_run(l, PING, RUN_MS);
	figures[MESSAGES_PER_S] = (double)answers * 1000 / (double)(clock_mono_ms() - began);
	figures[CPU_US] = (double)(process_cpu_ns(p.pid) - cpu) / 1000 / (double)answers;
	load_close(l);
	peer_stop(&p);
}

void bench_gateway(const struct bench *b)
{
	double rounds[SERVERS][FIGURES][ROUNDS], middle[SERVERS][FIGURES];
	struct rlimit files;
	if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur < 2 * IDLE &&
	    files.rlim_max >= 2 * IDLE) {
		files.rlim_cur = 2 * IDLE;
		setrlimit(RLIMIT_NOFILE, &files);
	}
	for (size_t r = 0; r < ROUNDS; r++) {
		for (int i = 0; i < SERVERS; i++) {
			double figures[FIGURES];
			run_round(b, i, figures);
			for (int f = 0; f < FIGURES; f++)
				rounds[i][f][r] = figures[f];
		}
	}
	printf("gateway: %zu-byte ping, %d connections in closed loop; memory of %d idle ones; median of "
	       "%d\n",
	       strlen(PING), CONNECTIONS, IDLE, ROUNDS);
	printf("  %-20s %10s %12s %16s\n", "", "messages/s", "CPU/message", "bytes/connection");
	for (int i = 0; i < SERVERS; i++) {
		for (int f = 0; f < FIGURES; f++)
			middle[i][f] = median(rounds[i][f], ROUNDS);
		printf("  %-20s %10.0f %9.2f µs %16.0f\n", names[i], middle[i][MESSAGES_PER_S],
		       middle[i][CPU_US], middle[i][IDLE_BYTES]);
	}
	for (int i = WS; i < SERVERS; i++)
		printf("  ours / %-13s %10.2f %12.2f\n", names[i],
		       middle[OURS][MESSAGES_PER_S] / middle[i][MESSAGES_PER_S],
		       middle[OURS][CPU_US] / middle[i][CPU_US]);
}
