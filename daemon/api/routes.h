/* routes.h - the handlers of every resource, for the table in api.c. */
#ifndef INTERACTD_API_ROUTES_H
#define INTERACTD_API_ROUTES_H

#include <http.h>

/* arg is the struct app. */
/* clang-format off */
#define ROUTE_HANDLERS(H) \
	H(route_healthz) H(route_readyz) H(route_metrics) H(route_status) \
	H(route_openapi) H(route_contact_create) H(route_contact_list) \
	H(route_contact_get) H(route_contact_patch) H(route_contact_timeline) \
	H(route_contact_import) H(route_contact_people) H(route_lookup) \
	H(route_contact_erase) H(route_contact_privacy) \
	H(route_retention) \
	H(route_contact_merge) H(route_contact_unmerge) \
	H(route_suggestion_list) H(route_suggestion_accept) \
	H(route_suggestion_reject) \
	H(route_preferences_get) H(route_preferences_put) \
	H(route_contact_decide) \
	H(route_page_create) H(route_page_revoke) H(route_page_get) \
	H(route_page_post) H(route_erasure_requests) \
	H(route_consent_list) H(route_consent_record) H(route_consent_confirm) \
	H(route_suppression_list) H(route_suppression_add) \
	H(route_suppression_remove) H(route_suppression_lists) \
	H(route_suppression_import) \
	H(route_import_get) H(route_import_rejected) \
	H(route_segment_create) H(route_segment_list) H(route_segment_get) \
	H(route_segment_patch) H(route_segment_delete) H(route_segment_count) \
	H(route_segment_preview) H(route_segment_try_count) \
	H(route_segment_try_preview) H(route_segment_export) \
	H(route_contacts_export) H(route_contact_export) \
	H(route_interaction_create) H(route_interaction_get) H(route_calls) \
	H(route_call_dial) \
	H(route_agent_list) H(route_agent_create) H(route_agent_get) \
	H(route_agent_patch) H(route_agent_state_get) \
	H(route_agent_state_put) H(route_agent_pops) H(route_agent_stream) \
	H(route_pop_stream) H(route_token_create) H(route_token_list) \
	H(route_token_revoke) H(route_ticket_create) H(route_key_create) \
	H(route_webhook_create) H(route_webhook_list) H(route_webhook_get) \
	H(route_webhook_patch) H(route_webhook_delete) H(route_webhook_test) \
	H(route_webhook_replay) H(route_webhook_deliveries) \
	H(route_webhook_delivery) H(route_webhook_delivery_replay) \
	H(route_webhook_dead_letters) \
	H(route_key_list) H(route_key_patch) H(route_key_revoke) H(route_audit) \
	H(route_quarantine_list) H(route_quarantine_retry) \
	H(route_channel_resync) H(route_channel_gaps)
/* clang-format on */

#define H(name) http_handler_fn name;
ROUTE_HANDLERS(H)
#undef H

#endif
