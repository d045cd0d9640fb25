-- Opens a rebuilt shard under its new epoch.
--
-- KEYS epoch build
-- ARGV ticket epoch
-- -> 1, or 0 when another builder took over
if redis.call('GET', KEYS[2]) ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[2])
redis.call('DEL', KEYS[2])
return 1
