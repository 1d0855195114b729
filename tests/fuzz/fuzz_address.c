/* Addresses from outside bytes: the first byte chooses kind and region, the rest is
 * what somebody typed or a trunk sent. What is made must be sound, bounded, and stay
 * the same when it is made again from itself. */
#include <people/address.h>

#include <mem.h>
#include <str.h>

#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void
check_stable(const struct address *a, const char *region)
{
	struct address again;

	assert(utf8_valid(a->value, strlen(a->value)));
	assert(a->value[0]);
	if (!a->normal)
		return;
	assert(address_make(a->kind, a->value, region, &again));
	assert(again.normal);
	assert(!strcmp(again.value, a->value));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static const char *const kinds[] = {"phone", "email", "external", "visitor"};
	static const char *const regions[] = {
		"CN", "TW", "US", "DE", "", NULL, "ZZ", "IT"};
	struct address a;

	if (!len)
		return 0;
	char *raw = xstrndup((const char *)data + 1, len - 1);
	const char *region = regions[data[0] >> 2 & 7];

	if (address_make(kinds[data[0] & 3], raw, region, &a))
		check_stable(&a, region);
	if (address_parse(raw, region, &a))
		check_stable(&a, region);
	(void)address_phone_is_nobody(raw);
	xfree(&raw);
	return 0;
}
