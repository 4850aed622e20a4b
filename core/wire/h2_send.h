/* HTTP/2 frames out: bodies are read as nghttp2 makes frames of them, nothing is copied twice.
 *
 * One thread, that of the connection; of core/wire/h2 alone.
 */
#ifndef CORE_WIRE_H2_SEND_H
#define CORE_WIRE_H2_SEND_H

#include "core/wire/h2_impl.h"

/* Callbacks of nghttp2: how much of the body goes into the next frame; its bytes. */
ssize_t h2_send_read(nghttp2_session *session, int32_t id, uint8_t *buf, size_t len,
                     uint32_t *flags, nghttp2_data_source *source, void *owner);
int h2_send_data(nghttp2_session *session, nghttp2_frame *frame, const uint8_t *head, size_t len,
                 nghttp2_data_source *source, void *owner);
/* mux_pull. */
enum err h2_send_pull(struct mux *m, size_t room) MUST_USE;

#endif
