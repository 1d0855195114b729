/* call.c - the words for what a call and its legs are; see call.h and contract.md. */
#include <calls/call.h>

#include <stddef.h>

const char *
call_phase_text(enum call_phase phase)
{
	static const char *const texts[] = {
#define S(name, text, help) text,
		CALL_PHASES(S)
#undef S
	};
	return texts[phase];
}

const char *
call_disposition_text(enum call_disposition disposition)
{
	static const char *const texts[] = {
#define D(name, text) text,
		CALL_DISPOSITIONS(D)
#undef D
	};
	return disposition == CALL_DISP_NONE ? NULL : texts[disposition];
}

const char *
call_reason_text(enum call_reason reason)
{
	static const char *const texts[] = {
#define R(name, text) text,
		CALL_REASONS(R)
#undef R
	};
	return reason == CALL_REASON_NONE ? NULL : texts[reason];
}

const char *
leg_type_text(enum leg_type type)
{
	static const char *const texts[] = {
		[LEG_QUEUE] = "queue",
		[LEG_RING] = "ring",
		[LEG_TALK] = "talk",
		[LEG_HOLD] = "hold",
		[LEG_PARK] = "hold", /* the contract knows no parking */
		[LEG_TRANSFER] = "transfer",
		[LEG_IVR] = "ivr",
	};
	return texts[type];
}
