-- Gives a hold back untouched. No event: nothing left the account.
--
-- KEYS epoch acct hold exp
-- ARGV hold_id account keep_ms
-- -> released | replayed | conflict | unknown | missing | closed
local read = redis.call('MGET', KEYS[1], KEYS[3])
local hold = read[2]
if not read[1] then return 'closed' end
if not hold then return 'unknown' end
-- the hold's form stands in reserve.lua
local state, n, account, key_id, rest = string.match(hold, '^(%a)|(%d+)|(%d+)|(%d+)|%d+|(.*)$')
if account ~= ARGV[2] then return 'conflict' end
local acct = redis.call('HMGET', KEYS[2], 'available', 'held')
if not acct[1] then return 'missing' end
if state == 'r' then return 'replayed' end
if state ~= 'h' then return 'conflict' end
redis.call('HSET', KEYS[2], 'available', string.format('%.0f', tonumber(acct[1]) + tonumber(n)),
  'held', string.format('%.0f', tonumber(acct[2] or 0) - tonumber(n)))
redis.call('SET', KEYS[3], 'r|' .. n .. '|' .. account .. '|' .. key_id .. '|0|' .. rest, 'PX', ARGV[3])
redis.call('ZREM', KEYS[4], ARGV[1])
return 'released'
