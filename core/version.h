/* The version this program was built from, `git describe`; the only object that is compiled anew with every commit. */
#ifndef CORE_VERSION_H
#define CORE_VERSION_H

extern const char version_text[];

#endif
