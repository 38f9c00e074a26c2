/* Process 1 of a container. The kernel delivers to process 1 only the signals it handles and makes it the parent of every
 * orphan, so the program stays there as a small init and does its work in a child. */
#ifndef CORE_INIT_H
#define CORE_INIT_H

#include <stdbool.h>

/**
 * In any process but number 1: nothing. In process 1: fork, and return in the child only. The parent hands signals on to the
 * child, reaps whatever dies, and exits when the child does, with its exit code or 128 + signal; the kernel then ends what is
 * left in the container. Signals the terminal sends are not handed on: the child is in the same group and had them already.
 */
void init_split(void);

/** Whether this process does the work of process 1: when it ends, the container does. */
bool init_is_main(void);

#endif
