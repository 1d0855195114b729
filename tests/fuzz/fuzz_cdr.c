/* fuzz_cdr.c - any bytes as a CDR file: read, made events, played to a tracker. */
#include "history_play.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	history_play(&asterisk_cdr, data, size);
	return 0;
}
