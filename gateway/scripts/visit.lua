-- Decides authentication and the limits of an unpaid call, which takes of requests and of
-- buckets alone, and reads the balance. Composed after ratelimit's functions, billing's
-- reserve.lua and pass.lua.
--
-- KEYS 1 epoch, 2 acct, then for each candidate the key's record and the base of its limits
-- ARGV 1 candidates, 2 the house's limits, packed, 3 account, 4 its organisation ('': none),
--      5 the model it is about ('': none), 6 the caller's address, as key_refusal has it
-- -> { status, available, held, report, key_id, mac, candidate, models }; the report is
--    limits_report's, models are key_refusal's
--    status: closed | unknown | limited | missing | inactive | ok | a status of key_refusal |
--    org|id, as admit.lua has it
local function outcome(status, available, held, pass, report)
  return { status, available, held, report or '0', pass.key_id, pass.mac, pass.candidate, pass.models or '' }
end

local pass = find_pass(KEYS, 3, ARGV)
if not redis.call('GET', KEYS[1]) then return outcome('closed', '0', '0', pass) end
if not pass.known then return outcome('unknown', '0', '0', pass) end
local now = now_us()
if pass.restricted then
  local refusal, at
  refusal, at, pass.models = key_refusal(pass.restricted, ARGV[5] ~= '' and ARGV[5], ARGV[6], math.floor(now / 1000))
  if refusal then return outcome(refusal, at, '0', pass) end
end
local acct = acct_read(KEYS[2])
if not acct[1] then return outcome(acct_lost(KEYS[2]), '0', '0', pass) end
if (acct[6] or '') ~= ARGV[4] then return outcome('org|' .. (acct[6] or ''), '0', '0', pass) end
local list = pass_limits(pass, KEYS[2], ARGV[3], acct[5], ARGV[2], 0)
local denied = limits_check(list, now, '')
if denied then return outcome('limited', '0', '0', pass, limits_report(list, denied)) end
limits_add(list, now, '', 0)
return outcome(acct[3] == 'active' and 'ok' or 'inactive', acct[1], acct[2] or '0', pass, limits_report(list))
