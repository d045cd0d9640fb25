-- plain_visit.lua in its commonest case, decided straight ahead: as steady_admit.lua does,
-- where `whole` is plain_visit.lua with all that it is composed of.
--
-- KEYS, ARGV and the answer are plain_visit.lua's.
if ARGV[1] == '0' then return whole() end
local key = redis.call('HMGET', KEYS[3], 'account', 'key_id', 'mac', 'limits', 'status')
if key[1] ~= ARGV[3] or key[5] ~= 'active' then return whole() end
local limits = key[4] == '0|0|0|0|0' and ARGV[2] or key[4]
local max = limits and tonumber((string.match(limits, '^(%d+)|0|0|0|0$')))
if not max or max == 0 or max > 2147483647 then return whole() end
if not redis.call('GET', KEYS[1]) then return whole() end
local acct = redis.call('HMGET', KEYS[2], 'available', 'held', 'status', 'tier', 'org')
if not acct[1] or acct[4] or acct[5] then return whole() end
local left, reset, now = window_steady(KEYS[4], max, 1)
if not left then return whole() end
return { acct[3] == 'active' and 'ok' or 'inactive', acct[1], acct[2] or '0', key[2], key[3] or '', 0, max, left, reset, now }
