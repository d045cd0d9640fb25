-- Closes a shard and names its builder: from here on no script of the shard
-- changes money, and only the holder of this ticket may restore it. A builder
-- with an outdated view of the shard is refused.
--
-- KEYS epoch build
-- ARGV ticket seen_epoch
-- -> 1, or 0 when the shard is open under another epoch than the one seen
local epoch = redis.call('GET', KEYS[1])
if epoch and epoch ~= ARGV[2] then return 0 end
redis.call('DEL', KEYS[1])
redis.call('SET', KEYS[2], ARGV[1])
return 1
