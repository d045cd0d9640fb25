-- Ends an API key at once, also on a closed shard.
--
-- KEYS key tombstone
-- ARGV keep_ms
redis.call('SET', KEYS[2], '1', 'PX', ARGV[1])
return redis.call('DEL', KEYS[1])
