/* One line on what runs sessions, for `status` and `info`: quick also when Docker is down or hangs. */
#ifndef CLI_ENGINE_LINE_H
#define CLI_ENGINE_LINE_H

#include "core/json.h"
#include "core/str.h"
#include "jobs/state.h"

/** {"name":"compose|process","docker"|"podman"?:version,"tool"?:"docker-compose 1.29.2","why"?: what is missing}. The engine is given
 * half a second. The compose tools, of which some take half a second to tell their version, are asked once and again when
 * one of them changes; the answer is kept in the state directory. */
cJSON *engine_line(struct state *st);

/** Append "compose (Docker 20.10.24, docker-compose 1.29.2)". */
void engine_line_text(const cJSON *line, struct str *out);

#endif
