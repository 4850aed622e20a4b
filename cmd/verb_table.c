#include "cmd/verb.h"

#include "cmd/verbs/verbs.h"

static const struct verb_flag init_flags[] = {
    {"mesh", 0, FLAG_TEXT, "NAME", "name of the new mesh (required)"},
    {"node", 0, FLAG_TEXT, "NAME", "name of this node; default: the host name"},
    {"addr", 0, FLAG_TEXT, "IP", "address peers dial; default: the only global one"},
    {"operator", 0, FLAG_TEXT, "NAME", "who may sign mesh policy; default: the login name"},
    {"key", 0, FLAG_TEXT, "FILE", "where their key goes; default: /etc/parley/operator.key"},
    {0},
};
static const struct verb_flag join_flags[] = {
    {"node", 0, FLAG_TEXT, "NAME", "name of this node; default: the host name"},
    {"addr", 0, FLAG_TEXT, "IP", "address peers dial; default: the one that reaches the mesh"},
    {"token-file", 0, FLAG_TEXT, "FILE", "read the token from FILE (- for stdin)"},
    {0},
};
static const struct verb_flag token_create_flags[] = {
    {"ttl", 0, FLAG_DURATION, "1h", "how long it may be used; at most 7 days"},
    {"uses", 0, FLAG_COUNT, "1", "how often it may be used"},
    {"node", 0, FLAG_TEXT, "GLOB", "only for nodes of this name"},
    {"role", 0, FLAG_TEXT, "host", "host, or signer (gets the CA key)"},
    {"allow-services", 0, FLAG_TEXT, "a,b", "services the node may announce; default: any"},
    {0},
};
static const struct verb_flag up_flags[] = {
    {"config", 0, FLAG_TEXT, "FILE", "main file; default: /etc/parley/parley.toml"},
    {"strict", 0, FLAG_BOOL, NULL,
     "refuse to start on a bad file instead of using the last good one"},
    {0},
};
static const struct verb_flag members_flags[] = {
    {"status", 0, FLAG_TEXT, "STATE", "only members in this state"},
    {0},
};
static const struct verb_flag ping_flags[] = {
    {"count", 'c', FLAG_COUNT, "4", "how often; at most 100"},
    {0},
};
static const struct verb_flag netcheck_flags[] = {
    {"after", 0, FLAG_TEXT, "NODE",
     "only nodes whose names come after it; --json asks 64 at a time"},
    {0},
};
static const struct verb_flag check_flags[] = {
    {"strict", 0, FLAG_BOOL, NULL, "warnings alone exit 11"},
    {"list", 0, FLAG_BOOL, NULL, "print what is checked"},
    {0},
};
static const struct verb_flag config_flags[] = {
    {"config", 0, FLAG_TEXT, "FILE", "main file; default: /etc/parley/parley.toml"},
    {0},
};
static const struct verb_flag config_show_flags[] = {
    {"config", 0, FLAG_TEXT, "FILE", "main file; default: /etc/parley/parley.toml"},
    {"effective", 0, FLAG_BOOL, NULL, "every value with its origin, defaults included"},
    {"mesh", 0, FLAG_BOOL, NULL, "the mesh policy that is in force, instead of the host file"},
    {0},
};
#define KEY_FLAG                                                                                   \
    {                                                                                              \
        "key", 0, FLAG_TEXT, "FILE",                                                               \
            "default: $PARLEY_OPERATOR_KEY, else operator.key in /etc/parley or ~/.config/parley"  \
    }
#define MESSAGE_FLAG                                                                               \
    {                                                                                              \
        "message", 'm', FLAG_TEXT, "TEXT", "why, for the history"                                  \
    }
#define ROLLOUT_FLAGS                                                                              \
    {"confirm-within", 0, FLAG_DURATION, "2m", "take it back unless it is confirmed in time"},     \
        {"no-wait", 0, FLAG_BOOL, NULL, "return when the agent has taken it"},                     \
        {"soak", 0, FLAG_DURATION, "150ms", "how long each wave must stay well"},                  \
        {"max-rejected", 0, FLAG_COUNT, "0", "go on although so many refuse it or say nothing"},   \
        {"immediate", 0, FLAG_BOOL, NULL,                                                          \
         "once all find it valid, on all at once: no host shows first whether it lives"},          \
        {"cosign", 0, FLAG_TEXT, "FILE", "a second operator's key, which --immediate needs"},      \
    {                                                                                              \
        "force", 0, FLAG_BOOL, NULL, "go on although half of the nodes are out of sight"           \
    }
static const struct verb_flag config_diff_flags[] = {
    {"exit-code", 0, FLAG_BOOL, NULL, "exit 10 when a rule differs"},
    {0},
};
static const struct verb_flag config_apply_flags[] = {KEY_FLAG, MESSAGE_FLAG, ROLLOUT_FLAGS, {0}};
static const struct verb_flag config_history_flags[] = {
    {"number", 'n', FLAG_COUNT, "10", "how many generations"},
    {0},
};
static const struct verb_flag key_flags[] = {KEY_FLAG, {0}};
static const struct verb_flag keyring_rotate_flags[] = {KEY_FLAG, MESSAGE_FLAG, {0}};
static const struct verb_flag operator_add_flags[] = {
    {"role", 0, FLAG_TEXT, "policy", "policy, or admin (policy and operators)"},
    {"public-key", 0, FLAG_TEXT, "KEY", "the new operator's public key, po1_..."},
    {"out", 0, FLAG_TEXT, "FILE", "or: make a key for them and write it to FILE"},
    KEY_FLAG,
    MESSAGE_FLAG,
    {0},
};
static const struct verb_flag operator_remove_flags[] = {
    {"issuer", 0, FLAG_BOOL, NULL,
     "sign with the mesh's issuer key, on a signer: nobody undoes it"},
    KEY_FLAG,
    MESSAGE_FLAG,
    {0},
};
static const struct verb_flag operator_settle_flags[] = {MESSAGE_FLAG, {0}};
static const struct verb_flag reload_flags[] = {
    {"wait", 0, FLAG_BOOL, NULL, "return when every worker uses the new configuration"},
    {0},
};
static const struct verb_flag demo_flags[] = {
    {"for", 0, FLAG_DURATION, "20s", "end by itself after this long"},
    {"kill-at", 0, FLAG_DURATION, "8s", "kill node 2 this long after the load began"},
    {"rate", 0, FLAG_COUNT, "20", "requests a second"},
    {0},
};
static const struct verb_flag echo_flags[] = {
    {"listen", 0, FLAG_TEXT, "IP:PORT", "where to listen (required)"},
    {"name", 0, FLAG_TEXT, "NAME", "what to call itself in answers"},
    {"tcp", 0, FLAG_BOOL, NULL, "echo bytes instead of answering HTTP"},
    {"call", 0, FLAG_TEXT, "http://..|tcp://..",
     "call this for each request and answer 502 when it fails"},
    {0},
};
static const struct verb_flag load_flags[] = {
    {"url", 0, FLAG_TEXT, "http://IP:PORT/PATH", "what to request (required)"},
    {"rate", 0, FLAG_COUNT, "100", "requests a second"},
    {"for", 0, FLAG_DURATION, "10s", "how long"},
    {"connections", 0, FLAG_COUNT, "8", "keep-alive connections"},
    {"method", 0, FLAG_TEXT, "GET", "GET or POST"},
    {"body-bytes", 0, FLAG_COUNT, "0", "size of the request body"},
    {0},
};

static const struct verb table[] = {
    {"init", NULL, NULL, "make a mesh: its CA and this first node's identity and file", 0, 0,
     init_flags, init_run},
    {"join", NULL, "[TOKEN]", "join a mesh with a token", 0, 1, join_flags, join_run},
    {"up", NULL, NULL, "run the agent in the foreground (the unit runs this)", 0, 0, up_flags,
     up_run},
    {"status", NULL, NULL, "health of this node on one screen", 0, 0, NULL, status_run},
    {"ready", NULL, NULL, "exit 0 when this node serves, 10 when not", 0, 0, NULL, ready_run},
    {"members", NULL, NULL, "who is in the mesh", 0, 0, members_flags, members_run},
    {"services", NULL, "[NAME]", "the catalogue of services", 0, 1, NULL, services_run},
    {"endpoints", NULL, "NAME", "the endpoints of a service", 1, 1, NULL, endpoints_run},
    {"ping", NULL, "NODE", "round-trip times to a member, by UDP and by TCP", 1, 1, ping_flags,
     ping_run},
    {"netcheck", NULL, "[NODE]", "what works between this node and the others, and what does not",
     0, 1, netcheck_flags, netcheck_run},
    {"check", NULL, NULL, "grouped diagnosis of this node", 0, 0, check_flags, checkup_run},
    {"reload", NULL, NULL, "read the host file again", 0, 0, reload_flags, reload_verb_run},
    {"drain", NULL, NULL, "stop taking new requests, tell peers, wait", 0, 0, NULL, drain_verb_run},
    {"undrain", NULL, NULL, "take requests again", 0, 0, NULL, drain_verb_undo_run},
    {"leave", NULL, NULL, "drain, leave the mesh and stop the agent", 0, 0, NULL,
     drain_verb_leave_run},
    {"circuit", "reset", "NAME", "use the ejected endpoints of a service again", 1, 1, NULL,
     circuit_verb_reset_run},
    {"forget", NULL, "NODE", "drop a dead node from the membership", 1, 1, NULL, forget_run},
    {"token", "create", NULL, "make a join token", 0, 0, token_create_flags, token_verb_create_run},
    {"token", "list", NULL, "tokens that may still be used", 0, 0, NULL, token_verb_list_run},
    {"token", "revoke", "ID", "end a token", 1, 1, NULL, token_verb_revoke_run},
    {"cert", "list", NULL, "certificates of this node and when they renew", 0, 0, NULL,
     cert_list_run},
    {"config", "check", NULL, "check the host file; all errors at once", 0, 0, config_flags,
     config_verb_check_run},
    {"config", "show", NULL, "print the host file's values, or the mesh policy", 0, 0,
     config_show_flags, config_verb_show_run},
    {"config", "diff", "FILE...", "what these mesh policy files would change", 1, VERB_ARGS_MAX,
     config_diff_flags, config_mesh_diff_run},
    {"config", "apply", "FILE...", "put these mesh policy files in force on every host", 1,
     VERB_ARGS_MAX, config_apply_flags, config_apply_run},
    {"config", "confirm", "[GEN]", "keep a generation that was applied with --confirm-within", 0, 1,
     key_flags, config_apply_confirm_run},
    {"config", "history", NULL, "the generations of the mesh policy", 0, 0, config_history_flags,
     config_mesh_history_run},
    {"config", "rollback", "GEN", "apply the texts of an earlier generation again", 1, 1,
     config_apply_flags, config_apply_rollback_run},
    {"operator", "list", NULL, "who may sign mesh policy", 0, 0, NULL, operator_verb_list_run},
    {"operator", "key", "[FILE]", "make a key of your own in FILE, or show yours: the public half",
     0, 1, key_flags, operator_verb_key_run},
    {"operator", "add", "NAME", "let somebody sign mesh policy", 1, 1, operator_add_flags,
     operator_verb_add_run},
    {"operator", "remove", "NAME", "what this operator signs from now on is refused", 1, 1,
     operator_remove_flags, operator_verb_remove_run},
    {"operator", "settle", NULL, "on a signer: nobody undoes what operators there are now", 0, 0,
     operator_settle_flags, operator_verb_settle_run},
    {"keyring", "status", NULL, "gossip keys: which seals, who lacks one, what happens next", 0, 0,
     NULL, keyring_verb_status_run},
    {"keyring", "rotate", NULL, "a new gossip key for the whole mesh", 0, 0, keyring_rotate_flags,
     keyring_verb_rotate_run},
    {"demo", NULL, NULL, "three nodes and three services on this machine", 0, 0, demo_flags,
     demo_run},
    {"testapp", "echo", NULL, "a small HTTP or TCP application", 0, 0, echo_flags,
     testapp_echo_run},
    {"testapp", "load", NULL, "a small HTTP load", 0, 0, load_flags, testapp_load_run},
    {"version", NULL, NULL, "version and build", 0, 0, NULL, version_run},
    {"help", NULL, "[VERB [NOUN]]", "what the verbs do", 0, 2, NULL, help_run},
    {0},
};

const struct verb *verb_table(void)
{
    return table;
}
