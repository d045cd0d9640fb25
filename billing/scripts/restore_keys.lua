-- Writes a run of API keys of a closed shard, but for those revoked meanwhile.
--
-- KEYS build, then per key: key tombstone
-- ARGV ticket, then per key: account key_id mac rpm name
-- -> 1, or 0 when another builder took over
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
for i = 2, #KEYS, 2 do
  local at = (i - 2) / 2 * 5 + 2
  if redis.call('EXISTS', KEYS[i + 1]) == 0 then
    redis.call('HSET', KEYS[i], 'account', ARGV[at], 'key_id', ARGV[at + 1], 'mac', ARGV[at + 2],
      'rpm', ARGV[at + 3], 'name', ARGV[at + 4], 'status', 'active')
  end
end
return 1
