/* page_text.c - see page_text.h. */
#include <api/page_text.h>

#include <mem.h>
#include <str.h>

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define RANGES_MAX 32 /* of an Accept-Language; browsers send some five */

static const char *const texts[PAGE_TEXT_COUNT][PAGE_LANGS] = {
#define T(name, en, zh) {en, zh},
	PAGE_TEXTS(T)
#undef T
};
static const char *const tags[PAGE_LANGS] = {"en", "zh-CN"};

const char *
page_text(enum page_lang lang, enum page_text text)
{
	return texts[text][lang];
}

const char *
page_lang_tag(enum page_lang lang)
{
	return tags[lang];
}

/* The first len bytes of s are a tag of ours: by its language alone. */
static bool
match(const char *s, size_t len, enum page_lang *out_r)
{
	if (len < 2 || (len > 2 && s[2] != '-'))
		return false;
	for (int i = 0; i < PAGE_LANGS; i++) {
		if (strncasecmp(s, tags[i], 2) == 0) {
			*out_r = (enum page_lang)i;
			return true;
		}
	}
	return false;
}

bool
page_lang_parse(const char *tag, enum page_lang *out_r)
{
	return tag && match(tag, strlen(tag), out_r);
}

/* q in thousandths: "0.8", "1"; what is none counts as 0. */
static int
weight(const char *s, size_t len)
{
	char text[8];

	if (len == 0 || len >= sizeof(text) || strspn(s, "0123456789.") < len)
		return 0;
	memcpy(text, s, len);
	text[len] = '\0';
	double q = strtod(text, NULL);
	return q > 1 ? 0 : (int)(q * 1000 + 0.5);
}

bool
page_lang_accept(const char *header, enum page_lang *out_r)
{
	enum page_lang lang;
	int best = 0;

	for (int n = 0; header && *header && n < RANGES_MAX; n++) {
		header += strspn(header, " \t,");
		size_t len = strcspn(header, ",");
		size_t tag = strcspn(header, ",; \t");
		const char *q = memchr(header, '=', len);
		size_t q_len = q ? strcspn(q + 1, ",; \t") : 0;
		int w = q ? weight(q + 1, q_len) : 1000;
		if (w > best && match(header, tag, &lang)) {
			best = w;
			*out_r = lang;
		}
		header += len;
	}
	return best > 0;
}
