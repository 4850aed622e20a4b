/* Any bytes from a server, in pieces: the first byte of the input says how long the pieces are and
 * whether the client joins with a pin. */
#include "core/base/check.h"
#include "tests/fuzz/support_tls.h"

#include <sodium.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct support_tls s;
    static const size_t steps[] = {1, 7, 65536, 0};
    struct tls_engine *e;
    uint8_t pin[crypto_hash_sha256_BYTES];
    if (s.profile == NULL) support_tls_init(&s);
    if (size < 1) return 0;
    support_tls_restart();
    bool join = (data[0] & 4) != 0;
    crypto_hash_sha256(pin, s.ca, s.ca_len);
    struct tls_client_options o = {.profile = s.profile,
                                   .self = join ? NULL : s.self,
                                   .trust = join ? NULL : s.trust,
                                   .expect_any_node = !join,
                                   .ca_pin = join ? pin : NULL,
                                   .sni = "n1.node.demo",
                                   .alpn = join ? "parley-join/1" : "h2",
                                   .now_s = SUPPORT_TLS_NOW};
    CHECK(tls_engine_client(&o, &e) == ERR_OK);
    /* The hello leaves first, as it does on a socket. */
    struct span hello = tls_engine_out(e);
    tls_engine_sent(e, hello.len);
    support_tls_exercise(e, data + 1, size - 1, steps[data[0] & 3]);
    return 0;
}
