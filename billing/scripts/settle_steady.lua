-- settle.lua in its common case, decided straight ahead: a hold without a mark that no
-- budget counts, and a cost within it. Whatever is otherwise it leaves to `whole`, which is
-- settle.lua with all that it is composed of: a function costs each call that makes it, so
-- all of them stand in one that is called where it is needed. Until then nothing was
-- written.
--
-- KEYS, ARGV and the answer are settle.lua's; the forms of hold and event are functions.lua's.
local seen = redis.call('MGET', KEYS[1], KEYS[3])
if not seen[1] or not seen[2] then return whole() end
local n, account, key_id, fp = string.match(seen[2], '^h|(%d+)|(%d+)|(%d+)|%d+|||(.*)$')
if account ~= ARGV[2] or key_id ~= ARGV[3] then return whole() end
local acct, back = redis.call('HMGET', KEYS[2], 'available', 'held'), n - ARGV[4]
if not acct[1] or back < 0 then return whole() end

redis.call('XADD', KEYS[5], '*', 's', seen[1] .. '|' .. account .. '|' .. key_id .. '|' .. ARGV[4] .. '|0|' .. ARGV[1] .. '|' .. ARGV[6])
local available = acct[1] + back
redis.call('HSET', KEYS[2], 'available', string.format('%d', available), 'held', string.format('%d', (acct[2] or 0) - n))
redis.call('SET', KEYS[3], 's|' .. ARGV[4] .. '|' .. account .. '|' .. key_id .. '|0||' .. ARGV[5] .. '|' .. fp, 'PX', ARGV[7])
redis.call('ZREM', KEYS[4], ARGV[1])
return { 'settled', tonumber(ARGV[4]), 0, available }
