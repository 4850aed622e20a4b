#include "cmd/verbs/testapp_reader.h"

#include "core/base/check.h"

#define ARENA_CHUNK_BYTES 16384u
#define ARENA_BYTES_MAX   65536u

void testapp_reader_init(struct testapp_reader *r, enum h1_kind kind, const struct h1_sink *sink)
{
    *r = (struct testapp_reader){.kind = kind, .sink = *sink};
    strbuf_init(&r->text, HEADER_BYTES_MAX + TARGET_BYTES_MAX);
    arena_init(&r->arena, ARENA_CHUNK_BYTES, ARENA_BYTES_MAX);
}

void testapp_reader_fini(struct testapp_reader *r)
{
    strbuf_fini(&r->text);
    arena_fini(&r->arena);
}

void testapp_reader_next(struct testapp_reader *r)
{
    r->stage = TESTAPP_READER_HEAD;
    r->scan = (struct h1_scan){0};
    strbuf_reset(&r->text);
    arena_reset(&r->arena);
}

bool testapp_reader_idle(const struct testapp_reader *r)
{
    return r->stage == TESTAPP_READER_HEAD && r->scan.bytes == 0;
}

static enum testapp_read fault(struct testapp_reader *r, enum reason why)
{
    r->fault = why != REASON_NONE ? why : REASON_BAD_REQUEST;
    return TESTAPP_READ_FAULT;
}

static enum testapp_read parse(struct testapp_reader *r)
{
    char *at = r->text.p + r->scan.skipped;
    size_t len = r->text.len - r->scan.skipped;
    r->head = (struct h1_head){.headers = &r->headers};
    enum err err = r->kind == H1_REQUEST ? h1_request(&r->parser, at, len, &r->head)
                                         : h1_response(&r->parser, at, len, r->to_head, &r->head);
    if (err != ERR_OK) return fault(r, r->parser.fault);
    r->stage = r->parser.done ? TESTAPP_READER_DONE : TESTAPP_READER_BODY;
    return TESTAPP_READ_HEAD;
}

static enum testapp_read read_head(struct testapp_reader *r, struct span *in)
{
    size_t used = 0;
    enum err err = h1_scan(&r->scan, r->kind, *in, &used);
    if (err == ERR_INVALID) return fault(r, r->scan.fault);
    strbuf_add(&r->text, in->p, err == ERR_OK ? used : in->len);
    *in = span_skip(*in, err == ERR_OK ? used : in->len);
    if (!strbuf_ok(&r->text)) return fault(r, REASON_HEADERS_TOO_LARGE);
    return err == ERR_OK ? parse(r) : TESTAPP_READ_MORE;
}

enum testapp_read testapp_reader_feed(struct testapp_reader *r, struct span *in)
{
    size_t used = 0;
    if (r->stage == TESTAPP_READER_DONE) return TESTAPP_READ_END;
    if (in->len == 0) return TESTAPP_READ_MORE;
    if (r->stage == TESTAPP_READER_HEAD) return read_head(r, in);
    if (h1_body(&r->parser, &r->arena, *in, &r->sink, &used) != ERR_OK)
        return fault(r, r->parser.fault);
    *in = span_skip(*in, used);
    if (!r->parser.done) return TESTAPP_READ_MORE;
    r->stage = TESTAPP_READER_DONE;
    return TESTAPP_READ_END;
}

enum testapp_read testapp_reader_eof(struct testapp_reader *r)
{
    if (r->stage != TESTAPP_READER_BODY || h1_finish(&r->parser) != ERR_OK)
        return fault(r, REASON_UPSTREAM_RESET);
    r->stage = TESTAPP_READER_DONE;
    return TESTAPP_READ_END;
}
