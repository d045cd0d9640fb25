-- Deletes a run of keys of a closed shard.
--
-- KEYS build, then the keys to delete
-- ARGV ticket
-- -> 1, or 0 when another builder took over
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
for i = 2, #KEYS do redis.call('UNLINK', KEYS[i]) end
return 1
