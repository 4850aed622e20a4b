#include "core/crypto/tls_alert.h"

#include "core/crypto/bear.h"

enum tls_alert tls_alert_of(enum x509_fault f)
{
    switch (f) {
    case X509_NO_CERTIFICATE:
        return ALERT_HANDSHAKE_FAILURE;
    case X509_EXPIRED:
    case X509_NOT_YET_VALID:
        return ALERT_CERTIFICATE_EXPIRED;
    case X509_UNKNOWN_CA:
    case X509_PIN_MISMATCH:
        return ALERT_UNKNOWN_CA;
    case X509_BAD_SIGNATURE:
        return ALERT_DECRYPT_ERROR;
    case X509_OTHER_MESH:
    case X509_OTHER_IDENTITY:
        return ALERT_ACCESS_DENIED;
    case X509_IS_CA:
    case X509_NOT_CA:
    case X509_KEY_USAGE:
    case X509_EXTENDED_KEY_USAGE:
    case X509_UNKNOWN_CRITICAL:
    case X509_KEY_TYPE:
        return ALERT_UNSUPPORTED_CERTIFICATE;
    case X509_NO_URI_SAN:
    case X509_MANY_URI_SANS:
    case X509_BAD_SPIFFE_ID:
    case X509_MALFORMED:
    case X509_TOO_LARGE:
    case X509_CHAIN_TOO_LONG:
        return ALERT_BAD_CERTIFICATE;
    case X509_OK:
    case X509_OTHER:
    case X509_FAULT_COUNT:
        break;
    }
    return ALERT_CERTIFICATE_UNKNOWN;
}

enum err tls_alert_error(enum x509_fault f)
{
    switch (tls_alert_of(f)) {
    case ALERT_CERTIFICATE_EXPIRED:
        return f == X509_EXPIRED ? ERR_EXPIRED : ERR_NOT_YET_VALID;
    case ALERT_UNKNOWN_CA:
        return ERR_UNTRUSTED;
    case ALERT_ACCESS_DENIED:
        return ERR_MISMATCH;
    case ALERT_CLOSE_NOTIFY:
    case ALERT_NO_RENEGOTIATION:
    case ALERT_HANDSHAKE_FAILURE:
    case ALERT_BAD_CERTIFICATE:
    case ALERT_UNSUPPORTED_CERTIFICATE:
    case ALERT_CERTIFICATE_UNKNOWN:
    case ALERT_DECRYPT_ERROR:
        break;
    }
    return ERR_AUTH;
}

/* A fatal alert that says "your certificate": 40 to 46 and 48 to 51 without the codes between. */
bool tls_alert_refuses_us(int br_error)
{
    int alert = br_error - BR_ERR_RECV_FATAL_ALERT;
    return (alert >= ALERT_HANDSHAKE_FAILURE && alert <= ALERT_CERTIFICATE_UNKNOWN) ||
           alert == ALERT_UNKNOWN_CA || alert == ALERT_ACCESS_DENIED ||
           alert == ALERT_DECRYPT_ERROR;
}
