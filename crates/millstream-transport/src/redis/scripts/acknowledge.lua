#!lua flags=allow-oom
-- KEYS: acknowledgments. ARGV: how many are kept, about; then names and values.
return redis.call('XADD', KEYS[1], 'MAXLEN', '~', ARGV[1], '*', unpack(ARGV, 2))
