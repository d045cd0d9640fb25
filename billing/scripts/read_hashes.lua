-- Reads hashes of a shard, its epoch and the newest event of its stream, all at one
-- moment.
--
-- KEYS epoch ev, then the hashes
-- ARGV field names
-- -> { epoch, newest event id, then per hash: its fields }; '' for what is not there
local out = { redis.call('GET', KEYS[1]) or '', '' }
local newest = redis.call('XREVRANGE', KEYS[2], '+', '-', 'COUNT', 1)
if newest[1] then out[2] = newest[1][1] end
local n = 2
for i = 3, #KEYS do
  local values = redis.call('HMGET', KEYS[i], unpack(ARGV))
  for j = 1, #ARGV do
    n = n + 1
    out[n] = values[j] or ''
  end
end
return out
