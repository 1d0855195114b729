/* ami_variables.c - the names that Asterisk's applications set by themselves.
 *
 * Taken from recordings and from the applications' own documentation (`core show
 * application Dial`, Queue, VoiceMail, Read, MixMonitor …). A trailing * stands for
 * anything that follows. */
#include "ami_variables.h"

#include <mem.h>

#include <string.h>

static const char *const noise[] = {
	"ABANDONED",
	"AGENT*", /* AGENTEXTEN, AGENTBYCALLERID_… */
	"AGISTATUS",
	"ANSWEREDTIME*",
	"ARG*",
	"ASTERISK*",
	"ATTENDEDTRANSFER",
	"ATTENDED_TRANSFER_COMPLETE_SOUND",
	"AVAIL*",
	"BLINDTRANSFER",
	"BRIDGEPEER",
	"BRIDGEPVTCALLID",
	"BRIDGERESULT",
	"CDR*",
	"CHANNEL(*",
	"CONFBRIDGE_RESULT",
	"CONNECTEDLINE*",
	"CURL*",
	"DB_RESULT",
	"DIALEDPEER*",
	"DIALEDTIME*",
	"DIALSTATUS",
	"DYNAMIC_*",
	"FORWARDERNAME",
	"GOSUB_RETVAL",
	"GROUP*",
	"HANGUPCAUSE*",
	"HASHRESULT",
	"LOCAL(*",
	"MACRO_*",
	"MASTER_CHANNEL*",
	"MEETMESECS",
	"MEMBER*",
	"MIXMONITOR_*",
	"MONITORED",
	"ORIGINATE_STATUS",
	"PARKEDAT",
	"PARKED_CALL*",
	"PARKINGLOT",
	"PARKINGSLOT",
	"PARKINGSPACE",
	"PARKER*",
	"PBX",
	"PICKUPMARK",
	"PICKUPRESULT",
	"PLAYBACKSTATUS",
	"PRIREDIRECTREASON",
	"PROGRESSTIME*",
	"QEHOLDTIME",
	"QEORIGINALPOS",
	"QUEUE*",
	"READSTATUS",
	"RECORDED_FILE",
	"RECORD_STATUS",
	"REDIRECTING*",
	"RINGTIME*",
	"RTP*",
	"SHARED(*",
	"SIPCALLID",
	"SIPDOMAIN",
	"SIPREFER*",
	"SIPTRANSFER*",
	"SIPURI",
	"SIP_*",
	"STACK_*",
	"SYSTEMSTATUS",
	"TIMEOUT(*",
	"TRANSFERERNAME",
	"TRANSFERSTATUS",
	"TRANSFER_CONTEXT",
	"TXTCIDNAME",
	"VMSTATUS",
	"VM_*",
	"VPMPPEER",
	"WAITSTATUS",
	"_*", /* more than one more underscore than inheritance needs */
	"~*",
};

const char *
ami_variable_plain(const char *name)
{
	for (int i = 0; i < 2 && *name == '_'; i++)
		name++;
	return name;
}

bool
ami_variable_is_plain(const char *name)
{
	size_t len = strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
				  "0123456789_-.");

	return len > 0 && name[len] == '\0';
}

bool
ami_variable_is_noise(const char *name)
{
	name = ami_variable_plain(name);
	for (size_t i = 0; i < ARRAY_LEN(noise); i++) {
		size_t len = strlen(noise[i]);
		if (noise[i][0] != name[0])
			continue;
		if (noise[i][len - 1] == '*' ? strncmp(name, noise[i], len - 1) == 0
					     : strcmp(name, noise[i]) == 0)
			return true;
	}
	return false;
}
