#include "testsuite/telegram/page.h"
#include "core/embed.h"

EMBED(tg_chat_page, "testsuite/telegram/chat.html");

void tg_page(struct http_exchange *x)
{
	http_answer_with(x, 200, "text/html; charset=utf-8", tg_chat_page, embed_size(tg_chat_page),
	                 "Content-Security-Policy",
	                 "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; "
	                 "connect-src 'self';"
	                 " img-src blob: data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'");
}
