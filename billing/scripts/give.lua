-- Takes a gift from its giver's balance: all of it or nothing, and once. Lua has no
-- rollback: the event is appended first, then the balance changes.
--
-- KEYS epoch acct taken ev
-- ARGV reference account amount keep_ms epoch
-- -> { status, available }
--    given | replayed | poor | inactive | missing | closed
local epoch, before = shard_read(KEYS[1], KEYS[3])
-- Another epoch has forgotten what was taken in this one, and may have lost it too.
if epoch ~= ARGV[5] then return { 'closed', 0 } end
local acct = redis.call('HMGET', KEYS[2], 'available', 'status')
if not acct[1] then return { acct_lost(KEYS[2]), 0 } end
local available, nano = tonumber(acct[1]), tonumber(ARGV[3])
if before then return { 'replayed', available } end
if acct[2] ~= 'active' then return { 'inactive', available } end
if available < nano then return { 'poor', available } end
redis.call('XADD', KEYS[4], '*', 't', 'gift', 'r', ARGV[1], 'e', epoch, 'a', ARGV[2], 'k', '0',
  'c', money(nano), 'w', '0', 'd', '{}')
redis.call('HSET', KEYS[2], 'available', money(available - nano))
redis.call('SET', KEYS[3], money(nano) .. '|0', 'PX', ARGV[4])
return { 'given', available - nano }
