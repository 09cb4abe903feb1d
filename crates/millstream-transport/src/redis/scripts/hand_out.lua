#!lua flags=allow-oom
-- Hands out the group's next entries within limits, which XREADGROUP alone cannot: it counts entries,
-- not bytes, and what it has handed out is pending.
-- KEYS: stream. ARGV: group, consumer, entries at most, bytes at most, bytes that were handed out
-- just before.
local key, group, consumer = KEYS[1], ARGV[1], ARGV[2]
local count_max, bytes_max, bytes = tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])

local delivered
for _, about in ipairs(redis.call('XINFO', 'GROUPS', key)) do
    local name, id
    for i = 1, #about, 2 do
        if about[i] == 'name' then
            name = about[i + 1]
        elseif about[i] == 'last-delivered-id' then
            id = about[i + 1]
        end
    end
    if name == group then
        delivered = id
    end
end
if not delivered then
    return redis.error_reply('NOGROUP No such group')
end

local full = count_max == 0 or (bytes > 0 and bytes >= bytes_max)
if full then
    return {}
end
-- Above the largest id there is nothing, and no range to ask for.
local ended = delivered == '18446744073709551615-18446744073709551615'

-- The smallest pages at first, since an entry may be large.
local count, page, from = 0, 1, '(' .. delivered
while not full and not ended and count < count_max do
    local entries = redis.call('XRANGE', key, from, '+', 'COUNT', math.min(page, count_max - count))
    for _, entry in ipairs(entries) do
        if full then
            break
        end
        for _, part in ipairs(entry[2]) do
            bytes = bytes + #part
        end
        count = count + 1
        from = '(' .. entry[1]
        full = bytes >= bytes_max
    end
    ended = #entries < page
    page = math.min(page * 4, 256)
end

if count == 0 then
    -- Redis 7.0 makes a consumer known only when it hands something out, later servers at once.
    redis.call('XGROUP', 'CREATECONSUMER', key, group, consumer)
    return {}
end

local reply = redis.call('XREADGROUP', 'GROUP', group, consumer, 'COUNT', count, 'STREAMS', key, '>')
local handed_out = reply[1][2]

-- Where entries were trimmed before they were handed out, the server's count of what the group has read
-- is off, and so is its lag. The rank of the first entry is known.
local first, added, length, entries_read
local about = redis.call('XINFO', 'STREAM', key)
for i = 1, #about, 2 do
    if about[i] == 'first-entry' then
        first = about[i + 1][1]
    elseif about[i] == 'entries-added' then
        added = about[i + 1]
    elseif about[i] == 'length' then
        length = about[i + 1]
    end
end
if handed_out[1][1] == first then
    entries_read = added - length + #handed_out
elseif delivered == first then
    entries_read = added - length + 1 + #handed_out
end
if entries_read then
    redis.call('XGROUP', 'SETID', key, group, handed_out[#handed_out][1], 'ENTRIESREAD',
        string.format('%.0f', entries_read))
end
return handed_out
