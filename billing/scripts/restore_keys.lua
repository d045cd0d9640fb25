-- Writes a run of API keys of a closed shard, but for those revoked meanwhile, and what
-- was spent with them to their restored accounts.
--
-- KEYS build, then per key: key tombstone acct
-- ARGV ticket, then per key: account key_id mac limits name budget spent seq only
-- -> 1, or 0 when another builder took over
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
for i = 2, #KEYS, 3 do
  local at = (i - 2) / 3 * 9 + 2
  if redis.call('EXISTS', KEYS[i + 1]) == 0 then
    local only = ARGV[at + 8]
    redis.call('HSET', KEYS[i], 'account', ARGV[at], 'key_id', ARGV[at + 1], 'mac', ARGV[at + 2],
      'limits', ARGV[at + 3], 'name', ARGV[at + 4], 'status', only == '' and 'active' or 'restricted', 'seq', ARGV[at + 7])
    if only ~= '' then redis.call('HSET', KEYS[i], 'only', only) end
    if ARGV[at + 5] ~= '' then
      redis.call('HSET', KEYS[i], 'budget', ARGV[at + 5])
      if redis.call('EXISTS', KEYS[i + 2]) == 1 then -- else it is new, and nothing is spent
        redis.call('HSET', KEYS[i + 2], 'spent:' .. ARGV[at + 1], ARGV[at + 6])
      end
    end
  end
end
return 1
