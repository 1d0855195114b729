/* fuzz_form.c - any bytes as the body of a form: taken only if whole, in valid UTF-8 and
 * without control characters; what is taken is found again by its name. */
#include <api/form.h>

#include <str.h>

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const names[] = {
		"", "a", "do", "form", "sms.marketing", "q0d"};
	struct form *f = form_parse((const char *)data, size);

	if (!f)
		return 0;
	if (size > FORM_BYTES_MAX)
		abort();
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		const char *value = form_get(f, names[i]);
		if (!value || strlen(value) > size || !utf8_valid(value, strlen(value)))
			abort();
	}
	form_free(&f);
	return 0;
}
