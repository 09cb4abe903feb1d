#!lua flags=allow-oom
-- A consumer's own pending entries within limits. Unlike XREADGROUP with an id this counts nothing as
-- handed out again. What has no entry any more is acked, since nobody can do anything with it.
-- KEYS: stream. ARGV: group, consumer, id to go on after, entries at most, bytes at most, entries to
-- look at in one step.
local key, group, consumer, after = KEYS[1], ARGV[1], ARGV[2], ARGV[3]
local count_max, bytes_max = tonumber(ARGV[4]), tonumber(ARGV[5])
local entries, gone, bytes = {}, {}, 0
-- As XREADGROUP does.
redis.call('XGROUP', 'CREATECONSUMER', key, group, consumer)
local ended = after == '18446744073709551615-18446744073709551615'
while not ended and #entries + #gone < count_max and not (#entries > 0 and bytes >= bytes_max) do
    local page = math.min(count_max - #entries - #gone, tonumber(ARGV[6]))
    local pending = redis.call('XPENDING', key, group, '(' .. after, '+', page, consumer)
    ended = #pending < page
    for number, about in ipairs(pending) do
        after = about[1]
        local found = redis.call('XRANGE', key, after, after)
        if #found == 0 then
            redis.call('XACK', key, group, after)
            gone[#gone + 1] = after
        else
            entries[#entries + 1] = found[1]
            for _, part in ipairs(found[1][2]) do
                bytes = bytes + #part
            end
            if bytes >= bytes_max then
                ended = ended and number == #pending
                break
            end
        end
    end
end
if not ended then
    local more = redis.call('XPENDING', key, group, '(' .. after, '+', 1, consumer)
    ended = #more == 0
end
return {entries, gone, not ended and after}
