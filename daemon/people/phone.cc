/* phone.cc - the only file that sees libphonenumber.
 *
 * Parsing costs about 17 us, and the same numbers come again and again, so answers are
 * remembered: per thread, in a table of fixed size where a number has one of two places
 * and the one not asked for last gives way. Nothing thrown leaves this file. */
#include <people/phone.h>

#include <phonenumbers/phonenumberutil.h>
#include <phonenumbers/shortnumberinfo.h>

#include <array>
#include <cstring>
#include <functional>
#include <memory>
#include <set>
#include <string>

using i18n::phonenumbers::PhoneNumber;
using i18n::phonenumbers::PhoneNumberUtil;
using i18n::phonenumbers::ShortNumberInfo;

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

std::string
country_of(const std::string &e164)
{
	const PhoneNumberUtil *util = PhoneNumberUtil::GetInstance();
	PhoneNumber number;
	std::string country;

	if (util->Parse(e164, "ZZ", &number) != PhoneNumberUtil::NO_PARSING_ERROR)
		return "";
	util->GetRegionCodeForNumber(number, &country);
	if (country.size() != 2 || country == "ZZ")
		util->GetRegionCodeForCountryCode(number.country_code(), &country);
	return country.size() == 2 && country != "ZZ" ? country : "";
}

/* ---- Calling ---- */

/* A '+' only in front of the country; what people read (blanks, dashes) is left out. */
void
copy_digits(char *dst, size_t cap, const std::string &formatted)
{
	size_t n = 0;

	for (char c : formatted)
		if (((c >= '0' && c <= '9') || (c == '+' && n == 0)) && n + 1 < cap)
			dst[n++] = c;
	dst[n] = '\0';
}

bool
is_costly(const PhoneNumber &number)
{
	const PhoneNumberUtil *util = PhoneNumberUtil::GetInstance();

	switch (util->GetNumberType(number)) {
	case PhoneNumberUtil::PREMIUM_RATE:
	case PhoneNumberUtil::SHARED_COST: return true;
	default: return false;
	}
}

bool
is_costly_short(
	const ShortNumberInfo &info, const PhoneNumber &number, const std::string &region)
{
	switch (info.GetExpectedCostForRegion(number, region)) {
	case ShortNumberInfo::TOLL_FREE:
	case ShortNumberInfo::STANDARD_RATE: return false;
	default: return true;
	}
}

void
examine(const std::string &raw, const std::string &region, struct phone_target *t)
{
	static const ShortNumberInfo short_info;
	const PhoneNumberUtil *util = PhoneNumberUtil::GetInstance();
	PhoneNumber number;
	std::string text;

	t->emergency = short_info.ConnectsToEmergencyNumber(raw, region);
	if (util->Parse(raw, region.empty() ? "ZZ" : region, &number) !=
		PhoneNumberUtil::NO_PARSING_ERROR)
		return;
	if (raw[0] != '+' && short_info.IsValidShortNumberForRegion(number, region)) {
		t->possible = raw.size() < PHONE_DIALLED_MAX;
		t->costly = is_costly_short(short_info, number, region);
		copy_digits(t->dialled, sizeof(t->dialled), raw);
		return;
	}
	util->Format(number, PhoneNumberUtil::E164, &text);
	t->possible = util->IsPossibleNumber(number) && text.size() < PHONE_E164_MAX;
	if (!t->possible)
		return;
	t->costly = is_costly(number);
	copy_digits(t->e164, sizeof(t->e164), text);
	if (!region.empty())
		util->FormatOutOfCountryCallingNumber(number, region, &text);
	copy_digits(t->dialled, sizeof(t->dialled), text);
	if (short_info.ConnectsToEmergencyNumber(t->dialled, region))
		t->emergency = true;
}

} // namespace

void
phone_examine(const char *number, const char *region, struct phone_target *t)
{
	memset(t, 0, sizeof(*t));
	if (!*number || strlen(number) > kLongest)
		return;
	try {
		examine(number, region ? region : "", t);
	} catch (...) {
		t->possible = false;
	}
}

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
phone_country(const char *e164, char country_r[3])
{
	country_r[0] = '\0';
	if (*e164 != '+' || strlen(e164) > kLongest)
		return false;
	try {
		const std::string country = country_of(e164);
		memcpy(country_r, country.c_str(), country.size() + 1);
	} catch (...) {
		return false;
	}
	return country_r[0] != '\0';
}

bool
phone_region_is_known(const char *region)
{
	std::set<std::string> regions;

	PhoneNumberUtil::GetInstance()->GetSupportedRegions(&regions);
	return regions.count(region) != 0;
}
