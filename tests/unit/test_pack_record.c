#include "core/wire/pack_record.h"

#include "core/wire/pack.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

struct fixture {
    struct node_record in, out;
    char body[RECORD_BODY_BYTES_MAX + 1];
    struct pack_writer w;
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    if (f == NULL) return -1;
    *state = f;
    pack_writer_init(&f->w, f->body, sizeof(f->body));
    f->in.node = (struct name){"web-1"};
    f->in.zone = (struct name){"fra1-a"};
    memcpy(f->in.version, "0.1.0", 6);
    f->in.cert_not_after_s = 1800000000;
    f->in.signer = true;
    f->in.service_count = 2;
    f->in.service[0] = (struct service_instance){.service = {"api"},
                                                 .protocol = PROTOCOL_TCP,
                                                 .origin = ORIGIN_LEARNED,
                                                 .health = HEALTH_DOWN,
                                                 .draining = true,
                                                 .weight = 100,
                                                 .tag_count = 1,
                                                 .tag = {{"version", "1.14"}}};
    f->in.service[1] =
        (struct service_instance){.service = {"web"}, .weight = 1, .origin = ORIGIN_DEFAULT};
    return 0;
}

static int teardown(void **state)
{
    free(*state);
    return 0;
}

static enum err decode_written(struct fixture *f)
{
    assert_true(pack_writer_ok(&f->w));
    return pack_record_decode(pack_writer_view(&f->w), &f->out);
}

static void assert_same_instance(const struct service_instance *a, const struct service_instance *b)
{
    assert_true(name_eq(&a->service, &b->service));
    assert_int_equal(a->protocol, b->protocol);
    assert_int_equal(a->origin, b->origin);
    assert_int_equal(a->health, b->health);
    assert_int_equal(a->draining, b->draining);
    assert_int_equal(a->weight, b->weight);
    assert_int_equal(a->tag_count, b->tag_count);
    for (size_t i = 0; i < a->tag_count; i++) {
        assert_string_equal(a->tag[i].key, b->tag[i].key);
        assert_string_equal(a->tag[i].value, b->tag[i].value);
    }
}

static void assert_round_trip(struct fixture *f)
{
    size_t len = 0;
    assert_int_equal(pack_record_encode(&f->in, f->body, sizeof(f->body), &len), ERR_OK);
    assert_int_equal(pack_record_decode(span_of(f->body, len), &f->out), ERR_OK);
    assert_true(name_eq(&f->in.node, &f->out.node));
    assert_true(name_eq(&f->in.zone, &f->out.zone));
    assert_string_equal(f->in.version, f->out.version);
    assert_true(f->in.cert_not_after_s == f->out.cert_not_after_s);
    assert_int_equal(f->in.draining, f->out.draining);
    assert_int_equal(f->in.signer, f->out.signer);
    assert_int_equal(f->in.service_count, f->out.service_count);
    for (size_t i = 0; i < f->in.service_count; i++)
        assert_same_instance(&f->in.service[i], &f->out.service[i]);
}

static void test_a_record_reads_as_it_was_written(void **state)
{
    struct fixture *f = *state;
    assert_round_trip(f);
    f->in.zone = (struct name){""};
    f->in.version[0] = '\0';
    f->in.cert_not_after_s = -1;
    f->in.draining = true;
    f->in.service_count = 0;
    assert_round_trip(f);
}

static void test_the_largest_number_of_services_fits(void **state)
{
    struct fixture *f = *state;
    f->in.service_count = NODE_SERVICES_MAX;
    for (size_t i = 0; i < NODE_SERVICES_MAX; i++) {
        struct service_instance *s = &f->in.service[i];
        *s = (struct service_instance){.weight = 1000, .tag_count = NODE_TAGS_MAX};
        snprintf(s->service.text, sizeof(s->service.text), "service-%zu", i);
        for (size_t j = 0; j < NODE_TAGS_MAX; j++)
            snprintf(s->tag[j].key, sizeof(s->tag[j].key), "key-%zu", j);
    }
    assert_round_trip(f);
}

static void test_a_record_over_the_body_limit_is_refused(void **state)
{
    struct fixture *f = *state;
    size_t len = 0;
    f->in.service_count = NODE_SERVICES_MAX;
    for (size_t i = 0; i < NODE_SERVICES_MAX; i++) {
        struct service_instance *s = &f->in.service[i];
        *s = (struct service_instance){.weight = 1000, .tag_count = NODE_TAGS_MAX};
        snprintf(s->service.text, sizeof(s->service.text), "service-%zu", i);
        for (size_t j = 0; j < NODE_TAGS_MAX; j++) {
            snprintf(s->tag[j].key, sizeof(s->tag[j].key), "key-%zu", j);
            memset(s->tag[j].value, 'v', TAG_BYTES_MAX);
        }
    }
    assert_int_equal(pack_record_encode(&f->in, f->body, sizeof(f->body), &len), ERR_TOO_LARGE);
    memset(f->body, 0xc0, sizeof(f->body));
    assert_int_equal(pack_record_decode(span_of(f->body, sizeof(f->body)), &f->out), ERR_TOO_LARGE);
    f->in.service_count = 1;
    assert_int_equal(pack_record_encode(&f->in, f->body, 20, &len), ERR_TOO_LARGE);
    assert_int_equal(len, 0);
}

static void test_every_prefix_is_refused_and_leaves_an_empty_record(void **state)
{
    struct fixture *f = *state;
    size_t len;
    assert_int_equal(pack_record_encode(&f->in, f->body, sizeof(f->body), &len), ERR_OK);
    for (size_t cut = 0; cut < len; cut++) {
        f->out.service_count = 7;
        assert_int_equal(pack_record_decode(span_of(f->body, cut), &f->out), ERR_INVALID);
        assert_int_equal(f->out.service_count, 0);
        assert_string_equal(f->out.node.text, "");
    }
}

static void write_head(struct fixture *f, struct span node, uint32_t services)
{
    pack_write_array(&f->w, 6);
    pack_write_str(&f->w, node);
    pack_write_str(&f->w, SPAN_LIT(""));
    pack_write_str(&f->w, SPAN_LIT("0.1.0"));
    pack_write_i64(&f->w, 0);
    pack_write_u64(&f->w, 0);
    pack_write_array(&f->w, services);
}

static void write_service(struct fixture *f, const char *name, uint64_t protocol, uint64_t weight)
{
    pack_write_array(&f->w, 6);
    pack_write_str(&f->w, span_str(name));
    pack_write_u64(&f->w, protocol);
    pack_write_u64(&f->w, HEALTH_UP);
    pack_write_u64(&f->w, 0);
    pack_write_u64(&f->w, weight);
    pack_write_array(&f->w, 0);
}

/* security.md M09. */
static void test_bad_names_are_refused(void **state)
{
    struct fixture *f = *state;
    static const char *const bad[] = {"", "../../x", "a\nb", "\xff\xfe", "WEB", "-a", "a b"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        pack_writer_init(&f->w, f->body, sizeof(f->body));
        write_head(f, span_str(bad[i]), 0);
        assert_int_equal(decode_written(f), ERR_INVALID);
        pack_writer_init(&f->w, f->body, sizeof(f->body));
        write_head(f, SPAN_LIT("web-1"), 1);
        write_service(f, bad[i], 0, 1);
        assert_int_equal(decode_written(f), ERR_INVALID);
    }
    static const char blank[65000];
    pack_writer_init(&f->w, f->body, sizeof(f->body));
    write_head(f, span_of(blank, sizeof(blank)), 0);
    assert_int_equal(decode_written(f), ERR_INVALID);
}

static void test_a_service_announced_twice_is_refused(void **state)
{
    struct fixture *f = *state;
    write_head(f, SPAN_LIT("web-1"), 3);
    write_service(f, "api", 0, 1);
    write_service(f, "web", 0, 1);
    write_service(f, "api", 1, 1);
    assert_int_equal(decode_written(f), ERR_INVALID);
    size_t len;
    f->in.service[1].service = f->in.service[0].service;
    assert_int_equal(pack_record_encode(&f->in, f->body, sizeof(f->body), &len), ERR_INVALID);
}

static void test_a_tag_key_twice_is_refused(void **state)
{
    struct fixture *f = *state;
    size_t len;
    f->in.service[0].tag_count = 2;
    f->in.service[0].tag[1] = f->in.service[0].tag[0];
    assert_int_equal(pack_record_encode(&f->in, f->body, sizeof(f->body), &len), ERR_INVALID);
    f->in.service[0].tag[1] = (struct service_tag){"k", "a\tb"};
    assert_int_equal(pack_record_encode(&f->in, f->body, sizeof(f->body), &len), ERR_INVALID);
}

/* security.md M12. */
static void test_more_services_than_a_node_may_announce_are_refused(void **state)
{
    struct fixture *f = *state;
    write_head(f, SPAN_LIT("web-1"), NODE_SERVICES_MAX + 1);
    for (size_t i = 0; i <= NODE_SERVICES_MAX; i++) {
        char name[16];
        snprintf(name, sizeof(name), "s%zu", i);
        write_service(f, name, 0, 1);
    }
    assert_int_equal(decode_written(f), ERR_INVALID);
    pack_writer_init(&f->w, f->body, sizeof(f->body));
    write_head(f, SPAN_LIT("web-1"), 20000);
    for (size_t i = 0; i < 20000; i++)
        pack_write_array(&f->w, 0);
    assert_int_equal(decode_written(f), ERR_TOO_LARGE);
}

static void test_weights_out_of_range_are_refused(void **state)
{
    struct fixture *f = *state;
    write_head(f, SPAN_LIT("web-1"), 1);
    write_service(f, "api", 0, 1001);
    assert_int_equal(decode_written(f), ERR_RANGE);
    pack_writer_init(&f->w, f->body, sizeof(f->body));
    write_head(f, SPAN_LIT("web-1"), 1);
    write_service(f, "api", 0, 0);
    assert_int_equal(decode_written(f), ERR_INVALID);
}

static void test_a_service_of_a_newer_protocol_is_left_out(void **state)
{
    struct fixture *f = *state;
    write_head(f, SPAN_LIT("web-1"), 3);
    write_service(f, "api", 0, 1);
    write_service(f, "chat", 9, 1);
    write_service(f, "web", 1, 1);
    assert_int_equal(decode_written(f), ERR_OK);
    assert_int_equal(f->out.service_count, 2);
    assert_string_equal(f->out.service[0].service.text, "api");
    assert_string_equal(f->out.service[1].service.text, "web");
}

static void test_items_a_newer_version_appends_are_ignored(void **state)
{
    struct fixture *f = *state;
    pack_write_array(&f->w, 8);
    pack_write_str(&f->w, SPAN_LIT("web-1"));
    pack_write_str(&f->w, SPAN_LIT("a"));
    pack_write_str(&f->w, SPAN_LIT("0.2.0"));
    pack_write_i64(&f->w, 5);
    pack_write_u64(&f->w, 0xff);
    pack_write_array(&f->w, 1);
    pack_write_array(&f->w, 7);
    pack_write_str(&f->w, SPAN_LIT("api"));
    pack_write_u64(&f->w, 0);
    pack_write_u64(&f->w, HEALTH_UP);
    pack_write_u64(&f->w, 2);
    pack_write_u64(&f->w, 10);
    pack_write_array(&f->w, 0);
    pack_write_array(&f->w, 1);
    pack_write_nil(&f->w);
    pack_write_bool(&f->w, true);
    pack_write_array(&f->w, 1);
    pack_write_str(&f->w, SPAN_LIT("new"));
    assert_int_equal(decode_written(f), ERR_OK);
    assert_true(f->out.draining && f->out.signer);
    assert_int_equal(f->out.service_count, 1);
    assert_int_equal(f->out.service[0].weight, 10);
    assert_false(f->out.service[0].draining);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_a_record_reads_as_it_was_written, setup, teardown),
        cmocka_unit_test_setup_teardown(test_the_largest_number_of_services_fits, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_record_over_the_body_limit_is_refused, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_every_prefix_is_refused_and_leaves_an_empty_record,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(test_bad_names_are_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_service_announced_twice_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_tag_key_twice_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(test_more_services_than_a_node_may_announce_are_refused,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(test_weights_out_of_range_are_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_service_of_a_newer_protocol_is_left_out, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_items_a_newer_version_appends_are_ignored, setup,
                                        teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
