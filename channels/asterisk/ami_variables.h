/* ami_variables.h - which of a channel's variables are the site's, and which
 * Asterisk's.
 *
 * Nearly half of a `read=all` stream is VarSet; what Asterisk's own applications and
 * channel drivers set (RTP statistics, peers, timers) says nothing about a customer. */
#ifndef INTERACTD_ASTERISK_AMI_VARIABLES_H
#define INTERACTD_ASTERISK_AMI_VARIABLES_H

#include <stdbool.h>

/* A name such as a dialplan's Set() makes, not a function like CALLERID(num). */
bool ami_variable_is_plain(const char *name);
/* Set by Asterisk itself. */
bool ami_variable_is_noise(const char *name);
/* Without the underscores that make children inherit it. Points into name. */
const char *ami_variable_plain(const char *name);

#endif
