/* Policy files: mesh policy texts, from the command line's files or from the agent, checked.
 *
 * Main thread of a command. The name of a text is that of its file, without folder and .toml, in
 * lower case and with '-' for what a name cannot hold: shop.policy.toml is "shop-policy".
 */
#ifndef CMD_VERBS_POLICY_FILES_H
#define CMD_VERBS_POLICY_FILES_H

#include "cmd/client.h"
#include "core/model/manifest.h"
#include "core/wire/config_policy.h"

struct policy_files {
    struct arena arena; /* owned: the texts and their names */
    size_t count;
    struct config_text text[MANIFEST_TEXTS_MAX];
    struct name name[MANIFEST_TEXTS_MAX];
    struct policy_mesh *mesh; /* owned: what they say */
};

/* Reads and checks the command's arguments. EXIT_CONFIG: every error has been said; warnings are
 * said too, those included about services that nobody announces, or that were found to speak tcp
 * and have no requests to look at. */
enum verb_exit policy_files_load(const struct verb_ctx *ctx, struct policy_files *out);
/* The texts of `texts`, an array of { name, text }: what is in force, or was. */
enum verb_exit policy_files_from(const struct json_value *texts, struct policy_files *out);
void policy_files_fini(struct policy_files *p);

#endif
