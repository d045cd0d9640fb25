-- Decides authentication, all limits of key and account, and the hold of a paid call, all
-- or nothing. Composed after ratelimit's functions, billing's reserve.lua and pass.lua.
--
-- KEYS 1 epoch, 2 acct, 3 hold, 4 exp
--      then for each candidate the key's record and the base of its limits,
--      or, with no candidates, one base
-- ARGV 1 candidates, 2 the house's limits, packed, 3 account, 4 its organisation ('': none),
--      5 hold id, which holds the call's places too, 6 fingerprint, 7 want, 8 least,
--      9 the life of hold and places in ms, 10 tokens, 11 and 12 how few may do, as
--      limits_fit has it, 13 '1': this hold was resolved, so none may be made,
--      14 model, 15 the caller's address, as key_refusal has it
-- -> { status, n, available, report, key_id, mac, candidate, models }; the report is
--    limits_report's, models are key_refusal's
--    status: closed | unknown | limited | a status of key_refusal or of reserve_plan, or
--    'org|id': that is the account's organisation, '': none. Nothing was recorded
local function outcome(status, n, available, pass, report)
  return { status, n, available, report or '0', pass.key_id, pass.mac, pass.candidate, pass.models or '' }
end

local pass = find_pass(KEYS, 5, ARGV)
local epoch, hold = shard_read(KEYS[1], KEYS[3])
if not epoch then return outcome('closed', '0', '0', pass) end
if not pass.known then return outcome('unknown', '0', '0', pass) end
local now, life = now_us(), tonumber(ARGV[9])
if pass.restricted then
  local refusal, at
  refusal, at, pass.models = key_refusal(pass.restricted, ARGV[14], ARGV[15], math.floor(now / 1000))
  if refusal then return outcome(refusal, at, '0', pass) end
end
local acct = acct_read(KEYS[2])
if not acct[1] then return outcome(acct_lost(KEYS[2]), '0', '0', pass) end
if (acct[6] or '') ~= ARGV[4] then return outcome('org|' .. (acct[6] or ''), '0', '0', pass) end

local list = pass_limits(pass, KEYS[2], ARGV[3], acct[5], ARGV[2], tonumber(ARGV[10]))
local function plan()
  return reserve_plan(KEYS[2], acct, hold, ARGV[6], ARGV[7], ARGV[8], pass.key_id, pass.budget, math.floor(now / 1000))
end

if hold or ARGV[13] == '1' then
  -- The call was asked for before, and has taken what it takes: all it may need again
  -- are the places, should they have been lost.
  local status, n = 'released', 0
  if hold then status, n = plan() end
  limits_only(list, status == 'held' and 'c' or '')
  local denied = limits_check(list, now, ARGV[5])
  if denied then return outcome('limited', '0', '0', pass, limits_report(list, denied)) end
  limits_add(list, now, ARGV[5], life)
  return outcome(status, money(n), acct[1], pass, limits_report(list))
end

local denied = limits_fit(list, now, ARGV[5], tonumber(ARGV[11]), tonumber(ARGV[12]))
if denied then return outcome('limited', '0', '0', pass, limits_report(list, denied)) end
local status, n = plan()
if status ~= 'ok' then
  limits_only(list, '')
  return outcome(status, money(n), acct[1], pass, limits_report(list))
end
limits_add(list, now, ARGV[5], life)
local available = reserve_commit(KEYS[2], KEYS[3], KEYS[4], ARGV[5], ARGV[6], n,
  math.floor(now / 1000) + life, ARGV[3], pass.key_id, acct)
return outcome('ok', money(n), money(available), pass, limits_report(list))
