#include "tests/unit/support_config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define NODE SUPPORT_CONFIG_NODE
#define WEB  SUPPORT_CONFIG_WEB
#define TLS  "[upstream.tls]\nlisten = \"127.0.0.1:9443\"\nprotocol = \"tls-passthrough\"\n"
#define API                                                                                        \
    "[upstream.api]\n"                                                                             \
    "listen = \"127.0.0.1:9001\"\n"

/* What `config check` prints for these files; the caller frees it. */
static char *findings(const char *const *text, size_t count, enum err want)
{
    char *said;
    enum err err;
    config_free(support_config_try(text, count, &err, &said));
    if (err != want) fail_msg("%s: %s", err_name(err), said);
    return said;
}

static void assert_findings(const char *text, enum err want, const char *printed)
{
    char *out = findings(&text, 1, want);
    assert_string_equal(out, printed);
    free(out);
}

static void test_errors_show_place_line_and_suggestion(void **state)
{
    (void)state;
    assert_findings(NODE "include = [\"x.toml\"]\n", ERR_INVALID,
                    "parley.toml:5:1: error: include is above all tables, not in [node]: move it "
                    "up\n"
                    "    5 | include = [\"x.toml\"]\n"
                    "      | ^~~~~~~\n");
    assert_findings(NODE API "retires = { on = [\"connect\"], tries = 3 }\n"
                             "connect_timeout = 500\n",
                    ERR_INVALID,
                    "parley.toml:7:1: error: unknown key \"retires\" in [upstream.api]; did you "
                    "mean \"retry\"?\n"
                    "    7 | retires = { on = [\"connect\"], tries = 3 }\n"
                    "      | ^~~~~~~\n"
                    "parley.toml:8:19: error: connect_timeout needs a unit: add one, as in "
                    "\"500ms\", \"2s\", \"1m\" or \"1h\"\n"
                    "    8 | connect_timeout = 500\n"
                    "      |                   ^~~\n"
                    "2 errors, 0 warnings\n");
}

static void test_a_service_in_two_files_names_both_places(void **state)
{
    (void)state;
    static const char *const text[] = {NODE WEB, "zone = 1\n" WEB "[node]\nname = \"b\"\n"};
    char *out = findings(text, 2, ERR_INVALID);
    assert_string_equal(out, "conf.d/a.toml:1:1: error: unknown key \"zone\"\n"
                             "    1 | zone = 1\n"
                             "      | ^~~~\n"
                             "conf.d/a.toml:2:10: error: service \"web\" is already defined at "
                             "parley.toml:5\n"
                             "    2 | [service.web]\n"
                             "      |          ^~~\n"
                             "conf.d/a.toml:5:1: error: \"name\" of [node] is already defined at "
                             "parley.toml:2\n"
                             "    5 | name = \"b\"\n"
                             "      | ^~~~\n"
                             "3 errors, 0 warnings\n");
    free(out);
}

static void test_warnings_do_not_stop_a_load(void **state)
{
    (void)state;
    assert_findings(
        NODE WEB "[[service.web.rule]]\n"
                 "name = \"all\"\n"
                 "from = [\"any-authenticated\"]\n",
        ERR_OK,
        "parley.toml:7:1: warning[L07]: rule \"all\" has from = [\"any-authenticated\"] "
        "and no path; every service may call web\n"
        "    7 | [[service.web.rule]]\n"
        "      | ^~~~~~~~~~~~~~~~~~~~\n");
    assert_findings(NODE "[service.web]\nlocal = \"10.0.0.1:80\"\n", ERR_OK,
                    "parley.toml:6:9: warning[L08]: local is not a loopback address: other hosts "
                    "may reach \"web\" around the mesh and its rules\n"
                    "    6 | local = \"10.0.0.1:80\"\n"
                    "      |         ^~~~~~~~~~~~~\n");
    assert_findings(NODE "[upstream.api]\nlisten = \"10.0.0.1:80\"\n", ERR_OK,
                    "parley.toml:6:10: warning[L09]: listen is not a loopback address: whoever "
                    "reaches it calls \"api\" with an identity of this host\n"
                    "    6 | listen = \"10.0.0.1:80\"\n"
                    "      |          ^~~~~~~~~~~~~\n");
}

static void test_every_error_of_all_files_is_counted_and_twenty_are_shown(void **state)
{
    (void)state;
    struct strbuf sb;
    strbuf_init(&sb, 65536);
    strbuf_str(&sb, NODE "[log]\n");
    for (int i = 0; i < 30; i++)
        strbuf_fmt(&sb, "k%d = 1\n", i);
    const char *text = sb.p;
    char *out = findings(&text, 1, ERR_INVALID);
    assert_non_null(strstr(out, "parley.toml:25:1: error: unknown key \"k19\" in [log]\n"));
    assert_null(strstr(out, "k20"));
    assert_non_null(strstr(out, "\n30 errors, 0 warnings (the first 20 shown)\n"));
    free(out);
    strbuf_fini(&sb);
}

static void test_text_that_is_no_toml_is_all_that_is_said(void **state)
{
    (void)state;
    static const char *const text[] = {"[node\nx = 1\n", "y = = 2\n"};
    char *out = findings(text, 2, ERR_INVALID);
    assert_string_equal(out, "parley.toml:1:6: error: expected \"]\", found the end of the line\n"
                             "    1 | [node\n"
                             "      |      ^\n"
                             "conf.d/a.toml:1:5: error: expected a value, found '='\n"
                             "    1 | y = = 2\n"
                             "      |     ^\n"
                             "2 errors, 0 warnings\n");
    free(out);
}

static void test_too_large_a_file_is_refused(void **state)
{
    (void)state;
    size_t len = (size_t)CONFIG_FILE_BYTES_MAX + 1;
    char *text = malloc(len);
    struct config *c;
    struct diag d;
    assert_non_null(text);
    memset(text, '\n', len);
    struct config_text big = {.file = "parley.toml", .text = span_of(text, len)};
    diag_init(&d);
    assert_int_equal(config_load(&big, 1, &d, &c), ERR_TOO_LARGE);
    assert_string_equal(d.entry[0].message, "larger than 8 MiB");
    diag_fini(&d);
    free(text);
}

/* A text behind [node] and what its one finding says. */
struct row {
    const char *text;
    const char *finding;
};

static void check_rows(const struct row *row, size_t count, const char *before)
{
    for (size_t i = 0; i < count; i++) {
        char text[2048], want[512];
        const char *p = text;
        snprintf(text, sizeof(text), "%s%s", before, row[i].text);
        snprintf(want, sizeof(want), "%s\n", row[i].finding);
        char *out = findings(&p, 1, ERR_INVALID);
        const char *found = strstr(out, "error: ");
        if (found == NULL || strncmp(found + 7, want, strlen(want)) != 0)
            fail_msg("%s\nwant: %s\ngot: %s", text, row[i].finding, out);
        if (strstr(found + 7, "error: ") != NULL) fail_msg("%s\nmore than one: %s", text, out);
        free(out);
    }
}

#define CHECK_ROWS(row, before) check_rows((row), sizeof(row) / sizeof((row)[0]), (before))

static void test_unknown_and_later_sections_are_refused(void **state)
{
    (void)state;
    static const struct row row[] = {
        {"[servce.web]", "unknown section \"servce\"; did you mean \"service\"?"},
        {"[zzz]", "unknown section \"zzz\""},
        {"[gateway.public]\nlisten = []", "[gateway] is not part of this version"},
        {"[[gateway.public.route]]\n[[gateway.public.route]]",
         "[gateway] is not part of this version"},
        {"[ui]", "[ui] is not part of this version"},
        {"[tracing]", "[tracing] is not part of this version"},
        {"[[service]]", "service must be a table, not an array"},
        {"[service]\nweb = 1", "service must be a table, not an integer"},
        {"[[log]]", "log must be a table, not an array"},
        {"[include]", "include must be an array, not a table"},
    };
    CHECK_ROWS(row, NODE);
}

static void test_the_node_is_checked(void **state)
{
    (void)state;
    static const struct row row[] = {
        {"interface = \"eth1\"", "\"interface\" in [node] is not part of this version"},
        {"nmae = \"x\"", "unknown key \"nmae\" in [node]; did you mean \"name\"?"},
        {"port = 0", "port must be between 1 and 65535"},
        {"port = 65536", "port must be between 1 and 65535"},
        {"port = \"7400\"", "port must be an integer, not a string"},
        {"threads = 65", "threads must be between 0 and 64"},
        {"zone = \"EU\"",
         "\"EU\" is not a name: 1 to 63 of a-z 0-9 -, a letter or digit at both ends"},
        {"zone = 3", "zone must be a string, not an integer"},
        {"bind = \"224.0.0.1\"", "224.0.0.1 is not the address of one host"},
        {"bind = \"10.0.0.1:7400\"", "bind is an IP address alone; its port goes into node.port"},
        {"bind = \"[fd00::1]:7400\"", "bind is an IP address alone; its port goes into node.port"},
        {"bind = \"host\"", "\"host\" is not an IP address"},
        {"peers = \"10.0.0.2\"", "peers must be an array, not a string"},
        {"peers = [1]", "a peer must be a string, not an integer"},
        {"peers = [\"10.0.0\"]",
         "\"10.0.0\" is neither an address nor a host name, each with an optional :port"},
        {"peers = [\"a_b\"]",
         "\"a_b\" is neither an address nor a host name, each with an optional :port"},
        {"peers = [\"a:0\"]",
         "\"a:0\" is neither an address nor a host name, each with an optional :port"},
        {"peers = [\"a..b\"]",
         "\"a..b\" is neither an address nor a host name, each with an optional :port"},
        {"peers = [\"169.254.169.254\"]",
         "169.254.169.254 is link-local: other hosts cannot dial it"},
    };
    CHECK_ROWS(row, NODE);
}

static void test_what_peers_dial_is_checked(void **state)
{
    (void)state;
    static const struct row row[] = {
        {"", "[node] needs addr, as in addr = \"10.0.0.1\""},
        {"addr = \"0.0.0.0\"",
         "0.0.0.0 stands for every address: write the one that peers dial, and this as bind"},
        {"addr = \"169.254.0.1\"", "169.254.0.1 is link-local: other hosts cannot dial it"},
        {"addr = \"fe80::1\"", "fe80::1 is link-local: other hosts cannot dial it"},
        {"addr = \"255.255.255.255\"", "255.255.255.255 is not the address of one host"},
        {"addr = \"ff02::1\"", "ff02::1 is not the address of one host"},
        {"addr = \"::ffff:127.0.0.1\"", "\"::ffff:127.0.0.1\" is not an IP address"},
        {"addr = \"10.0.0.1:7400\"", "addr is an IP address alone; its port goes into node.port"},
    };
    CHECK_ROWS(row, "[node]\nname = \"a\"\nmesh = \"b\"\n");
}

static void test_a_missing_node_is_said(void **state)
{
    (void)state;
    assert_findings("", ERR_INVALID,
                    "parley.toml: error: [node] needs name, as in name = \"web-1\"\n"
                    "parley.toml: error: [node] needs mesh, as in mesh = \"shop\"\n"
                    "parley.toml: error: [node] needs addr, as in addr = \"10.0.0.1\"\n"
                    "3 errors, 0 warnings\n");
}

static void test_the_other_host_tables_are_checked(void **state)
{
    (void)state;
    static const struct row row[] = {
        {"[defaults]\npolicy = \"deney\"",
         "policy must be \"deny\", \"allow\" or \"audit\", not \"deney\"; did you mean \"deny\"?"},
        {"[defaults]\nconnect_timeout = \"500\"",
         "connect_timeout needs a unit: add one, as in \"500ms\", \"2s\", \"1m\" or \"1h\""},
        {"[defaults]\nconnect_timeout = 0.5",
         "connect_timeout needs a unit: add one, as in \"500ms\", \"2s\", \"1m\" or \"1h\""},
        {"[defaults]\nconnect_timeout = \"5 s\"",
         "\"5 s\" is no duration: write a whole number and ms, s, m or h, as in \"500ms\""},
        {"[defaults]\nconnect_timeout = \"-5s\"",
         "\"-5s\" is no duration: write a whole number and ms, s, m or h, as in \"500ms\""},
        {"[defaults]\nconnect_timeout = \"99999999999999999999h\"",
         "\"99999999999999999999h\" is no duration: write a whole number and ms, s, m or h, as in "
         "\"500ms\""},
        {"[defaults]\nconnect_timeout = \"5124095576030432h\"",
         "\"5124095576030432h\" is no duration: write a whole number and ms, s, m or h, as in "
         "\"500ms\""},
        {"[defaults]\nconnect_timeout = \"2m\"", "connect_timeout must be between 1ms and 1m"},
        {"[defaults]\nidle_timeout = \"999ms\"", "idle_timeout must be between 1s and 24h"},
        {"[defaults]\nrequest_timeout = true", "request_timeout must be a string, not a boolean"},
        {"[metrics]\nlisten = \"7490\"",
         "\"7490\" is not an address and port, as in \"127.0.0.1:9001\" or \"[::1]:9001\""},
        {"[metrics]\nlisten = \"10.0.0.1:7400\"",
         "10.0.0.1:7400 is taken by the mesh port at parley.toml:4"},
        {"[log]\nlevel = \"inof\"",
         "level must be \"debug\", \"info\", \"warn\" or \"error\", not \"inof\"; did you mean "
         "\"info\"?"},
        {"[log]\nformat = \"xml\"", "format must be \"text\" or \"json\", not \"xml\""},
        {"[log]\naccess = \"stdout\"", "access must be a table, not a string"},
        {"[log]\naccess = { to = \"journal\" }", "\"journal\" is not part of this version; under "
                                                 "systemd \"stdout\" is kept by the journal"},
        {"[log]\naccess = { to = \"log\" }",
         "to must be \"stdout\" or the absolute path of a file"},
        {"[log]\naccess = { only = \"tries\" }",
         "only \"tries\" is not part of this version, which knows \"all\", \"errors\" or \"none\""},
        {"[log]\naccess = { sample = \"1%\" }",
         "\"sample\" in [log.access] is not part of this version"},
        {"[log]\naccess = { query = 1 }", "query must be a boolean, not an integer"},
        {"[gossip]\nprofile = \"LAN\"",
         "profile must be \"lan\", \"fast\" or \"wan\", not \"LAN\""},
        {"[gossip]\nkey_hold = \"169h\"", "key_hold must be between 1s and 168h"},
        {"[gossip]\ndatagram_bytes = 1199", "datagram_bytes must be between 1200 and 1400"},
    };
    CHECK_ROWS(row, NODE);
}

#define CONNECT_ELSEWHERE                                                                          \
    "connect is for http and h2: with tcp all bytes pass, and grpc has no CONNECT"

static void test_services_are_checked(void **state)
{
    (void)state;
    static const struct row row[] = {
        {"[service.Web]\nlocal = \"127.0.0.1:1\"",
         "\"Web\" is not a name: 1 to 63 of a-z 0-9 -, a letter or digit at both ends"},
        {"[service.\"../x\"]\nlocal = \"127.0.0.1:1\"",
         "\"../x\" is not a name: 1 to 63 of a-z 0-9 -, a letter or digit at both ends"},
        {"[service.node]\nlocal = \"127.0.0.1:1\"",
         "\"node\" is a word of the rules and cannot name a service"},
        {"[service.web]", "[service.web] needs local, as in local = \"127.0.0.1:8080\""},
        {"[service.web]\nlocal = 8080", "local must be a string, not an integer"},
        {"[service.web]\nlocal = \"8080\"",
         "\"8080\" is neither an address and port nor a socket, as in \"127.0.0.1:8080\" or "
         "\"unix:/run/web.sock\""},
        {"[service.web]\nlocal = \"0.0.0.0:80\"", "0.0.0.0:80 is no address to connect to"},
        {WEB "protocol = \"htp\"", "protocol must be \"http\", \"tcp\", \"h2\", \"grpc\" or "
                                   "\"tls-passthrough\", not \"htp\"; "
                                   "did you mean \"http\"?"},
        {WEB "proxy_protocol = \"v3\"",
         "proxy_protocol must be \"none\", \"v1\" or \"v2\", not \"v3\""},
        {WEB "connect = 1", "connect must be a boolean, not an integer"},
        {WEB "protocol = \"tcp\"\nconnect = true", CONNECT_ELSEWHERE},
        {WEB "protocol = \"grpc\"\nconnect = true", CONNECT_ELSEWHERE},
        {WEB "limits = 1", "limits must be a table, not an integer"},
        {WEB "limits = { in_fligt = 1 }",
         "unknown key \"in_fligt\" in [service.web.limits]; did you mean \"in_flight\"?"},
        {WEB "limits = { rps = -1 }", "rps must be between 0 and 1000000"},
        {WEB "limits = { queue = 5 }", "a queue needs in_flight: without it nobody waits"},
        {WEB "weight = 0", "weight must be between 1 and 1000"},
        {WEB "tags = [1]", "tags must be a table, not an array"},
        {WEB "tags = { a = 1 }", "a tag must be a string, not an integer"},
        {WEB "tags = { a = \"x\\n\" }", "a tag and its value are at most 63 printable bytes each"},
        {WEB "tags = { \"\" = \"x\" }", "a tag and its value are at most 63 printable bytes each"},
        {WEB "tags = { a=\"\",b=\"\",c=\"\",d=\"\",e=\"\",f=\"\",g=\"\",h=\"\",i=\"\" }",
         "a service has at most 8 tags"},
    };
    CHECK_ROWS(row, NODE);
}

static void test_limits_are_checked(void **state)
{
    (void)state;
    static const struct row row[] = {
        {"[limits]\nconnection = 1",
         "unknown key \"connection\" in [limits]; did you mean \"connections\"?"},
        {"[limits]\nconnections = 0", "connections must be between 1 and 1000000"},
        {"[limits]\nstreams = 257", "streams must be between 1 and 256"},
        {"[limits]\nheader_bytes = 8192",
         "header_bytes needs a unit: add one, as in \"512B\" or \"64KiB\""},
        {"[limits]\nheader_bytes = \"8k\"",
         "\"8k\" is no size: write a whole number and B, KiB, MiB or GiB, as in \"64KiB\""},
        {"[limits]\nheader_bytes = \"65KiB\"", "header_bytes must be between 1KiB and 64KiB"},
        {"[limits]\nheader_fields = 129", "header_fields must be between 16 and 128"},
        {"[limits]\nurl_bytes = \"1MiB\"", "url_bytes must be between 128B and 8KiB"},
        {"[limits]\nheader_timeout = \"1ms\"", "header_timeout must be between 1s and 5m"},
        {"[limits]\nlink_idle = \"2d\"", "\"2d\" is no duration: write a whole number and ms, s, m "
                                         "or h, as in \"500ms\""},
        {"[limits]\nmin_rate = \"2MiB\"", "min_rate must be between 0B and 1MiB"},
        {"[limits]\nmemory = \"1MiB\"", "memory must be between 8MiB and 1024GiB"},
    };
    CHECK_ROWS(row, NODE);
}

static void test_rules_are_checked(void **state)
{
    (void)state;
    static const struct row row[] = {
        {WEB "allow = \"api\"", "allow must be an array, not a string"},
        {WEB "allow = []", "allow is empty and would match nothing: leave it out, or fill it"},
        {WEB "allow = [\"any\"]", "\"any\" is no caller; did you mean \"any-authenticated\"?"},
        {WEB "allow = [\"*\"]",
         "\"*\" is no caller: a service name, \"node:NAME\" or \"any-authenticated\""},
        {WEB "allow = [\"node:\"]",
         "\"node:\" is no caller: a service name, \"node:NAME\" or \"any-authenticated\""},
        {WEB "allow = [\"@edge\"]", "caller \"@edge\" is not part of this version"},
        {WEB "rule = 1", "rule must be an array, not an integer"},
        {WEB "rule = [1]", "a rule must be a table, not an integer"},
        {WEB "rule = [{ action = \"deny\", from = [] }]",
         "from is empty and would match nothing: leave it out, or fill it"},
        {WEB "rule = [{ path = [\"/a\"] }]",
         "an allow rule needs from; to open it to every caller of the mesh write from = "
         "[\"any-authenticated\"]"},
        {WEB "rule = [{ from = [\"a\"], action = \"drop\" }]",
         "action must be \"allow\" or \"deny\", not \"drop\""},
        {WEB "rule = [{ from = [\"a\"], mode = \"audit\" }]",
         "\"mode\" in [service.web.rule.1] is not part of this version"},
        {WEB "rule = [{ from = [\"a\"], paths = [\"/\"] }]",
         "unknown key \"paths\" in [service.web.rule.1]; did you mean \"path\"?"},
        {WEB "rule = [{ from = [\"a\"], method = [\"post\"] }]",
         "method \"post\" never matches; did you mean \"POST\"?"},
        {WEB "rule = [{ from = [\"a\"], method = [\"A B\"] }]", "\"A B\" is not an HTTP method"},
        {WEB "rule = [{ from = [\"a\"], path = [\"jobs\"] }]",
         "path \"jobs\" must start with \"/\""},
        {WEB "rule = [{ from = [\"a\"], path = [\"*\"] }]", "path \"*\" must start with \"/\""},
        {WEB "rule = [{ from = [\"a\"], path = [\"/a*\"] }]",
         "\"*\" stands only at the end of a path, behind a \"/\""},
        {WEB "rule = [{ from = [\"a\"], path = [\"/a/*/b\"] }]",
         "\"*\" stands only at the end of a path, behind a \"/\""},
        {WEB "rule = [{ from = [\"a\"], path = [\"/a?x=1\"] }]",
         "the query is not part of the path that rules see"},
        {WEB "rule = [{ from = [\"a\"], path = [\"/a//b\"] }]",
         "path \"/a//b\" never matches: write its canonical form, \"/a/b\""},
        {WEB "rule = [{ from = [\"a\"], path = [\"/%61/../b/*\"] }]",
         "path \"/%61/../b/\" never matches: write its canonical form, \"/b/*\""},
        {WEB "rule = [{ from = [\"a\"], path = [\"/a%2fb\"] }]",
         "path \"/a%2fb\" is refused in requests, so it never matches"},
        {WEB "rule = [{ name = \"x\", from = [\"a\"] }, { name = \"x\", from = [\"b\"] }]",
         "service \"web\" has two rules named \"x\""},
        {WEB "protocol = \"tcp\"\nrule = [{ from = [\"a\"], method = [\"GET\"] }]",
         "method needs an HTTP request to look at, and service \"web\" is tcp"},
        {WEB "protocol = \"tcp\"\nrule = [{ action = \"deny\", path = [\"/a\"] }]",
         "path needs an HTTP request to look at, and service \"web\" is tcp"},
    };
    CHECK_ROWS(row, NODE);
}

#define BACKOFF_BAD                                                                                \
    "backoff must be from the first pause to the longest, of at most 60000ms, as in "              \
    "\"10ms..250ms\""
#define HASH_BAD(text)                                                                             \
    "balance \"" text "\" must go by header:NAME, cookie:NAME or source, as in "                   \
    "\"hash:header:x-user\""

static void test_names_of_passing_tls_are_checked(void **state)
{
    (void)state;
    static const struct row row[] = {
        {API "sni = [\"a\"]", "sni is for protocol = \"tls-passthrough\" alone"},
        {TLS "sni = []", "sni is a list of 1 to 32 names"},
        {TLS "sni = [\"API.example\"]",
         "\"API.example\" is no name in lower case, as in \"api.example\" or \"*.example\""},
        {TLS "sni = [\"a..b\"]",
         "\"a..b\" is no name in lower case, as in \"api.example\" or \"*.example\""},
        {TLS "[upstream.z]\nlisten = \"127.0.0.1:9443\"",
         "127.0.0.1:9443 is taken by upstream \"tls\" at parley.toml:6"},
        {TLS "[upstream.z]\nprotocol = \"tls-passthrough\"\nlisten = \"127.0.0.1:9443\"\n"
             "sni = [\"x\", \"tls.shop\"]",
         "upstreams \"tls\" and \"z\" share an address and the sni \"tls.shop\""},
        {TLS "[upstream.z]\nprotocol = \"tls-passthrough\"\nlisten = \"127.0.0.1:9443\"\n"
             "proxy_protocol = true",
         "upstreams \"tls\" and \"z\" share an address: proxy_protocol is for both or none"},
    };
    CHECK_ROWS(row, NODE);
}

static void test_where_requests_go_is_checked(void **state)
{
    (void)state;
    static const struct row row[] = {
        {API "balance = \"random\"",
         "balance \"random\" is not part of this version, which knows \"least-loaded\", "
         "\"round-robin\", \"peak-ewma\", \"hash:header:NAME\" or \"ring:header:NAME\""},
        {API "balance = \"peak-ewm\"",
         "balance must be \"least-loaded\", \"round-robin\", \"peak-ewma\", \"hash:header:NAME\" "
         "or "
         "\"ring:header:NAME\", not \"peak-ewm\"; did you mean \"peak-ewma\"?"},
        {API "balance = \"hash\"", HASH_BAD("hash")},
        {API "balance = \"hash:header\"", HASH_BAD("hash:header")},
        {API "balance = \"ring:header:x y\"", HASH_BAD("ring:header:x y")},
        {API "balance = \"hash:query:a\"", HASH_BAD("hash:query:a")},
        {API "protocol = \"tcp\"\nbalance = \"hash:cookie:a\"",
         "a tcp session has neither headers nor cookies: use \"hash:source\""},
        {API "protocol = \"tcp\"\nbalance = \"peak-ewma\"",
         "a tcp session has no response whose latency counts: use \"least-loaded\""},
        {API "split = 5", "split must be an array, not an integer"},
        {API "split = [5]", "a part of split must be a table, not an integer"},
        {API "split = [{ to = { v = \"2\" }, weight = 60 }, { to = { v = \"3\" }, weight = 45 }]",
         "split weights of upstream \"api\" add up to 105%, at most 100%: lower one"},
        {API "split = [{ weight = 5 }]",
         "a split needs tags to go by, as in { to = { version = \"2.0\" }, weight = 5 }"},
        {API "split = [{ to = { v = \"2\" } }]",
         "a part of split needs weight, its share in percent, as in weight = 5"},
        {API "split = [{ to = { v = \"2\" }, weight = 5, wieght = 5 }]",
         "unknown key \"wieght\" in [upstream.api.split.1]; did you mean \"weight\"?"},
        {API "aperture = 10001", "aperture must be between 0 and 10000"},
        {API "slow_start = \"2h\"", "slow_start must be between 0ms and 1h"},
        {API "panic = 50", "panic needs a unit: add it, as in \"20%\""},
        {API "panic = \"half\"", "\"half\" is no percentage, as in \"20%\""},
        {API "panic = \"101%\"", "panic must be between 0% and 100%"},
    };
    CHECK_ROWS(row, NODE);
}

static void test_upstreams_are_checked(void **state)
{
    (void)state;
    static const struct row row[] = {
        {"[upstream.api]", "[upstream.api] needs listen, as in listen = \"127.0.0.1:9001\""},
        {"[upstream.api]\nlisten = \"unix:x\"",
         "\"unix:x\" is neither an address and port nor a socket, as in \"127.0.0.1:9001\", "
         "\"[::1]:9001\" or \"unix:/run/api.sock\""},
        {"[upstream.api]\nlisten = \"unix:/x\"\n[upstream.b]\nlisten = \"unix:/x\"",
         "unix:/x is taken by upstream \"api\" at parley.toml:6"},
        {API "connect = \"yes\"", "connect must be a boolean, not a string"},
        {API "protocol = \"tls-passthrough\"\nconnect = false", CONNECT_ELSEWHERE},
        {API "proxy_protocol = \"v1\"", "proxy_protocol must be a boolean, not a string"},
        {"[upstream.api]\nlisten = \"0.0.0.0:9001\"",
         "0.0.0.0:9001 would let everyone who reaches this host call as one of its services: "
         "listen on a loopback address"},
        {API "users = [\"www-data\"]", "\"users\" in [upstream.api] is not part of this version"},
        {API "retry = false",
         "retry must be a table: to switch it off write retry = { tries = 1 }"},
        {API "eject = false",
         "eject must be a table: to switch it off write eject = { after = 0 }"},
        {API "retry = 3", "retry must be a table, not an integer"},
        {API "retry = { tries = 0 }", "tries must be between 1 and 5"},
        {API "retry = { budget = 20 }", "budget needs a unit: add it, as in \"20%\""},
        {API "retry = { budgt = \"20%\" }",
         "unknown key \"budgt\" in [upstream.api.retry]; did you mean \"budget\"?"},
        {API "retry = { on = [\"404\"] }", "on must be \"connect\", \"reset\", \"timeout\", "
                                           "\"5xx\", \"429\", \"500\", \"502\", \"503\" "
                                           "or \"504\", not \"404\"; did you mean \"504\"?"},
        {API "retry = { backoff = \"10ms\" }", BACKOFF_BAD},
        {API "retry = { backoff = \"10ms..5ms\" }", BACKOFF_BAD},
        {API "retry = { backoff = \"10..250\" }", BACKOFF_BAD},
        {API "retry = { backoff = \"10ms..60001ms\" }", BACKOFF_BAD},
        {API "eject = 5", "eject must be a table, not an integer"},
        {API "eject = { for = \"1ms\" }", "for must be between 100ms and 1h"},
        {API "eject = { max = \"101%\" }", "max must be between 0% and 100%"},
        {API "protocol = \"tcp\"\ntry_timeout = \"1s\"",
         "try_timeout is for http, and upstream \"api\" is tcp: use connect_timeout"},
        {API "protocol = \"tcp\"\nretry = { on = [\"503\"] }",
         "on must be \"connect\", not \"503\""},
        {API "protocol = \"tcp\"\nretry = { on = [\"reset\"] }",
         "a tcp session that was reset cannot be replayed: on is [\"connect\"] there"},
        {API "protocol = \"tcp\"\nrequest_timeout = \"1s\"",
         "request_timeout is for http, and upstream \"api\" is tcp: use idle_timeout"},
        {API "as = \"web\"",
         "as names no service of this host: \"web\"; it may also be \"node\", the host itself"},
        {API WEB "[upstream.b]\nlisten = \"127.0.0.1:1\"\nas = \"wbe\"",
         "as names no service of this host: \"wbe\"; did you mean \"web\"?"},
        {API WEB "[service.jobs]\nlocal = \"127.0.0.1:2\"\n",
         "[upstream.api] needs as: this host has several identities to call with, \"jobs\", "
         "\"web\" and \"node\""},
        {API "[upstream.b]\nlisten = \"127.0.0.1:9001\"",
         "127.0.0.1:9001 is taken by upstream \"api\" at parley.toml:6"},
        {"[upstream.b]\nlisten = \"127.0.0.1:8080\"\n" WEB,
         "127.0.0.1:8080 is taken by the application of service \"web\" at parley.toml:8"},
    };
    CHECK_ROWS(row, NODE);
}

static void test_an_any_address_takes_the_port_of_all(void **state)
{
    (void)state;
    assert_findings(NODE "bind = \"0.0.0.0\"\nport = 9001\n" API, ERR_INVALID,
                    "parley.toml:8:10: error: 127.0.0.1:9001 is taken by the mesh port at "
                    "parley.toml:5\n"
                    "    8 | listen = \"127.0.0.1:9001\"\n"
                    "      |          ^~~~~~~~~~~~~~~~\n");
}

static void test_no_collector_is_no_trouble(void **state)
{
    (void)state;
    struct config *c = NULL;
    struct config_text empty = {.file = "parley.toml"};
    assert_int_equal(config_load(&empty, 1, NULL, &c), ERR_INVALID);
    assert_null(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_errors_show_place_line_and_suggestion),
        cmocka_unit_test(test_a_service_in_two_files_names_both_places),
        cmocka_unit_test(test_warnings_do_not_stop_a_load),
        cmocka_unit_test(test_every_error_of_all_files_is_counted_and_twenty_are_shown),
        cmocka_unit_test(test_text_that_is_no_toml_is_all_that_is_said),
        cmocka_unit_test(test_too_large_a_file_is_refused),
        cmocka_unit_test(test_unknown_and_later_sections_are_refused),
        cmocka_unit_test(test_the_node_is_checked),
        cmocka_unit_test(test_what_peers_dial_is_checked),
        cmocka_unit_test(test_a_missing_node_is_said),
        cmocka_unit_test(test_the_other_host_tables_are_checked),
        cmocka_unit_test(test_services_are_checked),
        cmocka_unit_test(test_limits_are_checked),
        cmocka_unit_test(test_rules_are_checked),
        cmocka_unit_test(test_names_of_passing_tls_are_checked),
        cmocka_unit_test(test_where_requests_go_is_checked),
        cmocka_unit_test(test_upstreams_are_checked),
        cmocka_unit_test(test_an_any_address_takes_the_port_of_all),
        cmocka_unit_test(test_no_collector_is_no_trouble),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
