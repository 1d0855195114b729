/* conf_words.c - "did you mean": the allowed word nearest to a wrong one.
 *
 * Near is a small optimal string alignment distance (one insertion, deletion, change or
 * swap of neighbours costs 1), or being the beginning of the other. */
#include "conf_priv.h"

#include <mem.h>
#include <str.h>

#include <string.h>

#define WORD_MAX    64	/* longer words are compared with nothing */
#define ALLOWED_MAX 260 /* bytes of the list of allowed words in a message */

void
conf_words_add(struct conf_words *w, const char *word)
{
	w->items = xrealloc(w->items, (w->n + 1) * sizeof(*w->items));
	w->items[w->n++] = word;
}

void
conf_words_fini(struct conf_words *w)
{
	xfree(&w->items);
	w->n = 0;
}

static size_t
least(size_t a, size_t b)
{
	return a < b ? a : b;
}

static size_t
distance(const char *a, size_t a_len, const char *b, size_t b_len)
{
	size_t rows[3][WORD_MAX + 1]; /* two before, before, current: by turns */

	for (size_t j = 0; j <= b_len; j++)
		rows[0][j] = j;
	for (size_t i = 1; i <= a_len; i++) {
		size_t *now = rows[i % 3];
		const size_t *before = rows[(i + 2) % 3], *earlier = rows[(i + 1) % 3];
		now[0] = i;
		for (size_t j = 1; j <= b_len; j++) {
			size_t change = before[j - 1] + (a[i - 1] != b[j - 1]);
			now[j] = least(least(before[j], now[j - 1]) + 1, change);
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] &&
				a[i - 2] == b[j - 1])
				now[j] = least(now[j], earlier[j - 2] + 1);
		}
	}
	return rows[a_len % 3][b_len];
}

static const char *
nearest(const struct conf_words *words, const char *wrong)
{
	const char *best = NULL;
	size_t len = strlen(wrong);
	/* One slip in a short word, three in a long one. */
	size_t limit = len < 4 ? 1 : len < 8 ? 2 : 3;

	if (len < 2 || len > WORD_MAX)
		return NULL;
	for (size_t i = 0; i < words->n; i++) {
		const char *word = words->items[i];
		size_t word_len = strlen(word);
		if (word_len > WORD_MAX)
			continue;
		size_t d = distance(wrong, len, word, word_len);
		if (d > limit && len >= 3 &&
			(str_starts(word, wrong) || str_starts(wrong, word)))
			d = limit;
		if (d < limit || (d == limit && !best)) {
			best = word;
			limit = d;
		}
	}
	return best;
}

void
conf_words_explain(struct buf *out, const struct conf_words *words, const char *wrong)
{
	const char *near = nearest(words, wrong);

	if (near)
		buf_printf(out, "; did you mean \"%s\"?", near);
	buf_adds(out, " (allowed: ");
	size_t begin = out->len;
	for (size_t i = 0; i < words->n; i++) {
		if (out->len - begin + strlen(words->items[i]) > ALLOWED_MAX) {
			buf_adds(out, ", ...");
			break;
		}
		buf_printf(out, "%s%s", i ? ", " : "", words->items[i]);
	}
	buf_addc(out, ')');
}
