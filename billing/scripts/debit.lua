-- Takes a debit that Postgres decided, once: what the account has of it; the rest is
-- written off. Lua has no rollback: the event is appended first, then balances change.
--
-- A hold's late settlement gives way to the hold itself: settled, there is nothing to
-- take any more; held, it is too early to say.
--
-- A chat's hold comes to be by it, settled: its update may yet be handled once more, and
-- must find its call paid.
--
-- KEYS epoch acct taken ev, then the hold of a late settlement
-- ARGV reference account key_id amount kind book payload keep_ms hold_id epoch
--      fp (of a chat's hold; '': another's)
-- -> { status, captured, write_off, available }
--    taken | replayed | held | missing | closed
local epoch, before = shard_read(KEYS[1], KEYS[3])
-- Another epoch has forgotten what was taken in this one, and may have lost it too.
if epoch ~= ARGV[10] then return { 'closed', 0, 0, 0 } end
local acct = redis.call('HGET', KEYS[2], 'available')
if not acct then return { acct_lost(KEYS[2]), 0, 0, 0 } end
if before then
  local captured, write_off = string.match(before, '^(%d+)|(%d+)$')
  return { 'replayed', tonumber(captured), tonumber(write_off), tonumber(acct) }
end
local hold = KEYS[5] and redis.call('GET', KEYS[5])
if hold then
  local state, n, account, _, m = hold_read(hold)
  if account ~= ARGV[2] then state = 'r' end -- another's: this one's is gone
  if state == 's' then return { 'replayed', tonumber(n), tonumber(m), tonumber(acct) } end
  if state == 'h' then return { 'held', 0, 0, tonumber(acct) } end
end

local available = tonumber(acct)
local captured = math.max(0, math.min(tonumber(ARGV[4]), available))
local write_off = tonumber(ARGV[4]) - captured
local event = { 't', 'debit', 'r', ARGV[1], 'b', ARGV[6] }
if ARGV[5] == 'settle' then event = { 't', 'settle', 'h', ARGV[9] } end
for _, part in ipairs({ 'e', epoch, 'a', ARGV[2], 'k', ARGV[3], 'c', money(captured), 'w', money(write_off), 'd', ARGV[7] }) do
  event[#event + 1] = part
end
redis.call('XADD', KEYS[4], '*', unpack(event))
redis.call('HSET', KEYS[2], 'available', money(available - captured))
if ARGV[11] ~= '' then
  redis.call('SET', KEYS[5], hold_form('s', money(captured), ARGV[2], ARGV[3], money(write_off), '', 'expired', ARGV[11]),
    'PX', ARGV[8])
end
redis.call('SET', KEYS[3], money(captured) .. '|' .. money(write_off), 'PX', ARGV[8])
if ARGV[5] == 'settle' then budgets().add(KEYS[2], ARGV[3], captured, now_ms()) end
return { 'taken', captured, write_off, available - captured }
