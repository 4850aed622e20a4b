#include "tests/unit/support_tls.h"

#include "core/base/check.h"

size_t support_tls_write(struct tls_engine *e, const void *p, size_t len)
{
    static _Thread_local uint8_t record[TLS_RECORD_BYTES_MAX];
    if (!tls_engine_lend(e, record, sizeof(record))) return 0;
    size_t n = tls_engine_write(e, p, len);
    tls_engine_flush(e);
    CHECK(tls_engine_take_back(e) == ERR_OK);
    return n;
}

bool support_tls_move(struct tls_engine *from, struct tls_engine *to, size_t step)
{
    struct span out = tls_engine_out(from);
    if (out.len == 0) return false;
    size_t n = step > 0 && step < out.len ? step : out.len;
    size_t used = tls_engine_feed(to, out.p, n);
    tls_engine_sent(from, used);
    return used > 0;
}

void support_tls_shuttle(struct tls_engine *a, struct tls_engine *b, size_t step)
{
    bool moved = true;
    while (moved) {
        moved = support_tls_move(a, b, step);
        moved = support_tls_move(b, a, step) || moved;
    }
}

size_t support_tls_drain(struct tls_engine *e, uint8_t *buf, size_t cap)
{
    size_t len = 0;
    for (struct span out = tls_engine_out(e); out.len > 0; out = tls_engine_out(e)) {
        CHECK(out.len <= cap - len);
        memcpy(buf + len, out.p, out.len);
        len += out.len;
        tls_engine_sent(e, out.len);
    }
    return len;
}
