#include "core/version.h"

const char version_text[] = CODEFOUNDRY_VERSION;
