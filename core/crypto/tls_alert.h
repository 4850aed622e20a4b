/* TLS alerts that we send or understand (RFC 5246 7.2): which one a certificate's fault is told by,
 * and what one that comes means.
 *
 * Any thread. core/crypto/ only.
 */
#ifndef CORE_CRYPTO_TLS_ALERT_H
#define CORE_CRYPTO_TLS_ALERT_H

#include "core/base/err.h"
#include "core/crypto/x509_check.h"

enum tls_alert_level { ALERT_WARNING = 1, ALERT_FATAL = 2 };

enum tls_alert {
    ALERT_CLOSE_NOTIFY = 0,
    ALERT_HANDSHAKE_FAILURE = 40,
    ALERT_BAD_CERTIFICATE = 42,
    ALERT_UNSUPPORTED_CERTIFICATE = 43,
    ALERT_CERTIFICATE_EXPIRED = 45,
    ALERT_CERTIFICATE_UNKNOWN = 46,
    ALERT_UNKNOWN_CA = 48,
    ALERT_ACCESS_DENIED = 49,
    ALERT_DECRYPT_ERROR = 51,
    ALERT_NO_RENEGOTIATION = 100
};

/* The one that a peer with this fault in its certificate is sent. */
enum tls_alert tls_alert_of(enum x509_fault f);
/* ERR_EXPIRED, ERR_NOT_YET_VALID, ERR_UNTRUSTED, ERR_MISMATCH, or ERR_AUTH. */
enum err tls_alert_error(enum x509_fault f);
/* Whether BearSSL's error is a fatal alert that came and says: your certificate. */
bool tls_alert_refuses_us(int br_error);

#endif
