-- Projects one credit that Postgres decided. Credits of an account are numbered
-- 1, 2, 3 …; only the next one is applied, so a repeat is nothing and a gap is seen.
--
-- KEYS epoch acct
-- ARGV seq amount
-- -> { status, credit_seq }   applied | already | gap | missing | closed
if not redis.call('GET', KEYS[1]) then return { 'closed', '0' } end
local seen = redis.call('HGET', KEYS[2], 'credit_seq')
if not seen then return { 'missing', '0' } end
local seq, at = tonumber(ARGV[1]), tonumber(seen)
if seq <= at then return { 'already', seen } end
if seq > at + 1 then return { 'gap', seen } end
redis.call('HINCRBY', KEYS[2], 'available', ARGV[2])
redis.call('HSET', KEYS[2], 'credit_seq', ARGV[1])
return { 'applied', ARGV[1] }
