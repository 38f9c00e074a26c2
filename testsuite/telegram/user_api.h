/* The user's side of the built-in Telegram server: what a person, the chat page, `codefoundry chat` and the test runner
 * do. HTTP on the same port as the Bot API; every request needs the key of telegram.json, as
 * `Authorization: Bearer KEY` or `?key=KEY` (else 401).
 *
 *  POST /user/message  {"user":ID,"text":T,"name"?:N,"language"?:"ru","chat"?:ID,"reply_to"?:ID,"edit"?:MESSAGE_ID}
 *                      → {"ok":true,"chat":ID,"message_id":N,"update_id":N}     chat: the private chat by default; a
 *                      negative id is a group, made on first use; edit makes an edited_message update
 *  POST /user/press    {"user":ID,"chat"?:ID,"message_id":N,"data":D} → {"ok":true,"callback_id":"…","update_id":N}
 *                      400 when that message has no such button
 *  POST /user/update   {"update":{…}} → {"ok":true,"update_id":N}    any JSON, delivered as it is; update_id added if absent
 *  POST /user/block    {"user":ID,"blocked":true}                    the bot gets 403 for that chat
 *  GET  /user/events?after=N&chat=ID&wait=SECONDS → {"ok":true,"last":N,"events":[E…]}   long poll, wait ≤ 50; at most 100
 *                      E: {"id":N,"at":ms,"type":"message|edit|delete|action|answer|reaction","chat":ID,"from":"bot|user",
 *                          "message":{Bot API Message, text as sent after entity parsing, "html" as it was sent},
 *                          "callback_id"?, "text"? (answer)}
 *                      chat absent: all chats. after=-1: only what comes from now on (returns "last" at once when wait=0)
 *  GET  /user/file?id=FILE_ID → the bytes of a document the bot sent
 *  GET  /user/commands?language=xx → {"ok":true,"commands":[{"command","description"}]}
 *  GET  /user/state    → {"ok":true,"bot":{"id","username"},"polling":bool,"pending":N,"last_poll_at":ms,
 *                         "users":[{"id","name","role"}],"calls":{"sendMessage":N,…}}
 *  POST /user/fault    {"method":M|"*","times":N,"error_code"?:E,"description"?:D,"retry_after"?:S,"delay_ms"?:N,
 *                       "drop"?:true (close without an answer),"after_effect"?:true (do it, then fail),"html"?:true (answer an HTML page)}
 *                      → {"ok":true}; times 0 removes the method's faults
 *  GET  /              the chat page (key in the fragment: /#key=KEY); GET /health, /metrics without key
 */
#ifndef TESTSUITE_TELEGRAM_USER_API_H
#define TESTSUITE_TELEGRAM_USER_API_H

#include "core/err.h"
#include "core/json.h"

struct user_api;

/** ${base} "http://127.0.0.1:18791". Both are copied. */
struct user_api *user_api_new(const char *base, const char *key);
void user_api_free(struct user_api *api);

/**
 * Blocking calls; ${body} is borrowed. Return the answer's object (cJSON_Delete it), or NULL with ${err}: ERR_DENIED
 * wrong key, ERR_NET not reachable, ERR_INVALID refused (message from the server).
 */
cJSON *user_api_post(struct user_api *api, const char *path, const cJSON *body, struct err *err);
cJSON *user_api_events(struct user_api *api, int64_t chat, int64_t after, int wait_s, struct err *err);
cJSON *user_api_get(struct user_api *api, const char *path_and_query, struct err *err);

#endif
