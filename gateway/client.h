/* One connected client as the parts behind the socket see it. */
#ifndef GATEWAY_CLIENT_H
#define GATEWAY_CLIENT_H

#include "core/id.h"
#include "core/json.h"
#include "gateway/hub.h"

struct request;

struct client {
	struct hub *hub;
	char id[ID_UUID_LEN + 1];
	cJSON *sid; /* the id as JSON: correlation id of requests that bring none */
	enum role role;
	char peer[64];            /* numeric address */
	struct request *requests; /* under way */
	unsigned topics;          /* subscribed to */
	cJSON *topics_sid;        /* correlation id of the subscription */
	void (*send)(struct client *client, const char *text, size_t len);
};

/** Send ${frame} (transferred) as valid UTF-8. */
void client_send(struct client *client, cJSON *frame);

#endif
