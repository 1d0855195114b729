/* phone.cc - the only file that sees libphonenumber.
 *
 * Parsing costs about 17 us, and the same numbers come again and again, so answers are
 * remembered: per thread, in a table of fixed size where a number has one of two places
 * and the one not asked for last gives way. Nothing thrown leaves this file. */
#include <people/phone.h>

#include <phonenumbers/phonenumberutil.h>

#include <array>
#include <cstring>
#include <functional>
#include <memory>
#include <set>
#include <string>

using i18n::phonenumbers::PhoneNumber;
using i18n::phonenumbers::PhoneNumberUtil;

namespace
{

constexpr size_t kSets = 2048;
constexpr size_t kLongest = 250; /* libphonenumber's own limit for what it parses */

struct Entry {
	std::string asked; /* region, blank, raw; "" = unused */
	std::string e164;  /* "" = not a valid number */
};

struct Set {
	Entry ways[2];
	unsigned char last = 0; /* the one asked for last */
};

using Cache = std::array<Set, kSets>;

bool
parse(const std::string &raw, const std::string &region, std::string *e164)
{
	const PhoneNumberUtil *util = PhoneNumberUtil::GetInstance();
	PhoneNumber number;

	if (util->Parse(raw, region.empty() ? "ZZ" : region, &number) !=
		PhoneNumberUtil::NO_PARSING_ERROR)
		return false;
	if (!util->IsValidNumber(number))
		return false;
	util->Format(number, PhoneNumberUtil::E164, e164);
	return e164->size() < PHONE_E164_MAX;
}

const std::string &
look_up(const std::string &raw, const std::string &region)
{
	static thread_local std::unique_ptr<Cache> cache;

	if (!cache)
		cache = std::make_unique<Cache>();
	const std::string asked = region + " " + raw;
	Set &set = (*cache)[std::hash<std::string>{}(asked) % kSets];
	for (unsigned char i = 0; i < 2; i++) {
		if (set.ways[i].asked == asked) {
			set.last = i;
			return set.ways[i].e164;
		}
	}
	set.last ^= 1;
	Entry &entry = set.ways[set.last];
	entry.asked = asked;
	if (!parse(raw, region, &entry.e164))
		entry.e164.clear();
	return entry.e164;
}

} // namespace

bool
phone_to_e164(const char *raw, const char *region, char dst[PHONE_E164_MAX])
{
	dst[0] = '\0';
	if (strlen(raw) > kLongest)
		return false;
	try {
		const std::string &e164 = look_up(raw, region ? region : "");
		memcpy(dst, e164.c_str(), e164.size() + 1);
	} catch (...) {
		return false;
	}
	return dst[0] != '\0';
}

bool
phone_region_is_known(const char *region)
{
	std::set<std::string> regions;

	PhoneNumberUtil::GetInstance()->GetSupportedRegions(&regions);
	return regions.count(region) != 0;
}
