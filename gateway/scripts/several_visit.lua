-- steady_visit.lua for several calls with one key at the same moment: all of them, or none.
--
-- KEYS 1 epoch, 2 acct, 3 the key's record, 4 the base of its limits
-- ARGV 1 the house's limits, packed, 2 account, 3 how many calls
-- -> what steady_visit.lua says after the last of them, or { status }, as several_admit.lua
--    has it
local key = redis.call('HMGET', KEYS[3], 'account', 'key_id', 'mac', 'limits', 'status')
if key[1] ~= ARGV[2] or key[5] ~= 'active' then return { 'apart' } end
local limits = key[4] == '0|0|0|0|0' and ARGV[1] or key[4]
local max = limits and tonumber((string.match(limits, '^(%d+)|0|0|0|0$')))
if not max or max == 0 or max > 2147483647 then return { 'apart' } end
local acct = redis.call('HMGET', KEYS[2], 'available', 'held', 'status', 'tier', 'org')
if acct[4] or acct[5] then return { 'apart' } end
if not acct[1] or not redis.call('GET', KEYS[1]) then return { 'alone' } end
local left, reset, now = window_steady(KEYS[4], max, tonumber(ARGV[3]))
if not left then return { 'alone' } end
return { acct[3] == 'active' and 'ok' or 'inactive', acct[1], acct[2] or '0', key[2], key[3] or '', 0, max, left, reset, now }
