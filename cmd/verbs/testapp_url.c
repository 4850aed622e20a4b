#include "cmd/verbs/testapp_url.h"

static enum err refuse(const char **why, const char *text)
{
    *why = text;
    return ERR_INVALID;
}

/* Only what can stand in a request line as it is. */
static bool path_ok(struct span path)
{
    for (size_t i = 0; i < path.len; i++)
        if (path.p[i] <= ' ' || path.p[i] >= 0x7f || path.p[i] == '#') return false;
    return path.len < TESTAPP_URL_PATH_MAX;
}

static enum err read_authority(struct span text, uint16_t default_port, struct testapp_url *url,
                               const char **why)
{
    if (addr_parse(text, default_port, &url->to.addr) != ERR_OK || url->to.addr.port == 0)
        return refuse(why, default_port ? "an IP address with an optional port must follow \"//\""
                                        : "an IP address and a port must follow \"//\"");
    if (!span_to_cstr(text, url->authority, sizeof url->authority))
        return refuse(why, "the address is too long");
    return ERR_OK;
}

enum err testapp_url_parse(const char *text, struct testapp_url *out, const char **why)
{
    struct testapp_url url = {.scheme = TESTAPP_URL_HTTP};
    struct span all = span_str(text), http = SPAN_LIT("http://"), tcp = SPAN_LIT("tcp://");
    enum err err;
    if (span_starts(all, tcp)) {
        url.scheme = TESTAPP_URL_TCP;
        err = read_authority(span_skip(all, tcp.len), 0, &url, why);
    } else if (span_starts(all, http)) {
        struct span rest = span_skip(all, http.len);
        size_t at = 0;
        while (at < rest.len && rest.p[at] != '/' && rest.p[at] != '?')
            at++;
        struct span path = span_skip(rest, at);
        if (path.len == 0) path = SPAN_LIT("/");
        if (path.p[0] != '/') return refuse(why, "a path must stand before \"?\"");
        if (!path_ok(path) || !span_to_cstr(path, url.path, sizeof url.path))
            return refuse(why, "the path holds characters that must be escaped, or is too long");
        err = read_authority(span_of(rest.p, at), 80, &url, why);
    } else {
        return refuse(why, "it must start with http:// or tcp://");
    }
    if (err == ERR_OK) *out = url;
    return err;
}
