#!lua flags=allow-oom
-- KEYS: publishers. ARGV: stream and owner, descriptor.
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
return false
