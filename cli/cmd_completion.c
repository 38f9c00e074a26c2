/* `codefoundry completion`: what makes a shell complete its command lines, by asking `codefoundry complete`. */
#include "cli/args.h"
#include "cli/cli.h"
#include "core/embed.h"
#include "core/mem.h"
#include <stdio.h>
#include <string.h>

EMBED(completion_bash, "cli/completion/codefoundry.bash");
EMBED(completion_zsh, "cli/completion/codefoundry.zsh");
EMBED(completion_fish, "cli/completion/codefoundry.fish");

int cli_completion(const struct config *cfg, int argc, char **argv, struct err *err)
{
	static const struct {
		const char *shell, *script;
	} scripts[] = {{"bash", completion_bash}, {"zsh", completion_zsh}, {"fish", completion_fish}};
	static const struct arg table[] = {{0}};
	struct args a = {"codefoundry completion bash|zsh|fish   e.g. source <(codefoundry completion bash)",
	                 table, 1, 1};
	(void)cfg;
	if (args_parse(&a, argc, argv, err))
		return -1;
	for (size_t i = 0; i < ARRAY_LEN(scripts); i++) {
		if (strcmp(scripts[i].shell, a.words[0]) != 0)
			continue;
		fputs(scripts[i].script, stdout);
		return 0;
	}
	return err_set(err, ERR_USAGE, "there is no completion for %s: it is for bash, zsh and fish",
	               a.words[0]);
}
