/* commands.c - the table of commands, in the order of the overview. */
#include <ctl/ctl.h>

const struct ctl_command *const ctl_commands[] = {
	&cmd_status,
	&cmd_channels,
	&cmd_calls,
	&cmd_call_dial,
	&cmd_pops,

	&cmd_contact_find,
	&cmd_contact_show,
	&cmd_contact_add,
	&cmd_contact_set,
	&cmd_import,
	&cmd_timeline,
	&cmd_interaction_show,

	&cmd_agent_list,
	&cmd_agent_show,
	&cmd_agent_add,
	&cmd_agent_set,
	&cmd_agent_state,
	&cmd_agent_token,
	&cmd_agent_tokens,
	&cmd_agent_revoke,

	&cmd_apikey_create,
	&cmd_apikey_list,
	&cmd_apikey_revoke,
	&cmd_audit,

	&cmd_webhook_add,
	&cmd_webhook_list,
	&cmd_webhook_show,
	&cmd_webhook_set,
	&cmd_webhook_remove,
	&cmd_webhook_test,
	&cmd_webhook_deliveries,
	&cmd_webhook_replay,

	&cmd_db_migrate,
	&cmd_db_status,
	&cmd_db_check,
	&cmd_channel_check,
	&cmd_channel_resync,
	&cmd_channel_gaps,
	&cmd_spool_status,
	&cmd_quarantine_list,
	&cmd_quarantine_retry,
	&cmd_completion,
	&cmd_manual,
	NULL,
};
