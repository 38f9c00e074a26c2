/* YAML to cJSON through libfyaml, for our own files and what a compose tool resolved: size and aliases are bounded
 * because a 304-byte alias bomb makes 132 MB. */
#ifndef CORE_YAML_H
#define CORE_YAML_H

#include "core/err.h"
#include <cjson/cJSON.h>
#include <stddef.h>

#define YAML_MAX_BYTES (1u << 20)
#define YAML_MAX_ALIASES 64

/** Parse one YAML document. ${name} is used in messages ("file.yml:12:3: …"). Returns the tree, or NULL with ERR_INVALID
 * or ERR_LIMIT. Plain scalars become null, booleans and numbers by YAML 1.2's JSON schema. */
cJSON *yaml_parse(const char *text, size_t len, const char *name, struct err *err);

/** Line (from 1) in ${text} of what stands at ${path} ("/steps/3/expect": keys and list positions), or of the nearest
 * parent that is there; 0 when ${text} cannot be parsed. For messages about a tree that yaml_parse() gave. */
int yaml_line(const char *text, size_t len, const char *path);

#endif
