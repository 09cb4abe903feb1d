#!lua flags=allow-oom
-- Full or not: it frees the stream first, and one bounded batch takes its place. Refused, a follower
-- that waits for that batch could never settle it, and nothing would ever be trimmed.
--
-- Puts entries in the place of everything that the stream holds, if the last id that it ever held is
-- the judged one, else says which it is.
-- KEYS: stream. ARGV: judged id; the last id that the new stream shall have; how many entries it shall
-- count as added; then entries as in append.lua.
local last = '0-0'
if redis.call('EXISTS', KEYS[1]) == 1 then
    local about = redis.call('XINFO', 'STREAM', KEYS[1])
    for i = 1, #about, 2 do
        if about[i] == 'last-generated-id' then
            last = about[i + 1]
        end
    end
end
if last ~= ARGV[1] then
    return last
end
redis.call('UNLINK', KEYS[1])
if ARGV[2] == '0-0' then
    return false
end
local at = 4
if at > #ARGV then
    -- Only an entry makes a stream that has a last id.
    redis.call('XADD', KEYS[1], ARGV[2], '', '')
    redis.call('XTRIM', KEYS[1], 'MAXLEN', '=', '0')
end
while at < #ARGV do
    local count = tonumber(ARGV[at + 1])
    redis.call('XADD', KEYS[1], ARGV[at], unpack(ARGV, at + 2, at + 1 + count))
    at = at + 2 + count
end
redis.call('XSETID', KEYS[1], ARGV[2], 'ENTRIESADDED', ARGV[3])
return false
