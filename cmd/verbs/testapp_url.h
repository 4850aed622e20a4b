/* Addresses that the sample applications call: "http://IP[:PORT][/PATH]" and "tcp://IP:PORT".
 *
 * Any thread, pure. IP literals only: the sample applications resolve no names. Owns nothing.
 */
#ifndef CMD_VERBS_TESTAPP_URL_H
#define CMD_VERBS_TESTAPP_URL_H

#include "core/model/addr.h"

#define TESTAPP_URL_PATH_MAX 1024u

enum testapp_url_scheme { TESTAPP_URL_HTTP, TESTAPP_URL_TCP };
struct testapp_url {
    enum testapp_url_scheme scheme;
    struct target to;
    char authority[ADDR_TEXT_MAX];   /* for the Host field: as given, without userinfo */
    char path[TESTAPP_URL_PATH_MAX]; /* with its query, "/" at least; empty for tcp */
};

/* Reads `text`. ERR_INVALID: `*why` says what is wrong with it, static; `*out` is untouched. */
enum err testapp_url_parse(const char *text, struct testapp_url *out, const char **why) MUST_USE;

#endif
