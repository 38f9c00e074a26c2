/* Our bot and Telegraf, the fastest of its peers, answer the same updates of the same server with the same text. */
#include "bench/bench.h"
#include "core/clock.h"
#include "core/mem.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define UPDATES 5000

enum { OURS, TELEGRAF, BOTS };
enum { REPLIES_PER_S, CPU_US, PEAK_MB, ANONYMOUS_MB, FIGURES };

static const char *const names[BOTS] = {"codefoundry", "Telegraf"};

static void start_bot(struct peer *bot, const struct bench *b, int which, const char *port, const char *text)
{
	cleanup_free char *url = mem_printf("TELEGRAM_API_URL=http://127.0.0.1:%s", port);
	cleanup_free char *dir = new_dir(b, "bot"), *state = mem_printf("STATE_DIR=%s", dir);
	cleanup_free char *say = mem_printf("BENCH_TEXT=%s", text);
	cleanup_free char *modules = mem_printf("NODE_PATH=%s", b->modules);
	cleanup_free char *script = mem_printf("%s/telegraf.js", b->scripts);
	const char *ours[] = {b->program, "--env", "/dev/null", "bot", NULL},
	           *theirs[] = {"node", script, NULL};
	const char *env[] = {url,
	                     state,
	                     say,
	                     modules,
	                     "TELEGRAM_BOT_TOKEN=123456:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
	                     "TELEGRAM_RATE_LIMIT=off",
	                     "AUTHORIZED_USER_IDS=*",
	                     "BOT_PORT=0",
	                     "GATEWAY_URL=ws://127.0.0.1:9",
	                     NULL};
	peer_start(bot, b, which == OURS ? ours : theirs, env);
}

/* ${text}: what the bot says; ours tells, Telegraf is told. */
static void run_round(const struct bench *b, int which, double figures[FIGURES], char **text)
{
	cleanup_free char *script = mem_printf("%s/bot_api.js", b->scripts);
	const char *argv[] = {"node", script, NULL};
	struct peer server, bot;
	peer_start(&server, b, argv, NULL);
	start_bot(&bot, b, which, peer_wait(&server, "port"), *text ? *text : "");
	peer_wait(&server, "begin");
	int64_t cpu = process_cpu_ns(bot.pid);
	const char *said = peer_wait(&server, "text");
	if (!*text)
		*text = mem_strdup(said);
	double seconds = atof(peer_wait(&server, "done")) / 1000;
	peer_wait(&server, "quiet"); /* ours still records what was sent: that counts */
	figures[REPLIES_PER_S] = UPDATES / seconds;
	figures[CPU_US] = (double)(process_cpu_ns(bot.pid) - cpu) / 1000 / UPDATES;
	figures[PEAK_MB] = (double)process_kb(bot.pid, "status", "VmHWM") / 1024;
	figures[ANONYMOUS_MB] = (double)process_kb(bot.pid, "status", "RssAnon") / 1024;
	peer_stop(&bot);
	peer_stop(&server);
}

void bench_bot(const struct bench *b)
{
	double rounds[BOTS][FIGURES][ROUNDS], middle[BOTS][FIGURES];
	cleanup_free char *text = NULL;
	for (size_t r = 0; r < ROUNDS; r++) {
		for (int i = 0; i < BOTS; i++) {
			double figures[FIGURES];
			run_round(b, i, figures, &text);
			for (int f = 0; f < FIGURES; f++)
				rounds[i][f][r] = figures[f];
		}
	}
	printf("bot: %d /start over 100 chats, 100 per poll; median of %d alternating rounds\n", UPDATES,
	       ROUNDS);
	printf("  %-14s %10s %12s %10s %10s\n", "", "replies/s", "CPU/update", "peak RSS", "anonymous");
	for (int i = 0; i < BOTS; i++) {
		for (int f = 0; f < FIGURES; f++)
			middle[i][f] = median(rounds[i][f], ROUNDS);
		printf("  %-14s %10.0f %9.1f µs %7.1f MB %7.1f MB\n", names[i], middle[i][REPLIES_PER_S],
		       middle[i][CPU_US], middle[i][PEAK_MB], middle[i][ANONYMOUS_MB]);
	}
	printf("  %-14s", "ratio");
	for (int f = 0; f < FIGURES; f++)
		printf(f == CPU_US ? " %12.2f" : " %10.2f", middle[OURS][f] / middle[TELEGRAF][f]);
	printf("\n");
}
