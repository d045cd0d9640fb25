-- Makes an API key usable, unless it was revoked: the tombstone wins over a
-- projection that was read before the revocation and arrives after it. What was spent
-- with the key is told with its first budget only: from then on it is counted here, in
-- the account's hash. An older word than Redis has is not heard.
--
-- KEYS epoch key tombstone acct
-- ARGV account key_id mac limits name budget spent ('' '': none) seq only ('': no restriction)
-- -> projected | revoked | missing | closed
if not redis.call('GET', KEYS[1]) then return 'closed' end
if redis.call('EXISTS', KEYS[3]) == 1 then return 'revoked' end
if tonumber(redis.call('HGET', KEYS[2], 'seq') or 0) > tonumber(ARGV[8]) then return 'projected' end
local budget = ARGV[6]
if budget ~= '' then
  if redis.call('EXISTS', KEYS[4]) == 0 then return 'missing' end
  redis.call('HSETNX', KEYS[4], 'spent:' .. ARGV[2], ARGV[7])
elseif redis.call('HEXISTS', KEYS[2], 'budget') == 1 then
  budget = '0|0'
end
redis.call('HSET', KEYS[2], 'account', ARGV[1], 'key_id', ARGV[2], 'mac', ARGV[3],
  'limits', ARGV[4], 'name', ARGV[5], 'status', ARGV[9] == '' and 'active' or 'restricted', 'seq', ARGV[8])
if budget ~= '' then redis.call('HSET', KEYS[2], 'budget', budget) end
if ARGV[9] ~= '' then
  redis.call('HSET', KEYS[2], 'only', ARGV[9])
else
  redis.call('HDEL', KEYS[2], 'only')
end
return 'projected'
