-- Ends an API key at once, also on a closed shard.
--
-- KEYS key tombstone acct
-- ARGV keep_ms key_id
redis.call('SET', KEYS[2], '1', 'PX', ARGV[1])
redis.call('HDEL', KEYS[3], 'spent:' .. ARGV[2])
return redis.call('DEL', KEYS[1])
