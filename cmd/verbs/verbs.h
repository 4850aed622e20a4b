/* Every verb's run function; one file a verb in this folder. What each does is its row in
 * cmd/verb_table.c.
 *
 * Main thread of a command. Each returns the process's exit code and has said on stderr why it is
 * not 0.
 */
#ifndef CMD_VERBS_VERBS_H
#define CMD_VERBS_VERBS_H

#include "cmd/verb.h"

enum verb_exit init_run(struct verb_ctx *ctx);
enum verb_exit join_run(struct verb_ctx *ctx);
enum verb_exit token_verb_create_run(struct verb_ctx *ctx);
enum verb_exit token_verb_list_run(struct verb_ctx *ctx);
enum verb_exit token_verb_revoke_run(struct verb_ctx *ctx);
enum verb_exit up_run(struct verb_ctx *ctx);
enum verb_exit status_run(struct verb_ctx *ctx);
enum verb_exit ready_run(struct verb_ctx *ctx);
enum verb_exit members_run(struct verb_ctx *ctx);
enum verb_exit services_run(struct verb_ctx *ctx);
enum verb_exit circuit_verb_reset_run(struct verb_ctx *ctx);
enum verb_exit endpoints_run(struct verb_ctx *ctx);
enum verb_exit ping_run(struct verb_ctx *ctx);
enum verb_exit netcheck_run(struct verb_ctx *ctx);
enum verb_exit checkup_run(struct verb_ctx *ctx);
enum verb_exit config_verb_check_run(struct verb_ctx *ctx);
enum verb_exit config_verb_show_run(struct verb_ctx *ctx);
enum verb_exit config_mesh_diff_run(struct verb_ctx *ctx);
enum verb_exit config_mesh_history_run(struct verb_ctx *ctx);
enum verb_exit config_mesh_show_run(struct verb_ctx *ctx);
enum verb_exit config_apply_run(struct verb_ctx *ctx);
enum verb_exit config_apply_confirm_run(struct verb_ctx *ctx);
enum verb_exit config_apply_rollback_run(struct verb_ctx *ctx);
enum verb_exit operator_verb_list_run(struct verb_ctx *ctx);
enum verb_exit operator_verb_add_run(struct verb_ctx *ctx);
enum verb_exit operator_verb_remove_run(struct verb_ctx *ctx);
enum verb_exit operator_verb_settle_run(struct verb_ctx *ctx);
enum verb_exit keyring_verb_status_run(struct verb_ctx *ctx);
enum verb_exit keyring_verb_rotate_run(struct verb_ctx *ctx);
enum verb_exit operator_verb_key_run(struct verb_ctx *ctx);
enum verb_exit reload_verb_run(struct verb_ctx *ctx);
enum verb_exit drain_verb_run(struct verb_ctx *ctx);
enum verb_exit drain_verb_undo_run(struct verb_ctx *ctx);
enum verb_exit drain_verb_leave_run(struct verb_ctx *ctx);
enum verb_exit forget_run(struct verb_ctx *ctx);
enum verb_exit cert_list_run(struct verb_ctx *ctx);
enum verb_exit demo_run(struct verb_ctx *ctx);
enum verb_exit testapp_echo_run(struct verb_ctx *ctx);
enum verb_exit testapp_load_run(struct verb_ctx *ctx);
enum verb_exit version_run(struct verb_ctx *ctx);
enum verb_exit help_run(struct verb_ctx *ctx);

#endif
