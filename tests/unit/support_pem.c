#include "tests/unit/support_pem.h"

/* openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes; the key in PKCS 8 and, by
 * openssl ec, in SEC 1; another by openssl ecparam -genkey; one by openssl req -newkey rsa. */
const char support_pem_cert[] = "-----BEGIN CERTIFICATE-----\n"
                                "MIIBfzCCASSgAwIBAgIUFKePiv5L0/0H0Dqa5q0vAxxgGTcwCgYIKoZIzj0EAwIw\n"
                                "DDEKMAgGA1UEAwwBeDAeFw0yNjExMjMwNzUyMzlaFw0zNjExMjAwNzUyMzlaMAwx\n"
                                "CjAIBgNVBAMMAXgwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAAR61O2rbqQxSHcb\n"
                                "X95F2sBK1Ca31Ahre7PM8iKSFAkYG47TuFhSr7+8492YAFGjpuiNA2nY0A5+q4Wq\n"
                                "JfLXQ9Ayo2QwYjAdBgNVHQ4EFgQUKTx/LWHBLfrKhZjx4v7jO8YPWlQwHwYDVR0j\n"
                                "BBgwFoAUKTx/LWHBLfrKhZjx4v7jO8YPWlQwDwYDVR0TAQH/BAUwAwEB/zAPBgNV\n"
                                "HREECDAGhwR/AE0BMAoGCCqGSM49BAMCA0kAMEYCIQDXDCxQBDioqu3QgYGI1wCl\n"
                                "fIDqe9ZfMotZuLJdr52JawIhAJiayOxCWmQafQOF0uwY2Awpk54HQIulQ0jR7+hp\n"
                                "AXTU\n"
                                "-----END CERTIFICATE-----\n";
const char support_pem_key_pkcs8[] =
    "-----BEGIN PRIVATE KEY-----\n"
    "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgPL4juMfNu7Xd6n6e\n"
    "AN0W4s11Wq0bbv/IlNuQmaDxTrmhRANCAAR61O2rbqQxSHcbX95F2sBK1Ca31Ahr\n"
    "e7PM8iKSFAkYG47TuFhSr7+8492YAFGjpuiNA2nY0A5+q4WqJfLXQ9Ay\n"
    "-----END PRIVATE KEY-----\n";
const char support_pem_key_sec1[] =
    "-----BEGIN EC PRIVATE KEY-----\n"
    "MHcCAQEEIDy+I7jHzbu13ep+ngDdFuLNdVqtG27/yJTbkJmg8U65oAoGCCqGSM49\n"
    "AwEHoUQDQgAEetTtq26kMUh3G1/eRdrAStQmt9QIa3uzzPIikhQJGBuO07hYUq+/\n"
    "vOPdmABRo6bojQNp2NAOfquFqiXy10PQMg==\n"
    "-----END EC PRIVATE KEY-----\n";
const char support_pem_key_other[] =
    "-----BEGIN EC PARAMETERS-----\n"
    "BggqhkjOPQMBBw==\n"
    "-----END EC PARAMETERS-----\n"
    "-----BEGIN EC PRIVATE KEY-----\n"
    "MHcCAQEEIFjOq3RTwUgsfLTtoRFYxgRqG5q6+G2FIi6OCHbv0DQeoAoGCCqGSM49\n"
    "AwEHoUQDQgAEcXvJTUkM9+nF/hxcKWr4W4xk0yYriFwPC737OaYXmyCT05Si/aR9\n"
    "NCOoYh+GmZEmqkixEec9c4BvQshEHFX/oQ==\n"
    "-----END EC PRIVATE KEY-----\n";
const char support_pem_cert_rsa[] =
    "-----BEGIN CERTIFICATE-----\n"
    "MIIC+TCCAeGgAwIBAgIUVOsY5GYSLC08OnEjdmpozWHAUuYwDQYJKoZIhvcNAQEL\n"
    "BQAwDDEKMAgGA1UEAwwBcjAeFw0yNjExMjMwNzUyMzlaFw0zNjExMjAwNzUyMzla\n"
    "MAwxCjAIBgNVBAMMAXIwggEiMA0GCSqGSIb3DQEBAQUAA4IBDwAwggEKAoIBAQCl\n"
    "AIEVOlqfc4C04ILjOUAdWkqSLkvA8+OET0sljq5VpVimKEABRlWdzVsEz13KtGT0\n"
    "y9kj2CF8oT3bXviN5Z71FLLZ8DYHZVByiTwFztGP9BbyrVCNMwXizV6j9G26hgkz\n"
    "6zwi5+plJWx2UJS02AdySHjeWM9LzYT1GBa5RvnP7glyFUIjc6IdB6Uuvpe7hHuz\n"
    "lBzyrGmsMG6186qR4fPi5qauwhYv7G17y8+7eG01m3KoppA9jzZPX25VU2YgoZnI\n"
    "fnuxf/gqlkddkEE6IkNzybVb547tNgRacBhAOsN46jLAVc96MdC1nnBlOImWeI6H\n"
    "45OGugAT3jZ0aF018LR3AgMBAAGjUzBRMB0GA1UdDgQWBBQGhW/Vm6C69JN6Cu9/\n"
    "+exlV7qIfDAfBgNVHSMEGDAWgBQGhW/Vm6C69JN6Cu9/+exlV7qIfDAPBgNVHRMB\n"
    "Af8EBTADAQH/MA0GCSqGSIb3DQEBCwUAA4IBAQBo2Mqid4XuPry1fTOliBhc1g8+\n"
    "S3q23uxo8W1j8AFBH5jViBJjp5gZI5plGegW/XBFop+H5ZMSmNNDv6c5sxBliRen\n"
    "IpsUqp1ezwaFMAOhTPTS0fODYtMZHmlHXJ4NAq1nfy/01lV33Bj/xlW3f9BQP5lk\n"
    "5o0eKpo6un+xfDQf7CHd7RE5TJmQCTn+NWyWzTJSGPQtxmHEF6rwYVw0MZHyTN73\n"
    "PztL2IaKauL5NS2VtDP4Pj2uSWyrm7eqNwhx7RnGBssF27P5x7Hm28WYQVxro/Cu\n"
    "1ihc4ziFvfAHVYVQg0Kx5BgXu2+gBgIGfVBDkenl8kReT+bDqdPEXW7iKbRs\n"
    "-----END CERTIFICATE-----\n";
