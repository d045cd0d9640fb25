-- Creates an account's hash, unless it is there: an existing one is never touched.
--
-- KEYS epoch acct
-- ARGV available credit_seq status name budget spent tier organisation limits_seq
-- -> created | already | closed
if not redis.call('GET', KEYS[1]) then return 'closed' end
if redis.call('EXISTS', KEYS[2]) == 1 then return 'already' end
redis.call('HSET', KEYS[2], 'available', ARGV[1], 'held', '0',
  'credit_seq', ARGV[2], 'status', ARGV[3], 'name', ARGV[4])
if ARGV[7] ~= '' then redis.call('HSET', KEYS[2], 'tier', ARGV[7]) end
if ARGV[8] ~= '' then redis.call('HSET', KEYS[2], 'org', ARGV[8]) end
if ARGV[9] ~= '0' then redis.call('HSET', KEYS[2], 'limits_seq', ARGV[9], 'budget_seq', ARGV[9]) end
if ARGV[5] ~= '' then redis.call('HSET', KEYS[2], 'budget', ARGV[5], 'spent', ARGV[6]) end
return 'created'
