-- pop_feed.lua - what a reader of one list has missed, seen at one moment.
--
-- KEYS  epoch, stream, open
-- ARGV  1 the last seq the reader has, 0 = none   2 the epoch it was of, "" = not known
--       3 how many objects at most
-- Returns {epoch, last seq, kind, object…}: 0 = the stream goes on from ARGV[1] (a full
-- page: ask again); 1 = the pops open now, in no order; 2 = the epoch was lost and no pop
-- has been issued since: ask again later.
--
-- A reader who saw the epoch change gets all that came under the new one, closes too; one
-- who returns after long, or does not know its epoch and has a number that this stream
-- never gave, gets the open pops.
local after, count = tonumber(ARGV[1]), tonumber(ARGV[3])
local epoch = redis.call('GET', KEYS[1]) or ''

local function epoch_of(entry)
	return entry and string.match(entry[2][2], '^{"v":1,"type":"[%a.]+","epoch":"([^"]*)"')
end
local function seq_of(entry)
	return tonumber(string.match(entry[1], '^%d+'))
end
local function range(command, from, to, n)
	return redis.call(command, KEYS[2], from, to, 'COUNT', n)
end
local function id(seq)
	return string.format('%.0f-0', seq)
end

local newest = range('XREVRANGE', '+', '-', 1)[1]
local last = newest and seq_of(newest) or 0

local function snapshot()
	local out = {epoch, last, 1}
	for _, json in ipairs(redis.call('HVALS', KEYS[3])) do
		if string.match(json, '^{"v":1,"type":"[%a.]+","epoch":"([^"]*)"') == epoch then
			out[#out + 1] = json
		end
	end
	return out
end

local function under_this_epoch()
	local entries = range('XREVRANGE', '+', '-', count)
	local out, n = {epoch, last, 0}, 0
	while n < #entries and epoch_of(entries[n + 1]) == epoch do
		n = n + 1
	end
	if n == count then
		return snapshot()
	end
	for i = n, 1, -1 do
		out[#out + 1] = entries[i][2][2]
	end
	return out
end

local function goes_on(entries)
	local out = {epoch, last, 0}
	for _, entry in ipairs(entries) do
		out[#out + 1] = entry[2][2]
	end
	return out
end

if ARGV[2] ~= '' and epoch == '' then
	return {epoch, last, 2}
end
if ARGV[2] ~= '' and ARGV[2] ~= epoch then
	return under_this_epoch()
end
if after == 0 and ARGV[2] == '' or after > last then
	return snapshot()
end
if ARGV[2] == '' then
	local seen = range('XRANGE', id(after), id(after), 1)[1]
	if seen and epoch_of(seen) ~= epoch then
		return snapshot()
	end
end
if after == last then
	return goes_on({})
end
local entries = range('XRANGE', id(after + 1), '+', count)
if seq_of(entries[1]) ~= after + 1 or epoch_of(entries[1]) ~= epoch then
	return snapshot()
end
return goes_on(entries)
