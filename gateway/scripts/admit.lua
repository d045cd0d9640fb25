-- Decides authentication, the request limit and the hold of a paid call, all or
-- nothing. Composed after ratelimit's functions and billing's reserve.lua.
--
-- KEYS 1 epoch, 2 acct, 3 hold, 4 exp
--      then for each candidate the key's record and its window,
--      or, with no candidates, one window
-- ARGV 1 candidates, 2 default limit, 3 whose the limit is, 4 account,
--      5 hold id, 6 fingerprint, 7 want, 8 least, 9 the hold's life in ms
-- -> { status, n, available, report, key_id, mac, candidate }; the report is limits_report's
--    status: closed | unknown | limited | a status of reserve_plan
local function outcome(status, n, available, pass)
  return { status, n, available, pass.report, pass.key_id, pass.mac, pass.candidate }
end

local pass = find_pass(KEYS, 5, ARGV)
local epoch, hold = shard_read(KEYS[1], KEYS[3])
if not epoch then return outcome('closed', '0', '0', pass) end
if not pass.known then return outcome('unknown', '0', '0', pass) end
local now = now_us()
local list = pass_limits(pass, ARGV)
local denied = limits_check(list, now, '')
pass.report = limits_report(list, denied)
if denied then return outcome('limited', '0', '0', pass) end
local now_ms = math.floor(now / 1000)
local acct = acct_read(KEYS[2])
local status, n = reserve_plan(KEYS[2], acct, hold, ARGV[6], ARGV[7], ARGV[8],
  pass.key_id, pass.budget, now_ms)
if status ~= 'ok' then
  return outcome(status, money(n), '0', pass)
end
limits_add(list, now, '', 0)
local available = reserve_commit(KEYS[2], KEYS[3], KEYS[4], ARGV[5], ARGV[6], n,
  now_ms + tonumber(ARGV[9]), ARGV[4], pass.key_id, acct)
return outcome('ok', money(n), money(available), pass)
