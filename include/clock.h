/* clock.h - the two clocks, as microseconds, and RFC 3339 text.
 *
 * Wall time is for what people and other systems see; monotonic time for waits and
 * deadlines, so that a jump of the wall clock breaks none. Tests may set both. */
#ifndef INTERACTD_CLOCK_H
#define INTERACTD_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

int64_t clock_wall_us(void);
int64_t clock_mono_us(void);
/* Tests: from now on both clocks stand at these values; 0, 0 ends it. */
void clock_fake(int64_t wall_us, int64_t mono_us);

#define CLOCK_RFC3339_LEN 32
/* "2026-11-21T08:00:00.123Z" (milliseconds, RFC 3339 §5.6). Returns dst. */
char *clock_format(char dst[CLOCK_RFC3339_LEN], int64_t wall_us);
/* Any RFC 3339 date-time with offset or Z, up to 9 digits of fraction. */
bool clock_parse(const char *s, int64_t *wall_us_r);

#endif
