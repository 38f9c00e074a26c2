/* Files of the source tree inside the program, NUL-terminated, found relative to the source root. */
#ifndef CORE_EMBED_H
#define CORE_EMBED_H

#include <stddef.h>

/* EMBED(chat_page, "testsuite/telegram/chat.html"); gives `const char chat_page[]` and `embed_size(chat_page)`. */
#define EMBED(name, path)                                                                                    \
	__asm__(".pushsection .rodata\n.global " #name "\n.balign 16\n" #name ":\n.incbin \"" path           \
	        "\"\n.global " #name "_end\n" #name "_end:\n.byte 0\n.popsection\n");                        \
	extern const char name[];                                                                            \
	extern const char name##_end[]
#define embed_size(name) ((size_t)(name##_end - name))

#endif
