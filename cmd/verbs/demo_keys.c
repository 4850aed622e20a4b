#include "cmd/verbs/demo_keys.h"

#include "core/base/check.h"

#include <unistd.h>

static void on_ready(struct loop_io *io, bool readable, bool writable)
{
    struct demo_keys *k = CONTAINER_OF(io, struct demo_keys, io);
    char key[16];
    (void)readable;
    (void)writable;
    ssize_t n = read(STDIN_FILENO, key, sizeof key);
    if (n <= 0) {
        loop_io_set(k->loop, &k->io, false, false);
        return;
    }
    for (ssize_t i = 0; i < n; i++)
        k->on_key(k, key[i]);
}

void demo_keys_start(struct demo_keys *k, struct loop *l)
{
    /* In the background a change of the mode would stop us. */
    if (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO)) return;
    if (tcgetpgrp(STDIN_FILENO) != getpgrp()) return;
    if (tcgetattr(STDIN_FILENO, &k->before) != 0) return;
    struct termios mode = k->before;
    mode.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
    mode.c_cc[VMIN] = 1;
    mode.c_cc[VTIME] = 0;
    if (tcsetattr(STDIN_FILENO, TCSANOW, &mode) != 0) return;
    k->loop = l;
    loop_io_init(&k->io, STDIN_FILENO, on_ready);
    loop_io_set(l, &k->io, true, false);
}

void demo_keys_stop(struct demo_keys *k)
{
    if (!k->loop) return;
    loop_io_set(k->loop, &k->io, false, false);
    (void)tcsetattr(STDIN_FILENO, TCSANOW, &k->before);
    k->loop = NULL;
}
