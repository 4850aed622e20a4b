/* Translation: between what a codec read and the message every part of the data plane sees.
 *
 * Worker thread. Requests come out with one canonical target and host, which is judged and
 * forwarded alike (security.md G01-G04), and without hop-by-hop, framing, Host and Expect fields;
 * what a client may not choose (an upgrade to anything but a WebSocket) is settled here.
 *
 * Between two parleys an upgrade is an extended CONNECT (RFC 8441), and because its answer may also
 * be an ordinary response, the one that switches carries `parley-upgrade`:
 *
 *      GET + Upgrade: websocket  ->  :method CONNECT, :protocol websocket  ->  GET + Upgrade
 *      101                       <-  :status 200, parley-upgrade           <-  101
 *      403                       <-  :status 403                           <-  403
 *
 * So is a client's CONNECT to a proxy behind the mesh (RFC 9110 9.3.6), by a word that only parleys
 * say to each other; a plain CONNECT between them is a TCP session. The authority is not ours to
 * connect to, nor a name of the mesh: it goes to the application as it came, and has no path.
 *
 *      CONNECT a:443             ->  :method CONNECT, :protocol parley-tunnel,  ->  CONNECT a:443
 *                                    :authority a:443, :path /
 *      2xx                       <-  :status 200, parley-upgrade                <-  2xx
 *      407                       <-  :status 407                                <-  407
 */
#ifndef PROXY_HTTP_TRANSLATE_H
#define PROXY_HTTP_TRANSLATE_H

#include "core/base/arena.h"
#include "core/model/addr.h"
#include "core/wire/h1.h"
#include "core/wire/mux.h"
#include "proxy/http/message.h"

/* The :protocol of a CONNECT for an application, between parleys. */
#define TRANSLATE_TUNNEL "parley-tunnel"

/* Requests: fill `req` (its `headers` are the head's); text goes to `arena`. REASON_NONE, or the
 * reason to refuse with. */
enum reason translate_request_h1(const struct h1_head *head, struct arena *arena,
                                 struct request *req);
enum reason translate_request_h2(const struct mux_head *head, bool ended, struct arena *arena,
                                 struct request *req);
/* Makes the plain CONNECT that translate_request_h2 has found one for an application: of a local
 * client it is no TCP session. REASON_NONE, or the reason to refuse with. */
enum reason translate_tunnel(struct request *req, struct arena *arena);
/* Responses to `req`. REASON_NONE or REASON_PROTOCOL_ERROR. */
enum reason translate_response_h1(const struct h1_head *head, const struct request *req,
                                  struct response *resp);
enum reason translate_response_h2(const struct mux_head *head, bool ended,
                                  const struct request *req, struct response *resp);
/* As translate_response_h2, of an application: a 2xx to an upgrade switches (RFC 8441 5), and to
 * CONNECT (RFC 9113 8.5). */
enum reason translate_response_app(const struct mux_head *head, bool ended,
                                   const struct request *req, struct response *resp);
/* Takes out what may not stand in a trailer section (A30). Gives `trailers` back; NULL is fine. */
struct headers *translate_trailers(struct headers *trailers);
/* Whom the caller's host names as its client (parley-client), when it is not one of that host
 * alone; else `*client` stays. */
void translate_client(const struct headers *h, struct addr *client);
/* How often this request went from one parley to another: its parley-hops; 0 when absent or not a
 * number of two digits. */
unsigned translate_hops(const struct headers *h);

#endif
