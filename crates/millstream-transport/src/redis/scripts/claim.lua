#!lua flags=allow-oom
-- Takes over idle pending entries within limits, one at a time, since XAUTOCLAIM counts entries, not
-- bytes. Returns them, the ids that were pending without an entry, and where to go on.
-- KEYS: stream. ARGV: group, consumer, idle milliseconds at least, first id (none if there
-- is none above the last), entries at most, bytes at
-- most, steps at most.
local key, group, consumer, idle, cursor = KEYS[1], ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local count_max, bytes_max, steps = tonumber(ARGV[5]), tonumber(ARGV[6]), tonumber(ARGV[7])
local claimed, gone, bytes = {}, {}, 0
-- Redis 7.0 makes a consumer known only when it gets something, later servers at once.
redis.call('XGROUP', 'CREATECONSUMER', key, group, consumer)
if cursor == '' then
    return {claimed, gone, '0-0'}
end
repeat
    local reply = redis.call('XAUTOCLAIM', key, group, consumer, idle, cursor, 'COUNT', 1)
    cursor = reply[1]
    for _, entry in ipairs(reply[2]) do
        claimed[#claimed + 1] = entry
        for _, part in ipairs(entry[2]) do
            bytes = bytes + #part
        end
    end
    for _, id in ipairs(reply[3]) do
        gone[#gone + 1] = id
    end
    steps = steps - 1
until cursor == '0-0' or #claimed + #gone >= count_max or steps <= 0
    or (#claimed > 0 and bytes >= bytes_max)
return {claimed, gone, cursor}
