/* YAML to cJSON through libfyaml, for our own files and what a compose tool resolved: size and aliases are bounded
 * because a 304-byte alias bomb makes 132 MB. */
#ifndef CORE_YAML_H
#define CORE_YAML_H

#include "core/err.h"
#include <cjson/cJSON.h>
#include <stddef.h>

#define YAML_MAX_BYTES (1u << 20)
#define YAML_MAX_ALIASES 64

/** Parse one YAML document (JSON is YAML too). ${name} is used in messages ("file.yml:12:3: …"). Returns the tree, or NULL
 * with ERR_INVALID or ERR_LIMIT. Plain scalars become null (also ~ and nothing), booleans (true, false) and numbers as
 * JSON writes them; yes, on, 010 and 0x1f stay text. Aliases and merge keys (<<) are resolved; duplicate keys, keys that
 * are no text, tags other than !!str, integers over 2^53, depth over 64 and more than 20,000 values are refused. An empty
 * text gives null. */
cJSON *yaml_parse(const char *text, size_t len, const char *name, struct err *err);

/** The same for what PyYAML printed (docker-compose 1.x): 123e45 is text, as is an integer over 2^53. What else PyYAML and YAML 1.2
 * read in different ways it prints in quotes. */
cJSON *yaml_parse_pyyaml(const char *text, size_t len, const char *name, struct err *err);

/** Line (from 1) in ${text} of what stands at ${path} ("/steps/3/expect": keys and list positions), or of the nearest
 * parent that is there; 0 when ${text} cannot be parsed. For messages about a tree that yaml_parse() gave. */
int yaml_line(const char *text, size_t len, const char *path);

#endif
