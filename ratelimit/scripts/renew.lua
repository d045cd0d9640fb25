-- Renews the places that calls hold. Composed after limits.lua.
--
-- KEYS one for each place
-- ARGV 1 now in µs or 0: the server's clock, 2 life in ms, then for each place its id
-- -> how many are still held

-- limits_renew(key, now, id, life_ms) -> 1 where id still holds its place, which it
-- then does for life_ms from now at the least; 0 where the lease has ended.
local function limits_renew(key, now, id, life_ms)
  local ends = redis.pcall('ZSCORE', key, id)
  if type(ends) ~= 'string' or tonumber(ends) <= now then return 0 end
  lease_hold(key, now, id, now + life_ms * 1000)
  return 1
end

local now = tonumber(ARGV[1])
if now == 0 then now = now_us() end
local life, held = tonumber(ARGV[2]), 0
for i = 1, #KEYS do
  held = held + limits_renew(KEYS[i], now, ARGV[2 + i], life)
end
return held
