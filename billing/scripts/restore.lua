-- Writes a run of accounts of a closed shard, as Postgres knows them.
--
-- KEYS build, then one acct per account
-- ARGV ticket, then per account: available credit_seq status name budget spent tier
--      organisation limits_seq
-- -> 1, or 0 when another builder took over
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
for i = 2, #KEYS do
  local at = (i - 2) * 9 + 2
  redis.call('HSET', KEYS[i], 'available', ARGV[at], 'held', '0',
    'credit_seq', ARGV[at + 1], 'status', ARGV[at + 2], 'name', ARGV[at + 3])
  if ARGV[at + 6] ~= '' then redis.call('HSET', KEYS[i], 'tier', ARGV[at + 6]) end
  if ARGV[at + 7] ~= '' then redis.call('HSET', KEYS[i], 'org', ARGV[at + 7]) end
  if ARGV[at + 8] ~= '0' then redis.call('HSET', KEYS[i], 'limits_seq', ARGV[at + 8], 'budget_seq', ARGV[at + 8]) end
  if ARGV[at + 4] ~= '' then redis.call('HSET', KEYS[i], 'budget', ARGV[at + 4], 'spent', ARGV[at + 5]) end
end
return 1
