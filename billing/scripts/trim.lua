-- Drops the events before id, unless the shard went on to another epoch.
--
-- KEYS epoch ev
-- ARGV epoch id
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('XTRIM', KEYS[2], 'MINID', ARGV[2])
