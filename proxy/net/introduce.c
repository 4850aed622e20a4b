#include "proxy/net/introduce.h"

#include "core/wire/proxy_proto.h"

void introduce_client(struct conn *c, const struct snapshot_service *service,
                      const struct addr *client)
{
    char text[PROXY_PROTO_EMIT_MAX];
    /* Of a unix socket: there is no address to have been called at. */
    const struct addr *to = service->local.path[0] != '\0' ? client : &service->local.addr;
    if (service->proxy_protocol == PROXY_PROTO_NONE) return;
    size_t len = proxy_proto_emit(service->proxy_protocol, client, to, text);
    (void)!conn_write(c, span_of(text, len));
}

void introduce_nobody(struct conn *c, const struct snapshot_service *service)
{
    static const struct addr nobody = {.family = ADDR_NONE};
    introduce_client(c, service, &nobody);
}
