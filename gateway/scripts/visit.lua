-- Decides authentication and the request limit of an unpaid call and reads the
-- balance. Composed after ratelimit's functions and billing's reserve.lua.
--
-- KEYS 1 epoch, 2 acct, then for each candidate the key's record and its window
-- ARGV 1 candidates, 2 default limit, 3 whose the limit is, 4 account
-- -> { status, available, held, report, key_id, mac, candidate }; the report is limits_report's
--    status: closed | unknown | limited | missing | ok
local function outcome(status, available, held, pass)
  return { status, available, held, pass.report, pass.key_id, pass.mac, pass.candidate }
end

local pass = find_pass(KEYS, 3, ARGV)
if not redis.call('GET', KEYS[1]) then return outcome('closed', '0', '0', pass) end
if not pass.known then return outcome('unknown', '0', '0', pass) end
local now, list = now_us(), pass_limits(pass, ARGV)
local denied = limits_check(list, now, '')
pass.report = limits_report(list, denied)
if denied then return outcome('limited', '0', '0', pass) end
local acct = redis.call('HMGET', KEYS[2], 'available', 'held')
if not acct[1] then return outcome(acct_lost(KEYS[2]), '0', '0', pass) end
limits_add(list, now, '', 0)
return outcome('ok', acct[1], acct[2] or '0', pass)
