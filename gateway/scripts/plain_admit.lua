-- admit.lua for the common call. Composed after ratelimit's window functions, billing's
-- reserve.lua, find.lua and plain.lua.
--
-- KEYS and ARGV as admit.lua has them, up to ARGV 9
-- -> { status, n, available, key_id, mac, candidate, limit, remaining, reset_us, at }
--    at: when the request was counted, in µs
--    status: as admit.lua has it, or more: that is to be asked, nothing was recorded
local function outcome(status, n, available, pass, e, remaining)
  return { status, n, available, pass.key_id, pass.mac, pass.candidate, e and e.max or 0, remaining or 0, e and e.reset or 0, e and e.at or 0 }
end

local pass = find_pass(KEYS, 5, ARGV)
local epoch, hold = shard_read(KEYS[1], KEYS[3])
if not epoch then return outcome('closed', '0', '0', pass) end
if not pass.known then return outcome('unknown', '0', '0', pass) end
local acct = acct_read(KEYS[2])
if not acct[1] then return outcome(acct_lost(KEYS[2]), '0', '0', pass) end
local e = not hold and plain_limit(pass, acct, ARGV[2])
if not e then return outcome('more', '0', '0', pass) end
local now = now_us()
if not window_check(e, now) then return outcome('limited', '0', '0', pass, e) end
now = math.floor(now / 1000)
local status, n = reserve_plan(KEYS[2], acct, nil, ARGV[6], ARGV[7], ARGV[8], pass.key_id, pass.budget, now)
if status ~= 'ok' then return outcome(status, money(n), acct[1], pass, e, e.left) end
window_add(e)
local available = reserve_commit(KEYS[2], KEYS[3], KEYS[4], ARGV[5], ARGV[6], n,
  now + ARGV[9], ARGV[3], pass.key_id, acct)
return outcome('ok', money(n), money(available), pass, e, e.left - 1)
