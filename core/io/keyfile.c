#define _GNU_SOURCE
#include "core/io/keyfile.h"

#include "core/base/check.h"
#include "core/crypto/secret.h"
#include "core/io/file.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <sys/stat.h>
#include <unistd.h>

#define WORD           "parley-key-1 "
#define CRC_HEX_BYTES  8u
#define BASE64_MAX     sodium_base64_ENCODED_LEN(KEYFILE_SECRET_MAX, sodium_base64_VARIANT_ORIGINAL)
#define LINE_BYTES_MAX (sizeof(WORD) + KEYFILE_TYPE_MAX + 1 + BASE64_MAX + 1 + CRC_HEX_BYTES + 1)

/* IEEE 802.3, reflected, bit by bit: a line a start is not worth a table. */
static uint32_t crc32_of(struct span s)
{
    uint32_t crc = UINT32_MAX;
    for (size_t i = 0; i < s.len; i++) {
        crc ^= (uint8_t)s.p[i];
        for (unsigned bit = 0; bit < 8; bit++)
            crc = (crc >> 1) ^ ((crc & 1u) != 0 ? 0xedb88320u : 0u);
    }
    return ~crc;
}

static bool type_ok(const char *type)
{
    size_t len = strlen(type);
    return len > 0 && len <= KEYFILE_TYPE_MAX &&
           strspn(type, "abcdefghijklmnopqrstuvwxyz0123456789-") == len;
}

enum err keyfile_store(const char *path, const char *type, const void *secret, size_t len)
{
    struct strbuf sb;
    if (!type_ok(type) || len == 0 || len > KEYFILE_SECRET_MAX) return ERR_INVALID;
    char *base64 = secret_new(BASE64_MAX);
    char *line = secret_new(LINE_BYTES_MAX);
    enum err err = ERR_NOMEM;
    if (base64 == NULL || line == NULL) goto done;
    sodium_bin2base64(base64, BASE64_MAX, secret, len, sodium_base64_VARIANT_ORIGINAL);
    strbuf_init_fixed(&sb, line, LINE_BYTES_MAX);
    strbuf_str(&sb, WORD);
    strbuf_str(&sb, type);
    strbuf_char(&sb, ' ');
    strbuf_str(&sb, base64);
    uint32_t crc = crc32_of(span_skip(strbuf_view(&sb), sizeof(WORD) - 1));
    strbuf_fmt(&sb, " %08x\n", (unsigned)crc);
    CHECK(strbuf_ok(&sb));
    err = file_write(path, 0600, strbuf_view(&sb));
done:
    secret_free(line);
    secret_free(base64);
    return err;
}

/* Opens a regular file that is ours alone. */
static enum err open_private(const char *path, int *out)
{
    struct stat st;
    enum err err = ERR_OK;
    int fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (fd < 0) return errno == ELOOP ? ERR_PERM : err_from_errno(errno);
    if (fstat(fd, &st) != 0)
        err = err_from_errno(errno);
    else if (!S_ISREG(st.st_mode) || (st.st_mode & 077) != 0)
        err = ERR_PERM;
    else if (st.st_uid != geteuid() && geteuid() != 0)
        err = ERR_PERM;
    if (err != ERR_OK) {
        close(fd);
        return err;
    }
    *out = fd;
    return ERR_OK;
}

/* Up to `cap` bytes; `*len` == cap means that there may be more. */
static enum err read_private(const char *path, char *dst, size_t cap, size_t *len)
{
    int fd = -1;
    size_t have = 0;
    enum err err = open_private(path, &fd);
    if (err != ERR_OK) return err;
    while (have < cap) {
        ssize_t n = read(fd, dst + have, cap - have);
        if (n == 0) break;
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) {
            err = err_from_errno(errno);
            break;
        }
        have += (size_t)n;
    }
    close(fd);
    *len = have;
    return err;
}

static enum err parse(struct span text, const char *type, void *secret, size_t len)
{
    uint8_t *decoded;
    size_t decoded_len = 0;
    char want[CRC_HEX_BYTES + 2];
    struct strbuf sb;
    struct span prefix = SPAN_LIT(WORD);
    if (!span_starts(text, prefix) || text.len < prefix.len + sizeof(want)) return ERR_CORRUPT;
    text = span_skip(text, prefix.len);
    struct span body = span_of(text.p, text.len - CRC_HEX_BYTES - 2);
    strbuf_init_fixed(&sb, want, sizeof(want));
    strbuf_fmt(&sb, "%08x\n", (unsigned)crc32_of(body));
    struct span crc = span_skip(text, body.len + 1);
    if (text.p[body.len] != ' ' || !span_eq(crc, strbuf_view(&sb))) return ERR_CORRUPT;
    struct span base64;
    if (!span_eq_str(span_cut(body, ' ', &base64), type)) return ERR_MISMATCH;
    decoded = secret_new(KEYFILE_SECRET_MAX);
    if (decoded == NULL) return ERR_NOMEM;
    enum err err = ERR_CORRUPT;
    if (sodium_base642bin(decoded, KEYFILE_SECRET_MAX, base64.p, base64.len, NULL, &decoded_len,
                          NULL, sodium_base64_VARIANT_ORIGINAL) == 0)
        err = decoded_len == len ? ERR_OK : ERR_MISMATCH;
    if (err == ERR_OK) memcpy(secret, decoded, len);
    secret_free(decoded);
    return err;
}

enum err keyfile_load(const char *path, const char *type, void *secret, size_t len)
{
    size_t have = 0;
    char *line = secret_new(LINE_BYTES_MAX);
    if (line == NULL) return ERR_NOMEM;
    enum err err = read_private(path, line, LINE_BYTES_MAX, &have);
    if (err == ERR_OK && have == LINE_BYTES_MAX) err = ERR_CORRUPT;
    if (err == ERR_OK) err = parse(span_of(line, have), type, secret, len);
    secret_free(line);
    return err;
}

enum err keyfile_read(const char *path, struct strbuf *out)
{
    size_t have = 0;
    char *text = secret_new(KEYFILE_BYTES_MAX + 1);
    if (text == NULL) return ERR_NOMEM;
    enum err err = read_private(path, text, KEYFILE_BYTES_MAX + 1, &have);
    if (err == ERR_OK && have > KEYFILE_BYTES_MAX) err = ERR_TOO_LARGE;
    if (err == ERR_OK) {
        strbuf_add(out, text, have);
        if (!strbuf_ok(out)) err = ERR_TOO_LARGE;
    }
    secret_free(text);
    return err;
}
