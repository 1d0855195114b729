/* fuzz_cel.c - any bytes as a CEL file: read, made events, played to a tracker. */
#include "history_play.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	history_play(&asterisk_cel, data, size);
	return 0;
}
