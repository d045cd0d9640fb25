-- What there is of a hold, and the end of its shard's stream, at one moment.
--
-- KEYS epoch hold ev
-- -> { epoch, hold, newest event id }; '' for what is not there
local epoch, hold = shard_read(KEYS[1], KEYS[2])
local newest = redis.call('XREVRANGE', KEYS[3], '+', '-', 'COUNT', 1)[1]
return { epoch or '', hold or '', newest and newest[1] or '' }
