-- Gives a hold back untouched. No event: nothing left the account.
--
-- KEYS epoch acct hold exp
-- ARGV hold_id account keep_ms
-- -> released | replayed | conflict | unknown | missing | closed
if not redis.call('GET', KEYS[1]) then return 'closed' end
local hold = redis.call('HMGET', KEYS[3], 'state', 'amount', 'account')
if not hold[1] then return 'unknown' end
if hold[3] ~= ARGV[2] then return 'conflict' end
if redis.call('HEXISTS', KEYS[2], 'available') == 0 then return 'missing' end
if hold[1] == 'released' then return 'replayed' end
if hold[1] ~= 'held' then return 'conflict' end
if tonumber(hold[2]) > 0 then -- HINCRBY refuses "-0"
  redis.call('HINCRBY', KEYS[2], 'held', '-' .. hold[2])
end
redis.call('HINCRBY', KEYS[2], 'available', hold[2])
redis.call('HSET', KEYS[3], 'state', 'released')
redis.call('PEXPIRE', KEYS[3], ARGV[3])
redis.call('ZREM', KEYS[4], ARGV[1])
return 'released'
