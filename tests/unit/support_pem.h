/* Certificates and keys in PEM, for tests of what operators bring.
 *
 * `cert` is of `key_sec1`, which `key_pkcs8` is too (RFC 5958); `key_other` is another, behind its
 * parameters; `cert_rsa` is of an RSA key.
 */
#ifndef TESTS_UNIT_SUPPORT_PEM_H
#define TESTS_UNIT_SUPPORT_PEM_H

extern const char support_pem_cert[];
extern const char support_pem_key_pkcs8[];
extern const char support_pem_key_sec1[];
extern const char support_pem_key_other[];
extern const char support_pem_cert_rsa[];

#endif
