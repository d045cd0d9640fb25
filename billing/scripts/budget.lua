-- Tells of an account's budget. What was spent is told for the first one only: from then
-- on it is counted here. An older word than Redis has is not heard.
--
-- KEYS epoch acct
-- ARGV budget spent ('' '': none) seq
-- -> told | missing | closed
if not redis.call('GET', KEYS[1]) then return 'closed' end
local acct = redis.call('HMGET', KEYS[2], 'available', 'budget', 'budget_seq')
if not acct[1] then return 'missing' end
if tonumber(acct[3] or 0) > tonumber(ARGV[3]) then return 'told' end
redis.call('HSET', KEYS[2], 'budget_seq', ARGV[3])
if ARGV[1] ~= '' then
  redis.call('HSET', KEYS[2], 'budget', ARGV[1])
  redis.call('HSETNX', KEYS[2], 'spent', ARGV[2])
elseif acct[2] then
  redis.call('HSET', KEYS[2], 'budget', '0|0')
end
return 'told'
