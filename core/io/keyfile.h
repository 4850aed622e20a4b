/* Key files: secrets on disk, readable by their owner only and checked for damage.
 *
 * Control thread and offline verbs; calls block. A key file is one line:
 *
 *   parley-key-1 TYPE BASE64 CRC\n      TYPE: a name; BASE64: the bytes (RFC 4648 4);
 *                                        CRC: CRC-32 (IEEE 802.3) of "TYPE BASE64", 8 hex digits
 *
 * The checksum finds flipped bits and cut files (security.md N09), it is no protection. Secrets
 * stay in locked memory (crypto/secret) on the way; the owner must be this process's user (root may
 * read anybody's) and the mode must deny group and others.
 */
#ifndef CORE_IO_KEYFILE_H
#define CORE_IO_KEYFILE_H

#include "core/base/err.h"
#include "core/base/strbuf.h"

#define KEYFILE_SECRET_MAX 512u   /* bytes of a secret */
#define KEYFILE_TYPE_MAX   31u    /* characters of a type */
#define KEYFILE_BYTES_MAX  65536u /* of a file in any format */

/* Replaces or makes the file with mode 0600 (core/io/file). `type`: 1 to KEYFILE_TYPE_MAX of a-z,
 * 0-9, '-'. ERR_INVALID: type or length; ERR_NOMEM; else as file_write. */
enum err keyfile_store(const char *path, const char *type, const void *secret, size_t len) MUST_USE;
/* Reads exactly `len` bytes into `secret`, which the caller keeps in locked memory and which is
 * untouched on failure. ERR_NOT_FOUND; ERR_PERM: not readable, a link, another's, or open to
 * others; ERR_CORRUPT: not in this form or damaged; ERR_MISMATCH: another type or length;
 * ERR_NOMEM, ERR_IO. */
enum err keyfile_load(const char *path, const char *type, void *secret, size_t len) MUST_USE;
/* Appends a secret file of any format (PEM) to `out`, with the same demands on owner and mode. The
 * caller wipes `out`; it should be fixed, growing leaves copies. Errors as keyfile_load, and
 * ERR_TOO_LARGE: over `out`'s bound or KEYFILE_BYTES_MAX. */
enum err keyfile_read(const char *path, struct strbuf *out) MUST_USE;

#endif
