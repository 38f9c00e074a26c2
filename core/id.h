/* Identifiers and random secrets. */
#ifndef CORE_ID_H
#define CORE_ID_H

#include <stdbool.h>
#include <stddef.h>

#define ID_UUID_LEN 36

/** Write a random UUID (version 4, lower case) into ${buf}. */
void id_uuid(char buf[ID_UUID_LEN + 1]);

/** Write the name-based UUID (version 5, RFC 4122) of ${name} in a namespace of our own: the same name always
 * gives the same id, which makes requests repeatable after a crash. */
void id_uuid_of(const char *name, char buf[ID_UUID_LEN + 1]);

bool id_is_uuid(const char *text);

/** Write ${bytes} random bytes as 2*${bytes} lower-case hex digits and a NUL. */
void id_random_hex(char *buf, size_t bytes);

/** Compare in time that depends on ${given}'s length only. False when either is NULL. */
bool id_secret_equal(const char *secret, const char *given);

#endif
