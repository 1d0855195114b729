/* log.h - one line per event, to stderr, with a priority and who it is about.
 *
 * Levels: error = somebody must act; warning = we coped; info = what an operator would
 * tell a colleague; debug = every transition. Text that customers wrote or spoke, names
 * and full numbers appear at debug only. Control characters, and bytes that are not
 * UTF-8, are escaped; a line is cut at 2 KiB. errno is preserved.
 *
 * `who` names the object, e.g. "channel pbx-main" or "pg 2"; NULL for the daemon
 * itself. Under systemd (JOURNAL_STREAM set and matching stderr) lines start with "<N>"
 * (sd-daemon(3)); otherwise with a UTC time and the level's name. Thread-safe. */
#ifndef INTERACTD_LOG_H
#define INTERACTD_LOG_H

#include <stdbool.h>
#include "err.h"

enum log_level { LOG_LVL_ERROR, LOG_LVL_WARNING, LOG_LVL_INFO, LOG_LVL_DEBUG };

void log_init(enum log_level level);
void log_set_level(enum log_level level);
bool log_wants(enum log_level level);
/* "error", "warning", "info" or "debug"; -1 if none of them. */
int log_level_parse(const char *name);

void log_line(enum log_level, const char *who, const char *fmt, ...) PRINTF_LIKE(3, 4);
/* As log_line with ": strerror(errno)" appended. */
void
log_line_errno(enum log_level, const char *who, const char *fmt, ...) PRINTF_LIKE(3, 4);
#define log_error(who, ...)  log_line_errno(LOG_LVL_ERROR, who, __VA_ARGS__)
#define log_errorx(who, ...) log_line(LOG_LVL_ERROR, who, __VA_ARGS__)
#define log_warn(who, ...)   log_line_errno(LOG_LVL_WARNING, who, __VA_ARGS__)
#define log_warnx(who, ...)  log_line(LOG_LVL_WARNING, who, __VA_ARGS__)
#define log_info(who, ...)   log_line(LOG_LVL_INFO, who, __VA_ARGS__)
#define log_debug(who, ...)                                                            \
	do {                                                                           \
		if (log_wants(LOG_LVL_DEBUG))                                          \
			log_line(LOG_LVL_DEBUG, who, __VA_ARGS__);                     \
	} while (0)

/* "Once per cause, not once per line": true the first time, then at most once per
 * `every_s` seconds, with the number suppressed meanwhile in *suppressed_r. The struct
 * is zeroed by its owner and lives beside the cause's counter. */
struct log_once {
	long long last_us;
	unsigned long suppressed;
};
bool log_once_due(struct log_once *, unsigned every_s, unsigned long *suppressed_r);

/* Tests install a hook to see every line (level, who, text); NULL removes it. */
typedef void log_hook_fn(enum log_level, const char *who, const char *text, void *arg);
void log_set_hook(log_hook_fn *, void *arg);

#endif
