#include "core/base/err.h"

#include <errno.h>
#include <stddef.h>

#define ERR_TEXT(code, text) [code] = text,
#define ERR_NAME(code, text) [code] = #code,

static const char *const texts[ERR_COUNT] = {ERR_LIST(ERR_TEXT)};
static const char *const names[ERR_COUNT] = {ERR_LIST(ERR_NAME)};

const char *err_text(enum err err)
{
    size_t i = (size_t)err;
    return i < ERR_COUNT ? texts[i] : "unknown error";
}

const char *err_name(enum err err)
{
    size_t i = (size_t)err;
    return i < ERR_COUNT ? names[i] : "ERR_UNKNOWN";
}

static const struct {
    int errnum;
    enum err err;
} errnos[] = {
    {EAGAIN, ERR_AGAIN},
    {EINPROGRESS, ERR_AGAIN},
    {EINTR, ERR_AGAIN},
    {ENOMEM, ERR_NOMEM},
    {ENOBUFS, ERR_NOMEM},
    {EMFILE, ERR_FULL},
    {ENFILE, ERR_FULL},
    {ENOSPC, ERR_FULL},
    {EDQUOT, ERR_FULL},
    {EINVAL, ERR_INVALID},
    {EILSEQ, ERR_INVALID},
    {EMSGSIZE, ERR_TOO_LARGE},
    {EFBIG, ERR_TOO_LARGE},
    {E2BIG, ERR_TOO_LARGE},
    {ENAMETOOLONG, ERR_TOO_LARGE},
    {ERANGE, ERR_RANGE},
    {EDOM, ERR_RANGE},
    {EOVERFLOW, ERR_RANGE},
    {ENOENT, ERR_NOT_FOUND},
    {ENOTDIR, ERR_NOT_FOUND},
    {ESRCH, ERR_NOT_FOUND},
    {ENODEV, ERR_NOT_FOUND},
    {EEXIST, ERR_EXISTS},
    {EACCES, ERR_PERM},
    {EPERM, ERR_PERM},
    {EROFS, ERR_PERM},
    {ETIMEDOUT, ERR_TIMEOUT},
    {ECONNREFUSED, ERR_REFUSED},
    {EHOSTUNREACH, ERR_UNREACHABLE},
    {ENETUNREACH, ERR_UNREACHABLE},
    {ENETDOWN, ERR_UNREACHABLE},
    {EADDRNOTAVAIL, ERR_UNREACHABLE},
    {ECONNRESET, ERR_RESET},
    {ECONNABORTED, ERR_RESET},
    {EPIPE, ERR_RESET},
    {EADDRINUSE, ERR_IN_USE},
    {EPROTO, ERR_PROTOCOL},
    {EOPNOTSUPP, ERR_UNSUPPORTED},
    {EAFNOSUPPORT, ERR_UNSUPPORTED},
    {EPROTONOSUPPORT, ERR_UNSUPPORTED},
    {ENOSYS, ERR_UNSUPPORTED},
    {EBUSY, ERR_BUSY},
    {ECANCELED, ERR_CANCELLED},
};

enum err err_from_errno(int errnum)
{
    if (errnum == 0) return ERR_OK;
    for (size_t i = 0; i < sizeof(errnos) / sizeof(errnos[0]); i++)
        if (errnos[i].errnum == errnum) return errnos[i].err;
    return ERR_IO;
}
