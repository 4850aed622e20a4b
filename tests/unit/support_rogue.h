/* A TLS peer without manners: BearSSL driven directly, with any chain, any key and any settings,
 * that believes whatever certificate it is shown.
 *
 * One thread. The rogue owns nothing; chains and keys are borrowed for its life.
 */
#ifndef TESTS_UNIT_SUPPORT_ROGUE_H
#define TESTS_UNIT_SUPPORT_ROGUE_H

#include "core/crypto/tls_engine.h"
#include "core/crypto/tls_profile.h"

#define SUPPORT_ROGUE_CHAIN 16u
#define SUPPORT_ROGUE_ALERT 21u /* record types */
#define SUPPORT_ROGUE_DATA  23u

struct support_rogue {
    union {
        br_ssl_client_context client;
        br_ssl_server_context server;
    } ctx;
    br_ssl_engine_context *eng;
    const br_x509_class *believe; /* accepts any chain; its context is this struct */
    br_x509_decoder_context decoder;
    unsigned certificates;
    br_ec_private_key key;
    br_x509_certificate chain[SUPPORT_ROGUE_CHAIN];
    size_t chain_len;
    const char *alpn[1];
    uint8_t in[BR_SSL_BUFSIZE_INPUT];
    uint8_t out[BR_SSL_BUFSIZE_OUTPUT];
};

struct support_rogue_options {
    const struct tls_profile *profile;
    const uint8_t *secret; /* NULL: a client that sends no certificate */
    struct span chain[SUPPORT_ROGUE_CHAIN];
    size_t chain_len;
    const char *alpn; /* NULL: none offered */
};

/* Sets everything up short of the reset, so that a test may spoil `eng` further. */
void support_rogue_client(struct support_rogue *r, const struct support_rogue_options *o);
void support_rogue_server(struct support_rogue *r, const struct support_rogue_options *o);
/* Starts; call once after the above. */
void support_rogue_start(struct support_rogue *r, bool server);
/* Moves bytes between the rogue and `e` until both stand still; plaintext for the rogue is
 * dropped. */
void support_rogue_shuttle(struct support_rogue *r, struct tls_engine *e);
/* Sends one record of `type` with `len` bytes; len 0 makes an empty one. */
void support_rogue_record(struct support_rogue *r, struct tls_engine *e, unsigned type,
                          const void *p, size_t len);

#endif
