-- Decides authentication and the request limit of an unpaid call and reads the
-- balance. Composed after ratelimit's window.lua and billing's reserve.lua.
--
-- KEYS 1 epoch, 2 acct, then for each candidate the key's record and its window
-- ARGV 1 candidates, 2 default limit, 3 window in µs, 4 account
-- -> { status, available, held, limit, remaining, reset_us, key_id, mac, candidate }
--    status: closed | unknown | limited | missing | ok
local function outcome(status, available, held, pass)
  return { status, available, held, pass.limit, pass.remaining, pass.reset, pass.key_id, pass.mac, pass.candidate }
end

local pass = find_pass(KEYS, 3, ARGV)
if not redis.call('GET', KEYS[1]) then return outcome('closed', '0', '0', pass) end
if not pass.known then return outcome('unknown', '0', '0', pass) end
local allowed, state
allowed, pass.remaining, pass.reset, state = window_check(pass.window, now_us(), pass.limit, tonumber(ARGV[3]))
if not allowed then return outcome('limited', '0', '0', pass) end
local acct = redis.call('HMGET', KEYS[2], 'available', 'held')
if not acct[1] then return outcome(acct_lost(KEYS[2]), '0', '0', pass) end
window_add(pass.window, state)
return outcome('ok', acct[1], acct[2] or '0', pass)
