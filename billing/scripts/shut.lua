-- Ends an account in Redis: it may not spend any more, and its name is gone, as are its
-- tier and organisation.
--
-- KEYS epoch acct
-- ARGV status
-- -> done | missing | closed
if not redis.call('GET', KEYS[1]) then return 'closed' end
if redis.call('EXISTS', KEYS[2]) == 0 then return 'missing' end
redis.call('HSET', KEYS[2], 'status', ARGV[1], 'name', '')
redis.call('HDEL', KEYS[2], 'tier', 'org')
return 'done'
