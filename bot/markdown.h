/* Markdown, as gateways and language models write it, to the HTML subset that Telegram takes (Bot API, "HTML style"):
 * b i s code pre a blockquote. Tables become pre, lists bullets. The output is always well formed. */
#ifndef BOT_MARKDOWN_H
#define BOT_MARKDOWN_H

#include "core/str.h"

/** Append ${text} as HTML; what the parser refuses is appended as escaped plain text. */
void markdown_html(const char *text, struct str *out);

#endif
