#!lua
-- Adds entries if the last id that the stream ever held is the expected one, else says which it is.
-- KEYS: stream. ARGV: expected last id, then for each entry its id, the number of arguments that
-- follow for it, and names and values. All ids are texts: Lua's numbers end at 53 bits.
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
local at = 2
while at < #ARGV do
    local count = tonumber(ARGV[at + 1])
    redis.call('XADD', KEYS[1], ARGV[at], unpack(ARGV, at + 2, at + 1 + count))
    at = at + 2 + count
end
return false
