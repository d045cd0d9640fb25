-- Renews the places that calls hold. Composed after limits.lua.
--
-- KEYS one for each place
-- ARGV 1 now in µs or 0: the server's clock, 2 life in ms, then for each place its id
-- -> how many are still held
local now = tonumber(ARGV[1])
if now == 0 then now = now_us() end
local life, held = tonumber(ARGV[2]), 0
for i = 1, #KEYS do
  held = held + limits_renew(KEYS[i], now, ARGV[2 + i], life)
end
return held
