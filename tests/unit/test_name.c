#include "core/model/name.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#define A63 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

static void test_names_are_one_to_63_of_letters_digits_and_dashes(void **state)
{
    (void)state;
    static const char *const good[] = {"a", "0", "web-1", "a--b", "1a", A63};
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
        if (!name_valid(span_str(good[i]))) fail_msg("%s", good[i]);
    static const char *const bad[] = {"",     "-",    "-a",    "a-",      "A",   "a.b",
                                      "a_b",  "a b",  "a/b",   "../../x", "a\n", "\xc3\xa4",
                                      "\xff", "a%41", "a\x01", A63 "a"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        if (name_valid(span_str(bad[i]))) fail_msg("%s", bad[i]);
    assert_false(name_valid(span_of("a\0b", 3)));
}

static void test_a_refused_name_leaves_the_old_one(void **state)
{
    (void)state;
    struct name a, b;
    assert_int_equal(name_set(&a, SPAN_LIT("web-1")), ERR_OK);
    assert_int_equal(name_set(&a, SPAN_LIT("WEB")), ERR_INVALID);
    assert_string_equal(a.text, "web-1");
    assert_int_equal(name_set(&b, SPAN_LIT("web-1")), ERR_OK);
    assert_true(name_eq(&a, &b));
    assert_memory_equal(&a, &b, sizeof(a));
}

static void test_a_glob_matches_the_whole_name(void **state)
{
    (void)state;
    static const struct {
        const char *glob, *name;
        bool match;
    } row[] = {
        {"*", "web-1", true},      {"web-*", "web-1", true},
        {"web-*", "web-", true},   {"web-*", "api-1", false},
        {"*-1", "web-1", true},    {"*-1", "web-11", false},
        {"w*b*1", "web-1", true},  {"w*b*1", "wb1", true},
        {"w*b*1", "web-2", false}, {"web", "web-1", false},
        {"web-1", "web", false},   {"", "a", false},
        {"**", "a", true},         {"*a*a*a*b", "aaaaaaaaaa", false},
    };
    for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++)
        if (name_glob(span_str(row[i].glob), span_str(row[i].name)) != row[i].match)
            fail_msg("%s %s", row[i].glob, row[i].name);
}

static void test_a_spiffe_id_reads_as_it_was_written(void **state)
{
    (void)state;
    static const char *const good[] = {"spiffe://shop/node/web-1", "spiffe://shop/service/api",
                                       "spiffe://node/service/node",
                                       "spiffe://" A63 "/service/" A63};
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        struct spiffe_id id, again;
        char text[SPIFFE_ID_BYTES_MAX + 1];
        assert_int_equal(name_spiffe_parse(span_str(good[i]), &id), ERR_OK);
        assert_int_equal(name_spiffe_format(&id, text), strlen(good[i]));
        assert_string_equal(text, good[i]);
        assert_int_equal(name_spiffe_parse(span_str(text), &again), ERR_OK);
        assert_true(name_spiffe_eq(&id, &again));
    }
    struct spiffe_id a, b;
    assert_int_equal(name_spiffe_parse(span_str(good[0]), &a), ERR_OK);
    assert_int_equal(a.kind, IDENTITY_NODE);
    assert_string_equal(a.mesh.text, "shop");
    assert_string_equal(a.name.text, "web-1");
    assert_int_equal(name_spiffe_parse(SPAN_LIT("spiffe://shop/service/web-1"), &b), ERR_OK);
    assert_false(name_spiffe_eq(&a, &b));
    assert_int_equal(name_spiffe_parse(SPAN_LIT("spiffe://other/node/web-1"), &b), ERR_OK);
    assert_false(name_spiffe_eq(&a, &b));
}

/* security.md T07. */
static void test_any_other_spelling_of_a_spiffe_id_is_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        "spiffe://",
        "spiffe:///node/a",
        "SPIFFE://shop/node/a",
        "Spiffe://shop/node/a",
        "spiffe:/shop/node/a",
        "https://shop/node/a",
        "spiffe://shop",
        "spiffe://shop/",
        "spiffe://shop/node",
        "spiffe://shop/node/",
        "spiffe://shop/node/a/",
        "spiffe://shop/node/a?q",
        "spiffe://shop/node/a#f",
        "spiffe://shop/node/a?",
        "spiffe://shop:443/node/a",
        "spiffe://user@shop/node/a",
        "spiffe://shop//node/a",
        "spiffe://shop/node//a",
        "spiffe://shop/./node/a",
        "spiffe://shop/node/.",
        "spiffe://shop/node/..",
        "spiffe://shop/node/../a",
        "spiffe://shop/node/%41",
        "spiffe://shop/node/%61",
        "spiffe://SHOP/node/a",
        "spiffe://shop/Node/a",
        "spiffe://shop/node/A",
        "spiffe://shop/pod/a",
        "spiffe://shop/node/a/service/b",
        "spiffe://shop/service/a.b",
        "spiffe://shop/service/a b",
        "spiffe://shop.example/service/a",
        " spiffe://shop/node/a",
        "spiffe://shop/node/a ",
        "spiffe://shop/node/a\n",
        "spiffe://shop/node/" A63 "a",
        "spiffe://" A63 "a/node/a",
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct spiffe_id id = {.kind = IDENTITY_SERVICE};
        if (name_spiffe_parse(span_str(bad[i]), &id) != ERR_INVALID) fail_msg("%s", bad[i]);
        assert_int_equal(id.kind, IDENTITY_SERVICE);
    }
    struct spiffe_id id;
    assert_int_equal(name_spiffe_parse(span_of("spiffe://shop/node/a\0", 21), &id), ERR_INVALID);
    assert_int_equal(name_spiffe_parse(span_of("spiffe://shop/node/a\0b", 22), &id), ERR_INVALID);
}

static void test_server_names_name_services_and_nodes_of_this_mesh_only(void **state)
{
    (void)state;
    struct name mesh, name;
    enum identity_kind kind;
    assert_int_equal(name_set(&mesh, SPAN_LIT("shop")), ERR_OK);
    assert_int_equal(name_sni_parse(SPAN_LIT("api.shop"), &mesh, &kind, &name), ERR_OK);
    assert_int_equal(kind, IDENTITY_SERVICE);
    assert_string_equal(name.text, "api");
    assert_int_equal(name_sni_parse(SPAN_LIT("web-1.node.shop"), &mesh, &kind, &name), ERR_OK);
    assert_int_equal(kind, IDENTITY_NODE);
    assert_string_equal(name.text, "web-1");
    static const char *const bad[] = {"",          "api",           "api.other",   "api.shop.",
                                      ".shop",     "API.shop",      "api.SHOP",    "a.b.shop",
                                      "a.node.x",  "a.node.shop.x", "a.Node.shop", ".node.shop",
                                      "api..shop", "a/b.shop"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        if (name_sni_parse(span_str(bad[i]), &mesh, &kind, &name) != ERR_INVALID)
            fail_msg("%s", bad[i]);
}

static void test_server_names_survive_a_mesh_called_node(void **state)
{
    (void)state;
    struct spiffe_id id = {.mesh = {"node"}, .name = {"node"}, .kind = IDENTITY_SERVICE};
    for (int i = 0; i < 2; i++) {
        char sni[SNI_BYTES_MAX + 1];
        struct name name;
        enum identity_kind kind;
        size_t len = name_sni_format(&id, sni);
        assert_int_equal(name_sni_parse(span_of(sni, len), &id.mesh, &kind, &name), ERR_OK);
        assert_int_equal(kind, id.kind);
        assert_true(name_eq(&name, &id.name));
        id.kind = IDENTITY_NODE;
    }
}

static void test_node_ids_are_ordered_by_their_bytes(void **state)
{
    (void)state;
    struct node_id a = {{1}}, b = {{2}}, c = {{1, [15] = 0xff}};
    assert_true(name_node_id_cmp(&a, &b) < 0);
    assert_true(name_node_id_cmp(&c, &a) > 0);
    assert_int_equal(name_node_id_cmp(&a, &a), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names_are_one_to_63_of_letters_digits_and_dashes),
        cmocka_unit_test(test_a_refused_name_leaves_the_old_one),
        cmocka_unit_test(test_a_glob_matches_the_whole_name),
        cmocka_unit_test(test_a_spiffe_id_reads_as_it_was_written),
        cmocka_unit_test(test_any_other_spelling_of_a_spiffe_id_is_refused),
        cmocka_unit_test(test_server_names_name_services_and_nodes_of_this_mesh_only),
        cmocka_unit_test(test_server_names_survive_a_mesh_called_node),
        cmocka_unit_test(test_node_ids_are_ordered_by_their_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
