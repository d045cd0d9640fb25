-- Lists holds that passed their deadline, the oldest first.
--
-- KEYS epoch exp
-- ARGV offset most
-- -> 'open', then hold ids; nothing while the shard is closed
if redis.call('EXISTS', KEYS[1]) == 0 then return {} end
local due = redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', string.format('(%.0f', now_ms()), 'LIMIT', ARGV[1], ARGV[2])
table.insert(due, 1, 'open')
return due
