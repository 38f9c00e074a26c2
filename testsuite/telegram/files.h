/* Documents and photos that the bot sent: bytes on disk under ${tg->dir}/telegram-files, the newest ones only. */
#ifndef TESTSUITE_TELEGRAM_FILES_H
#define TESTSUITE_TELEGRAM_FILES_H

#include "testsuite/telegram/tg.h"

/** Keep ${len} bytes. Transfers ${*document}: {"file_name","mime_type","file_id","file_unique_id","file_size"} for kind
 * "document"; for "photo" without name and type but with "width" and "height". */
int tg_files_add(struct tg *tg, const char *kind, const char *name, const void *data, size_t len,
                 cJSON **document, struct err *err);

/** What tg_files_add gave for a file_id: 1 and transfers (${*path} is the one in file_path; may be NULL pointers), 0, -1. */
int tg_files_find(struct tg *tg, const char *file_id, cJSON **document, char **path, struct err *err);

/** The bytes of a file_path: 1 and transfers, 0 unknown, -1. */
int tg_files_read(struct tg *tg, const char *path, char **data, size_t *len, struct err *err);

/** Width and height of a PNG or JPEG; false for anything else. */
bool tg_image_size(const void *data, size_t len, int *width, int *height);

#endif
