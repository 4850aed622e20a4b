/* Dates of certificates (RFC 5280 4.1.2.5): UTCTime and GeneralizedTime to and from seconds since
 * 1970.
 *
 * Any thread, pure. Years 0 to 9999, proleptic Gregorian calendar, always UTC ("Z"), seconds
 * present.
 */
#ifndef CORE_CRYPTO_X509_TIME_H
#define CORE_CRYPTO_X509_TIME_H

#include "core/crypto/der.h"

/* 0001-01-01 to 9999-12-31T23:59:59Z: what the writer can say. */
#define X509_TIME_MIN_S (-INT64_C(62135596800))
#define X509_TIME_MAX_S INT64_C(253402300799)

/* Takes one Time element off `in`. False: neither kind, or not a date. */
bool x509_time_take(struct span *in, int64_t *out);
/* Writes UTCTime for 1950 to 2049, GeneralizedTime otherwise. ERR_RANGE: outside the limits
 * above. */
enum err x509_time_put(struct der_writer *w, int64_t when_s) MUST_USE;
/* Days since 0000-01-01 (1970-01-01 is 719528) and seconds of that day. ERR_RANGE: before year 0
 * or beyond 9999. */
enum err x509_time_days(int64_t when_s, uint32_t *days, uint32_t *seconds) MUST_USE;

#endif
