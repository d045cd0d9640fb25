-- Tells a shard of tiers. An older word than Redis has is not heard, unless the shard is
-- being rebuilt; a record that is gone is told again.
--
-- KEYS index (hash, tier's name -> seq), then per tier: its record
-- ARGV 1 to tell whatever Redis has or 0, then per tier: name seq limits
-- -> tiers told
local told = 0
for i = 2, #KEYS do
  local at = (i - 2) * 3 + 2
  local name, seq, limits = ARGV[at], ARGV[at + 1], ARGV[at + 2]
  local known = tonumber(redis.call('HGET', KEYS[1], name) or 0)
  local record = redis.call('GET', KEYS[i])
  if (ARGV[1] == '1' or not record or known <= tonumber(seq)) and (record ~= limits or known ~= tonumber(seq)) then
    redis.call('HSET', KEYS[1], name, seq)
    redis.call('SET', KEYS[i], limits)
    told = told + 1
  end
end
return told
