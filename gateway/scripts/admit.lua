-- Decides authentication, the request limit and the hold of a paid call, all or
-- nothing. Composed after ratelimit's window.lua and billing's reserve.lua.
--
-- KEYS 1 epoch, 2 acct, 3 hold, 4 exp
--      then for each candidate the key's record and its window,
--      or, with no candidates, one window
-- ARGV 1 candidates, 2 default limit, 3 window in µs, 4 account,
--      5 hold id, 6 fingerprint, 7 want, 8 least, 9 the hold's life in ms
-- -> { status, n, available, limit, remaining, reset_us, key_id, mac, candidate }
--    status: closed | unknown | limited | a status of reserve_plan
local function outcome(status, n, available, pass)
  return { status, n, available, pass.limit, pass.remaining, pass.reset, pass.key_id, pass.mac, pass.candidate }
end

local pass = find_pass(KEYS, 5, ARGV)
local epoch, hold = shard_read(KEYS[1], KEYS[3])
if not epoch then return outcome('closed', '0', '0', pass) end
if not pass.known then return outcome('unknown', '0', '0', pass) end
local now = now_us()
local allowed, state
allowed, pass.remaining, pass.reset, state = window_check(pass.window, now, pass.limit, tonumber(ARGV[3]))
if not allowed then return outcome('limited', '0', '0', pass) end
now = math.floor(now / 1000)
local acct = acct_read(KEYS[2])
local status, n = reserve_plan(KEYS[2], acct, hold, ARGV[6], ARGV[7], ARGV[8],
  pass.key_id, pass.budget, now)
if status ~= 'ok' then
  return outcome(status, money(n), '0', pass)
end
window_add(pass.window, state)
local available = reserve_commit(KEYS[2], KEYS[3], KEYS[4], ARGV[5], ARGV[6], n,
  now + tonumber(ARGV[9]), ARGV[4], pass.key_id, acct)
return outcome('ok', money(n), money(available), pass)
