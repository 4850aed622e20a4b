#include "core/base/check.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct message {
    char text[512];
    size_t len;
};

/* One byte stays free for the newline. */
static void message_add(struct message *m, const char *s)
{
    size_t room = sizeof(m->text) - 1 - m->len;
    size_t len = strlen(s);
    if (len > room) len = room;
    memcpy(m->text + m->len, s, len);
    m->len += len;
}

static void message_add_int(struct message *m, int v)
{
    char digits[16];
    size_t at = sizeof(digits) - 1;
    unsigned rest = v < 0 ? 0u : (unsigned)v;
    digits[at] = '\0';
    do {
        digits[--at] = (char)('0' + rest % 10);
        rest /= 10;
    } while (rest > 0);
    message_add(m, digits + at);
}

void check_fail(const char *cond, const char *file, int line, const char *func)
{
    struct message m = {.len = 0};
    message_add(&m, "check failed: ");
    message_add(&m, cond);
    message_add(&m, " at ");
    message_add(&m, file);
    message_add(&m, ":");
    message_add_int(&m, line);
    message_add(&m, " in ");
    message_add(&m, func);
    m.text[m.len++] = '\n';
    /* There is nobody left to tell when even this write fails. */
    ssize_t written = write(2, m.text, m.len);
    (void)written;
    abort();
}
