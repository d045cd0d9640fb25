-- Tells of an account's budget. What was spent is told for the first one only: from then
-- on it is counted here.
--
-- KEYS epoch acct
-- ARGV budget spent ('' '': none)
-- -> told | missing | closed
if not redis.call('GET', KEYS[1]) then return 'closed' end
local acct = redis.call('HMGET', KEYS[2], 'available', 'budget')
if not acct[1] then return 'missing' end
if ARGV[1] ~= '' then
  redis.call('HSET', KEYS[2], 'budget', ARGV[1])
  redis.call('HSETNX', KEYS[2], 'spent', ARGV[2])
elseif acct[2] then
  redis.call('HSET', KEYS[2], 'budget', '0|0')
end
return 'told'
