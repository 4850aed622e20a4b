/* Two TLS engines joined in memory: bytes move from one's out to the other's feed until nothing
 * moves.
 *
 * One thread. Engines are owned by the caller.
 */
#ifndef TESTS_UNIT_SUPPORT_TLS_H
#define TESTS_UNIT_SUPPORT_TLS_H

#include "core/crypto/tls_engine.h"

/* Puts plaintext into a sealed record that waits in tls_engine_out: bytes taken, 0 while others
 * wait. */
size_t support_tls_write(struct tls_engine *e, const void *p, size_t len);
/* Moves at most `step` bytes at a time (0: all there is). Plaintext is left unread. True when
 * something moved. */
bool support_tls_move(struct tls_engine *from, struct tls_engine *to, size_t step);
/* Moves both ways until both stand still. */
void support_tls_shuttle(struct tls_engine *a, struct tls_engine *b, size_t step);
/* Takes everything `e` wants to send into `buf`; its length. */
size_t support_tls_drain(struct tls_engine *e, uint8_t *buf, size_t cap);

#endif
