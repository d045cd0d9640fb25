-- Tells of an account's tier, organisation and status. An older word than Redis has is not heard.
--
-- KEYS epoch acct
-- ARGV tier organisation ('' for none) seq status
-- -> told | missing | closed
if not redis.call('GET', KEYS[1]) then return 'closed' end
local acct = redis.call('HMGET', KEYS[2], 'available', 'limits_seq', 'status')
if not acct[1] then return 'missing' end
if tonumber(acct[2] or 0) > tonumber(ARGV[3]) then return 'told' end
redis.call('HSET', KEYS[2], 'limits_seq', ARGV[3])
if acct[3] ~= 'closed' then redis.call('HSET', KEYS[2], 'status', ARGV[4]) end -- that is final
for i, field in ipairs({ 'tier', 'org' }) do
  if ARGV[i] == '' then
    redis.call('HDEL', KEYS[2], field)
  else
    redis.call('HSET', KEYS[2], field, ARGV[i])
  end
end
return 'told'
