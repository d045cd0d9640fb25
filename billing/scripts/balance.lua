-- KEYS epoch acct lost
-- ARGV account
-- -> { status, available, held, account status, name }   ok | missing | closed
if not redis.call('GET', KEYS[1]) then return { 'closed' } end
local acct = redis.call('HMGET', KEYS[2], 'available', 'held', 'status', 'name')
if not acct[1] then
  redis.call('SADD', KEYS[3], ARGV[1])
  return { 'missing' }
end
return { 'ok', acct[1], acct[2] or '0', acct[3] or '', acct[4] or '' }
