-- pop_find.lua - how many objects of one list's stream or hash hold one of some words.
--
-- KEYS  a stream of pops, or a hash of open ones
-- ARGV  1 "stream" or "hash"   2 "1": erase   3 objects of a later time do not count
--       4… the words
-- Returns {how many, entries erased, earliest time, latest time}; times as the objects have
-- them, "" without any.
--
-- A stream is erased in whole if any entry is to go: its numbers must go on without a hole,
-- for a reader takes a hole for lost data, and they do go on from an emptied stream
-- (pop.lua). Readers who come back then get the pops that are open. Hashes are left alone:
-- who shows an open pop changes it, which is told.
local found, earliest, latest = 0, '', ''

local function look(json)
	local at = string.match(json, ',"at":"([^"]*)"') or ''
	for i = 4, #ARGV do
		if at <= ARGV[3] and string.find(json, ARGV[i], 1, true) then
			found = found + 1
			if earliest == '' or at < earliest then
				earliest = at
			end
			if at > latest then
				latest = at
			end
			return
		end
	end
end

if ARGV[1] == 'hash' then
	for _, json in ipairs(redis.call('HVALS', KEYS[1])) do
		look(json)
	end
	return {found, 0, earliest, latest}
end

local from = '-'
while true do
	local page = redis.call('XRANGE', KEYS[1], from, '+', 'COUNT', 100)
	for _, entry in ipairs(page) do
		look(entry[2][2])
	end
	if #page < 100 then
		break
	end
	from = '(' .. page[#page][1]
end
local erased = 0
if found > 0 and ARGV[2] == '1' then
	erased = redis.call('XTRIM', KEYS[1], 'MAXLEN', 0)
end
return {found, erased, earliest, latest}
