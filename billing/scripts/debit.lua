-- Takes a debit that Postgres decided, once: what the account has of it; the rest is
-- written off. Lua has no rollback: the event is appended first, then balances change.
--
-- A late settlement gives way to its hold. One that is settled has nothing to be taken any
-- more; one that stands is settled by it, since whoever recorded what the call came to may
-- be dead. One that was given back is settled by it, too, and a chat's that is gone comes to
-- be again: its update may yet be handled once more, and must find its call paid.
--
-- KEYS epoch acct hold exp ev taken; there is no hold where the debit is not a call's
-- ARGV hold_id reference account key_id amount beyond kind book payload keep_ms epoch
--      fp (of a chat's hold; '': another's)
-- -> { status, captured, write_off, available }
--    taken | replayed | missing | closed
local epoch, before = shard_read(KEYS[1], KEYS[6])
-- Another epoch has forgotten what was taken in this one, and may have lost it too.
if epoch ~= ARGV[11] then return { 'closed', 0, 0, 0 } end
local acct = redis.call('HMGET', KEYS[2], 'available', 'held')
if not acct[1] then return { acct_lost(KEYS[2]), 0, 0, 0 } end
if before then
  local captured, write_off = string.match(before, '^(%d+)|(%d+)$')
  return { 'replayed', tonumber(captured), tonumber(write_off), tonumber(acct[1]) }
end

local cost = ARGV[5] + ARGV[6]
local function taken(captured, write_off, available)
  redis.call('SET', KEYS[6], captured .. '|' .. write_off, 'PX', ARGV[10])
  return { 'taken', tonumber(captured), tonumber(write_off), available }
end

local hold = ARGV[1] ~= '' and redis.call('GET', KEYS[3])
local state, n, account, key_id, m, spent, how, fp = hold_read(hold or '')
local others = hold and account ~= ARGV[3] -- the name is another account's: this one's hold is gone
if others then state = nil end
if state == 's' then return { 'replayed', tonumber(n), tonumber(m), tonumber(acct[1]) } end
if state == 'h' then
  return taken(hold_resolve(epoch, acct, n, account, key_id, spent, how, fp, 'expired', ARGV[10], money(cost), ARGV[9]))
end

local available = tonumber(acct[1])
local captured = math.max(0, math.min(tonumber(ARGV[5]), available))
local write_off = cost - captured
local event = { 't', 'debit', 'r', ARGV[2], 'b', ARGV[8] }
if ARGV[7] == 'settle' then event = { 't', 'settle', 'h', ARGV[1] } end
for _, part in ipairs({ 'e', epoch, 'a', ARGV[3], 'k', ARGV[4], 'c', money(captured), 'w', money(write_off), 'd', ARGV[9] }) do
  event[#event + 1] = part
end
redis.call('XADD', KEYS[5], '*', unpack(event))
redis.call('HSET', KEYS[2], 'available', money(available - captured))
if ARGV[7] == 'settle' then
  if not others and (hold or ARGV[12] ~= '') then
    redis.call('SET', KEYS[3], hold_form('s', money(captured), ARGV[3], ARGV[4], money(write_off), '', 'expired',
      fp or ARGV[12]), 'PX', ARGV[10])
  end
  budgets().add(KEYS[2], ARGV[4], captured, now_ms())
end
return taken(money(captured), money(write_off), available - captured)
