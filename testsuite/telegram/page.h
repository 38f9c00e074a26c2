/* The web chat page, one self-contained file. */
#ifndef TESTSUITE_TELEGRAM_PAGE_H
#define TESTSUITE_TELEGRAM_PAGE_H

#include "core/http_server.h"

/** Answer with the page. It holds no secret: the key comes from the address's fragment, which browsers do not send. */
void tg_page(struct http_exchange *x);

#endif
