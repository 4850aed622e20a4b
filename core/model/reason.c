#include "core/model/reason.h"

#include "core/base/check.h"

#include <stddef.h>

struct reason_row {
    const char *word;
    unsigned status;
};

#define REASON_ROW(code, word, status) {word, status},
static const struct reason_row row[REASON_COUNT] = {REASON_LIST(REASON_ROW)};
#undef REASON_ROW

const char *reason_word(enum reason r)
{
    CHECK((size_t)r < REASON_COUNT);
    return row[r].word;
}

unsigned reason_status(enum reason r)
{
    CHECK((size_t)r < REASON_COUNT);
    return row[r].status;
}
