-- Trues up what a call took. Composed after limits.lua.
--
-- KEYS 1 the mark of the ticket, then one for each entry
-- ARGV 1 now in µs or 0: the server's clock, 2 id,
--      then for each entry kind, max, span in µs, at in µs, cost, used
local now = tonumber(ARGV[1])
if now == 0 then now = now_us() end
local list = {}
for i = 1, #KEYS - 1 do
  local at = 6 * i - 4
  list[i] = { kind = ARGV[at + 1], key = KEYS[i + 1], max = tonumber(ARGV[at + 2]), span = tonumber(ARGV[at + 3]),
    at = tonumber(ARGV[at + 4]), cost = tonumber(ARGV[at + 5]), used = tonumber(ARGV[at + 6]) }
end
limits_finish(list, now, ARGV[2], KEYS[1])
return 1
