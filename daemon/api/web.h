/* web.h - files for browsers that travel inside the binary: everything in daemon/web. */
#ifndef INTERACTD_API_WEB_H
#define INTERACTD_API_WEB_H

#include <io/http.h>

/* Registers "GET /PATH" for each daemon/web/PATH; an index.html answers for its folder. */
void web_register(struct http_server *);

#endif
