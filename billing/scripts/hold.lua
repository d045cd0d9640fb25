-- KEYS epoch acct hold exp, then the key's record where its budget counts
-- ARGV hold_id fp want least life_ms account key_id
-- -> { status, n, available }; Redis' integers carry numbers below 2^53 exactly
local epoch, hold = shard_read(KEYS[1], KEYS[3])
if not epoch then return { 'closed', 0, 0 } end
local now = now_ms()
local key_budget = KEYS[5] and redis.call('HGET', KEYS[5], 'budget')
local acct = acct_read(KEYS[2])
local status, n = reserve_plan(KEYS[2], acct, hold, ARGV[2], ARGV[3], ARGV[4], ARGV[7], key_budget, now)
if status ~= 'ok' then return { status, n, 0 } end
return { status, n, reserve_commit(KEYS[2], KEYS[3], KEYS[4],
  ARGV[1], ARGV[2], n, now + ARGV[5], ARGV[6], ARGV[7], acct) }
