/* Allocation that cannot fail and cleanup attributes. Out of memory ends the process with one line on stderr:
 * every part recovers from kill -9, so this is the same path, and a tested one (docs/adr/0002). */
#ifndef CORE_MEM_H
#define CORE_MEM_H

#include <stddef.h>

void *mem_alloc(size_t size) __attribute__((malloc, returns_nonnull)); /* zeroed */
void *mem_resize(void *p, size_t count, size_t size) __attribute__((returns_nonnull));
char *mem_strdup(const char *s) __attribute__((malloc, returns_nonnull));
char *mem_strndup(const char *s, size_t n) __attribute__((malloc, returns_nonnull));
char *mem_printf(const char *fmt, ...) __attribute__((format(printf, 1, 2), malloc, returns_nonnull));

/* On owned locals, initialised at declaration: `cleanup_free char *p = NULL;`. Holding something until the end of the
 * block is use enough (clang does not think so). */
#define cleanup_free __attribute__((cleanup(mem_cleanup_free), unused))
#define cleanup_close __attribute__((cleanup(mem_cleanup_close), unused))
void mem_cleanup_free(void *pp);
void mem_cleanup_close(int *fd);

/* Hand an owned pointer over: the local forgets it. */
#define TAKE(p)                                                                                              \
	({                                                                                                   \
		__typeof__(p) take_ = (p);                                                                   \
		(p) = NULL;                                                                                  \
		take_;                                                                                       \
	})

/* Hand an owned file descriptor over. */
#define TAKE_FD(fd)                                                                                          \
	({                                                                                                   \
		int take_ = (fd);                                                                            \
		(fd) = -1;                                                                                   \
		take_;                                                                                       \
	})

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

#endif
