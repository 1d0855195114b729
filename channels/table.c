/* table.c - the drivers linked in: one line each. A new one is written from channel.h
 * alone, in a folder beside this file. */
#include <channel.h>

extern const struct channel_ops asterisk_channel;

const struct channel_ops *const channel_drivers[] = {
	&asterisk_channel,
	NULL,
};
