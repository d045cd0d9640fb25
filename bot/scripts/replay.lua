-- Moves a dead letter back into its stream, once.
-- KEYS: dead letters, the stream   ARGV: entry, raw update
-- Returns 1, or 0 when the letter is gone.
if #redis.call('XRANGE', KEYS[1], ARGV[1], ARGV[1]) == 0 then return 0 end
redis.call('XADD', KEYS[2], '*', 'raw', ARGV[2])
redis.call('XDEL', KEYS[1], ARGV[1])
return 1
