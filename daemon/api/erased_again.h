/* erased_again.h - erasures outlive the restoring of a backup.
 *
 * Each is noted in [daemon] state_dir/erased, one line "TENANT ID BAR": ids only. When the
 * daemon goes live, whom the database still knows was restored with it, and is erased
 * again. */
#ifndef INTERACTD_API_ERASED_AGAIN_H
#define INTERACTD_API_ERASED_AGAIN_H

#include <api/app.h>

/* After an erasure was committed; bar: they must not be contacted. */
void erased_note(struct app *, const struct privacy_subject *, bool bar);
/* Once live. */
void erased_again(struct app *);

#endif
