/* What one frame of a client means: commands, chats with their questions, subscriptions. Behind it are requests. */
#ifndef GATEWAY_DISPATCH_H
#define GATEWAY_DISPATCH_H

#include "gateway/client.h"
#include "gateway/protocol.h"

/** Greet a new client. */
void dispatch_welcome(struct client *client);

/** Answer one text frame, now or later; whatever it holds. */
void dispatch_text(struct client *client, const char *text, size_t len);

/** Refuse one text frame with ${fault}, under its own correlation id. */
void dispatch_refuse(struct client *client, const char *text, size_t len, const struct fault *fault);

/** Send an event of job ${kind} to ${client} when it subscribed to such. */
void dispatch_event(struct client *client, const struct job_event *event, const char *kind);

#endif
