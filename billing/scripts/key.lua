-- Makes an API key usable, unless it was revoked: the tombstone wins over a
-- projection that was read before the revocation and arrives after it.
--
-- KEYS epoch key tombstone
-- ARGV account key_id mac rpm name
-- -> projected | revoked | closed
if not redis.call('GET', KEYS[1]) then return 'closed' end
if redis.call('EXISTS', KEYS[3]) == 1 then return 'revoked' end
redis.call('HSET', KEYS[2], 'account', ARGV[1], 'key_id', ARGV[2], 'mac', ARGV[3],
  'rpm', ARGV[4], 'name', ARGV[5], 'status', 'active')
return 'projected'
