/* Telegram's HTML: measured, split and stripped. What it holds is our own or markdown's output, but what arrives
 * broken comes out as pieces that are no more broken than before. */
#ifndef BOT_HTML_H
#define BOT_HTML_H

#include "core/str.h"
#include <stddef.h>

#define HTML_MESSAGE_UNITS 4096 /* Bot API: sendMessage, "1-4096 characters after entities parsing" */

/** Length as Telegram counts it: UTF-16 code units of what is seen. */
size_t html_units(const char *html);

/**
 * Cut into pieces of at most ${max_units}: at the end of a line if that wastes less than half, else at a space, else
 * between characters; never within a tag or an entity. Tags that are open at a cut are closed and opened again.
 * Returns their number (0 when nothing is to be seen) and transfers ${*pieces}: free each and the array.
 */
size_t html_split(const char *html, size_t max_units, char ***pieces);

/** Append what is seen of ${html}, without tags and with entities resolved. */
void html_plain(const char *html, struct str *out);

#endif
