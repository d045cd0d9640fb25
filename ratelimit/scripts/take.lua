-- Takes a call's cost from several limits, all or nothing. Composed after decide.lua.
--
-- KEYS one for each limit
-- ARGV 1 now in µs or 0: the server's clock, 2 id, 3 life of places in ms,
--      then for each limit kind, max, span in µs, cost
-- -> the denying limit (0: none), then for each limit left, reset in µs, at in µs
local now = tonumber(ARGV[1])
if now == 0 then now = now_us() end
local list, life = {}, tonumber(ARGV[3])
for i = 1, #KEYS do
  local at = 4 * i - 1
  list[i] = { kind = ARGV[at + 1], key = KEYS[i],
    max = tonumber(ARGV[at + 2]), span = tonumber(ARGV[at + 3]), cost = tonumber(ARGV[at + 4]) }
end
local denied = limits_check(list, now, ARGV[2])
if not denied then limits_add(list, now, ARGV[2], life) end
local reply = { denied or 0 }
for i = 1, #list do
  local e = list[i]
  reply[3 * i - 1], reply[3 * i], reply[3 * i + 1] = e.left, e.reset, e.at
end
return reply
