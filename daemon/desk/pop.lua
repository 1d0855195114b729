-- pop.lua - numbers, stores and publishes one change of one pop; all of it or nothing.
--
-- KEYS  epoch, stream, open (hash: pop -> its latest object), open-index (set of lists
--       that have open pops), closed (sorted set: pop -> when it was closed, in ms)
-- ARGV  1 op: put, close, sweep     2 pop id           3 channel
--       4 the list's name in the index                 5 entries to keep in the stream
--       6 a fresh word, should an epoch be needed
--       7, 8 epoch and highest seq the caller knows of this list
--       9 epoch under which the caller knows the pop to have been issued, or ""
--       10 put: when the pop began; close: when it ended (ms)
--       11 the object from the comma after its seq on
-- Returns {epoch, seq, what}: 0 nothing to do, 1 opened, 2 updated, 3 closed, 4 refused.
--
-- Every op may be given again: a put of what the hash holds word for word is nothing, of
-- something else an update, of a pop that is not there an open; a close of what is not
-- there is nothing. What was closed stays closed: `closed` remembers the last 128 ends of
-- the list for an hour, so that an open that was given twice, or that comes late over a
-- connection given up, opens nothing that nobody would close again. (A pop of the same id
-- that began after that end is a new one.)
--
-- Lost data is seen three ways: no epoch; a stream that ends before what the caller knows
-- (restored from an old copy); objects of another epoch (the same, seen by a later call).
-- What an earlier epoch left in the hash is dropped: whoever holds such a pop puts it
-- again. A close of a pop issued under an earlier epoch is told, though the hash has
-- nothing of it: nobody else would tell.
local epoch_key, stream, open, index, closed = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local op, pop, tail = ARGV[1], ARGV[2], ARGV[11]

local function parse(json)
	return string.match(json or '',
		'^{"v":1,"type":"[%a.]+","epoch":"([^"]*)","seq":(%d+)(.*)$')
end

local function epoch_of(json)
	return string.match(json, '^{"v":1,"type":"[%a.]+","epoch":"([^"]*)"')
end

local function last_entry()
	local newest = redis.call('XREVRANGE', stream, '+', '-', 'COUNT', 1)[1]
	if newest then
		return tonumber(string.match(newest[1], '^%d+')), epoch_of(newest[2][2]) or ''
	end
	if redis.call('EXISTS', stream) == 0 then
		return 0, ''
	end
	-- Emptied by hand: the numbers go on all the same.
	local info = redis.call('XINFO', 'STREAM', stream)
	for i = 1, #info, 2 do
		if info[i] == 'last-generated-id' then
			return tonumber(string.match(info[i + 1], '^%d+')), ''
		end
	end
end

local function tidy_index()
	if redis.call('HLEN', open) == 0 then
		redis.call('SREM', index, ARGV[4])
	end
end

local function sweep(epoch)
	local all = redis.call('HGETALL', open)
	for i = 1, #all, 2 do
		if epoch_of(all[i + 1]) ~= epoch then
			redis.call('HDEL', open, all[i])
		end
	end
end

local last, last_epoch = last_entry()
local epoch = redis.call('GET', epoch_key)
if not epoch or (epoch == ARGV[7] and last < tonumber(ARGV[8])) then
	epoch = ARGV[6]
	redis.call('SET', epoch_key, epoch)
end

local stored_epoch, stored_seq, stored_tail = parse(redis.call('HGET', open, pop))
if last_epoch ~= epoch or op == 'sweep' then
	sweep(epoch)
end

local function publish(kind)
	local seq = string.format('%.0f', last + 1)
	local json = '{"v":1,"type":"' .. kind .. '","epoch":"' .. epoch .. '","seq":' ..
		seq .. tail
	redis.call('XADD', stream, 'MAXLEN', '~', ARGV[5], seq .. '-0', 'pop', json)
	redis.call('PUBLISH', ARGV[3], json)
	return json
end

if op == 'put' then
	local kind, what = 'pop.update', 2
	if stored_epoch == epoch then
		if stored_tail == tail then
			return {epoch, tonumber(stored_seq), 0}
		end
	else
		local ended = redis.call('ZSCORE', closed, pop)
		if ended and tonumber(ARGV[10]) <= tonumber(ended) then
			tidy_index()
			return {epoch, last, 4}
		end
		kind, what = 'pop.open', 1
	end
	redis.call('HSET', open, pop, publish(kind))
	redis.call('SADD', index, ARGV[4])
	return {epoch, last + 1, what}
end

local what = 0
if op == 'close' then
	local before = redis.call('ZSCORE', closed, pop)
	redis.call('ZADD', closed, ARGV[10], pop)
	redis.call('ZREMRANGEBYRANK', closed, 0, -129)
	redis.call('EXPIRE', closed, 3600)
	if stored_epoch or (not before and ARGV[9] ~= '' and ARGV[9] ~= epoch) then
		redis.call('HDEL', open, pop)
		publish('pop.close')
		last, what = last + 1, 3
	end
end
tidy_index()
return {epoch, last, what}
