-- plain_admit.lua in its commonest case, decided straight ahead: a key with one window of
-- requests in its commonest state, an account that nothing else limits, and a new hold that
-- the balance covers whole. Whatever is otherwise it leaves to `whole`, which is
-- plain_admit.lua with all that it is composed of: a function costs each call that makes it,
-- so all of them but window_steady stand in one that is called where it is needed. Until
-- then nothing was taken. Numbers are written by string.format('%d'), which costs a third of
-- what redis.call's own way takes.
--
-- KEYS, ARGV and the answer are plain_admit.lua's. How a hold is kept stands in billing's
-- functions.lua.
if ARGV[1] == '0' then return whole() end
local call = redis.call
local key = call('HMGET', KEYS[5], 'account', 'key_id', 'mac', 'limits', 'status', 'budget')
if key[1] ~= ARGV[3] or key[5] ~= 'active' or key[6] then return whole() end
local limits = key[4] == '0|0|0|0|0' and ARGV[2] or key[4]
local max = limits and tonumber((string.match(limits, '^(%d+)|0|0|0|0$')))
if not max or max == 0 or max > 2147483647 then return whole() end
local shard = call('MGET', KEYS[1], KEYS[3])
if not shard[1] or shard[2] then return whole() end
local acct = call('HMGET', KEYS[2], 'available', 'held', 'status', 'budget', 'tier', 'org')
local available, want = tonumber(acct[1]), tonumber(ARGV[7])
if not available or available < want or acct[3] ~= 'active' or acct[4] or acct[5] or acct[6] then return whole() end
local left, reset, now = window_steady(KEYS[6], max, 1)
if not left then return whole() end

call('HSET', KEYS[2], 'available', string.format('%d', available - want), 'held', string.format('%d', (acct[2] or 0) + want))
local deadline = string.format('%d', math.floor(now / 1000) + ARGV[9])
call('SET', KEYS[3], 'h|' .. ARGV[7] .. '|' .. ARGV[3] .. '|' .. key[2] .. '|' .. deadline .. '|||' .. ARGV[6])
call('ZADD', KEYS[4], deadline, ARGV[5])
return { 'ok', want, available - want, key[2], key[3] or '', 0, max, left, reset, now }
