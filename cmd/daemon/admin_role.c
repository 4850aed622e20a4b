#include "cmd/daemon/admin_role.h"

#include "core/io/file.h"
#include "core/io/sock.h"

#include <unistd.h>

#define GROUP_FILE      "/etc/group"
#define GROUP_BYTES_MAX (1024u * 1024)

bool admin_role_group(struct span text, const char *name, uint32_t *gid)
{
    while (text.len > 0) {
        struct span rest, line = span_cut(text, '\n', &text);
        uint64_t number;
        if (!span_eq_str(span_cut(line, ':', &rest), name)) continue;
        (void)span_cut(rest, ':', &rest); /* the password field */
        if (!span_u64(span_cut(rest, ':', &rest), &number) || number > UINT32_MAX) return false;
        *gid = (uint32_t)number;
        return true;
    }
    return false;
}

enum admin_role admin_role_of(int fd)
{
    struct sock_cred cred;
    struct strbuf text;
    enum admin_role role = ADMIN_OPEN;
    uint32_t gid;
    if (sock_peer_cred(fd, &cred) != ERR_OK) return ADMIN_OPEN;
    if (cred.uid == 0 || cred.uid == geteuid()) return ADMIN_ADMIN;
    strbuf_init(&text, GROUP_BYTES_MAX);
    if (file_read(GROUP_FILE, &text) == ERR_OK) {
        if (admin_role_group(strbuf_view(&text), "parley-view", &gid) &&
            sock_cred_in_group(&cred, gid))
            role = ADMIN_VIEW;
        if (admin_role_group(strbuf_view(&text), "parley-admin", &gid) &&
            sock_cred_in_group(&cred, gid))
            role = ADMIN_ADMIN;
    }
    strbuf_fini(&text);
    return role;
}
