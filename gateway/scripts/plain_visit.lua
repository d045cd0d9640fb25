-- visit.lua for the common call. Composed after ratelimit's window functions, billing's
-- reserve.lua, find.lua and plain.lua.
--
-- KEYS and ARGV as visit.lua has them
-- -> { status, available, held, key_id, mac, candidate, limit, remaining, reset_us, at }
--    at: when the request was counted, in µs
--    status: as visit.lua has it, or more: that is to be asked, nothing was recorded
local function outcome(status, available, held, pass, e, remaining)
  return { status, available, held, pass.key_id, pass.mac, pass.candidate, e and e.max or 0, remaining or 0, e and e.reset or 0, e and e.at or 0 }
end

local pass = find_pass(KEYS, 3, ARGV)
if not redis.call('GET', KEYS[1]) then return outcome('closed', '0', '0', pass) end
if not pass.known then return outcome('unknown', '0', '0', pass) end
local acct = acct_read(KEYS[2])
if not acct[1] then return outcome(acct_lost(KEYS[2]), '0', '0', pass) end
local e = plain_limit(pass, acct, ARGV[2])
if not e then return outcome('more', '0', '0', pass) end
if not window_check(e, now_us()) then return outcome('limited', '0', '0', pass, e) end
window_add(e)
return outcome(acct[3] == 'active' and 'ok' or 'inactive', acct[1], acct[2] or '0', pass, e, e.left - 1)
