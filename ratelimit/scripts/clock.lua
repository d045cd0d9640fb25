-- now_us() -> the server's clock in µs; an instance's clock never decides.
local function now_us()
  local t = redis.call('TIME')
  return tonumber(t[1]) * 1000000 + tonumber(t[2])
end

-- limits_int(n) -> n in decimal digits; for whole numbers below 2^53, exact.
local function limits_int(n)
  return string.format('%d', n)
end
