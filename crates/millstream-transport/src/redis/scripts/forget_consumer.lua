#!lua flags=allow-oom
-- Removes a consumer unless it holds pending entries: those would never be handed out again.
-- KEYS: stream. ARGV: group, consumer.
for _, about in ipairs(redis.call('XINFO', 'CONSUMERS', KEYS[1], ARGV[1])) do
    local name, pending
    for i = 1, #about, 2 do
        if about[i] == 'name' then
            name = about[i + 1]
        elseif about[i] == 'pending' then
            pending = about[i + 1]
        end
    end
    if name == ARGV[2] then
        if pending > 0 then
            return 0
        end
        redis.call('XGROUP', 'DELCONSUMER', KEYS[1], ARGV[1], ARGV[2])
        return 1
    end
end
return 0
