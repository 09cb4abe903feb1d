#!lua flags=allow-oom
-- Moves a group's position upwards, and makes the group where it is missing. Says which other database
-- holds the group, if one does.
-- KEYS: stream. ARGV: group, the consumer that stands for the database, the prefix of such consumers,
-- position.
local function parts(id)
    return id:match('^(%d+)-(%d+)$')
end

-- Whether one number is below another, both as texts.
local function below(a, b)
    if #a ~= #b then
        return #a < #b
    end
    return a < b
end

local function is_below(a, b)
    local a_high, a_low = parts(a)
    local b_high, b_low = parts(b)
    if a_high ~= b_high then
        return below(a_high, b_high)
    end
    return below(a_low, b_low)
end

local key, group, holder, prefix, position = KEYS[1], ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local exists = redis.call('EXISTS', key) == 1

local current
if exists then
    for _, about in ipairs(redis.call('XINFO', 'GROUPS', key)) do
        local name, delivered
        for i = 1, #about, 2 do
            if about[i] == 'name' then
                name = about[i + 1]
            elseif about[i] == 'last-delivered-id' then
                delivered = about[i + 1]
            end
        end
        if name == group then
            current = delivered
        end
    end
end

local held = false
if current then
    for _, about in ipairs(redis.call('XINFO', 'CONSUMERS', key, group)) do
        for i = 1, #about, 2 do
            local name = about[i + 1]
            if about[i] == 'name' and name:sub(1, #prefix) == prefix then
                if name ~= holder then
                    return name
                end
                held = true
            end
        end
    end
    if held and is_below(position, current) then
        return false
    end
end

-- How many entries the group has read, so that its lag shows: those of one generation are dense, so
-- the distance from the top says it. It is unknown below an older generation, or beyond 53 bits.
local read
local last, added = '0-0', 0
if exists then
    local about = redis.call('XINFO', 'STREAM', key)
    for i = 1, #about, 2 do
        if about[i] == 'last-generated-id' then
            last = about[i + 1]
        elseif about[i] == 'entries-added' then
            added = about[i + 1]
        end
    end
end
local last_high, last_low = parts(last)
local high, low = parts(position)
if is_below(last, position) then
    read = added
elseif high == last_high and #last_low <= 15 then
    read = math.max(added - (tonumber(last_low) - tonumber(low)), 0)
end

if not current then
    redis.call('XGROUP', 'CREATE', key, group, position, 'MKSTREAM')
end
if read then
    redis.call('XGROUP', 'SETID', key, group, position, 'ENTRIESREAD', string.format('%.0f', read))
else
    redis.call('XGROUP', 'SETID', key, group, position)
end
if not held then
    redis.call('XGROUP', 'CREATECONSUMER', key, group, holder)
end
return false
