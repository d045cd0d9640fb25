-- now_ms() is Redis' clock, in ms: an instance's clock never decides.
local function now_ms()
  local t = redis.call('TIME')
  return t[1] * 1000 + math.floor(t[2] / 1000)
end
