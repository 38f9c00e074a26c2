/* `codefoundry image …`: the product's one container image, made by the program of itself. */
#include "cli/args.h"
#include "cli/cli.h"
#include "cli/term.h"
#include "compose/image.h"
#include "core/clock.h"
#include "core/mem.h"
#include <stdio.h>

#define MIB ((double)(1 << 20))

static char *cache_dir(const struct config *cfg)
{
	cleanup_free char *dir = state_dir(cfg);
	return mem_printf("%s/cache", dir);
}

static int verb_build(const struct config *cfg, int argc, char **argv, struct err *err)
{
	bool json = false;
	const struct arg table[] = {{"json", ARG_FLAG, &json}, {0}};
	struct args a = {"codefoundry image build [--json]", table};
	if (args_parse(&a, argc, argv, err))
		return -1;
	int64_t start = clock_mono_ms();
	cleanup_free char *cache = cache_dir(cfg), *reference = image_reference(cache, err);
	int present = reference ? image_present(reference, err) : -1;
	if (present < 0 || image_ensure(reference, cache, NULL, err) || image_make_latest(reference, err))
		return -1;
	if (json) {
		cleanup_json cJSON *j = json_object();
		json_add_text(j, "reference", reference);
		json_add_bool(j, "made", !present);
		term_json(j);
		return 0;
	}
	if (present)
		printf("%s is there already\n", reference);
	else
		printf("%s is made (%.1f s)\n", reference, (double)(clock_mono_ms() - start) / 1000);
	return 0;
}

static void print_info(const cJSON *info)
{
	printf("%s\n  id          %s\n  files       %lld\n  unpacked    %.1f MiB\n  compressed  %.1f MiB\n",
	       json_text(info, "reference"), json_text(info, "id"), (long long)json_int(info, "files", 0),
	       (double)json_int(info, "layer_bytes", 0) / MIB,
	       (double)json_int(info, "compressed_bytes", 0) / MIB);
}

static int verb_save(const struct config *cfg, int argc, char **argv, struct err *err)
{
	bool json = false;
	const struct arg table[] = {{"json", ARG_FLAG, &json}, {0}};
	struct args a = {"codefoundry image save FILE [--json]   (for `docker load -i FILE` elsewhere)",
	                 table, .least = 1, .most = 1};
	cleanup_json cJSON *info = NULL;
	if (args_parse(&a, argc, argv, err))
		return -1;
	cleanup_free char *cache = cache_dir(cfg);
	if (image_save(a.words[0], cache, &info, err))
		return -1;
	if (json)
		term_json(info);
	else
		print_info(info);
	return 0;
}

static int verb_show(const struct config *cfg, int argc, char **argv, struct err *err)
{
	bool json = false;
	const struct arg table[] = {{"json", ARG_FLAG, &json}, {0}};
	struct args a = {"codefoundry image show [--json]", table};
	cleanup_json cJSON *info = NULL;
	struct err why = {0};
	if (args_parse(&a, argc, argv, err))
		return -1;
	cleanup_free char *cache = cache_dir(cfg);
	if (image_save("/dev/null", cache, &info, err))
		return -1;
	int present = image_present(json_text(info, "reference"), &why);
	json_add_bool(info, "present", present > 0);
	if (json) {
		term_json(info);
		return 0;
	}
	print_info(info);
	printf("  engine      %s\n", present < 0 ? why.msg
	                             : present   ? "has it"
	                                         : "has it not: `codefoundry image build`");
	return 0;
}

int cli_image(const struct config *cfg, int argc, char **argv, struct err *err)
{
	static const struct cli_verb verbs[] = {
	        {"build", "build [--json]", "make the image and give it to the engine, unless it has it",
	         verb_build},
	        {"save", "save FILE [--json]", "write it as an archive for `docker load`", verb_save},
	        {"show", "show [--json]", "its name, size and whether the engine has it", verb_show},
	        {NULL}};
	return cli_group("image", verbs, cfg, argc, argv, err);
}
