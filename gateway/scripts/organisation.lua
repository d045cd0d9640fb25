-- Decides the limits and the budget that the accounts of an organisation share, all or
-- nothing. Composed after ratelimit's functions, billing's organisation.lua and fit.lua.
--
-- KEYS 1 epoch, 2 org, 3 claim, 4 claims: of the organisation's shard
-- ARGV 1 base of its limits, 2 id that holds the call's places, 3 want, 4 least,
--      5 the life of claim and places in ms, 6 tokens, 7 and 8 how few may do, as
--      limits_fit has it, 9 '1': an unpaid call, which takes of requests and buckets alone
-- -> { status, n, counted, day, report }; the report is limits_report's
--    status: closed | missing | limited | a status of organisation_plan
local function outcome(status, n, org, report)
  return { status, money(n), org and org.counted and '1' or '0', org and org.day and money(org.day) or '0', report or '0' }
end

local epoch, claim = shard_read(KEYS[1], KEYS[3])
if not epoch then return outcome('closed', 0) end
local org = organisation_read(KEYS[2])
if not org then return outcome('missing', 0) end
local now, list = now_us(), {}
limits_expand(list, org.limits, ARGV[1], 'organisation', tonumber(ARGV[6]))
if ARGV[9] == '1' then
  local denied = limits_check(list, now, '')
  if denied then return outcome('limited', 0, org, limits_report(list, denied)) end
  limits_add(list, now, '', 0)
  return outcome('ok', 0, org, limits_report(list))
end

local now_ms, life = math.floor(now / 1000), tonumber(ARGV[5])
local status, n = organisation_plan(org, claim, ARGV[3], ARGV[4], now_ms)
if status ~= 'ok' then limits_only(list, status == 'claimed' and 'c' or '') end
local denied = limits_fit(list, now, ARGV[2], tonumber(ARGV[7]), tonumber(ARGV[8]))
if denied then
  org.counted = false
  return outcome('limited', 0, org, limits_report(list, denied))
end
limits_add(list, now, ARGV[2], life)
if status == 'ok' then
  organisation_commit(org, KEYS[2], KEYS[3], KEYS[4], n, now_ms + life)
elseif status ~= 'claimed' and status ~= 'done' then
  org.counted = false
end
return outcome(status, n, org, limits_report(list))
