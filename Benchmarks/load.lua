-- The load of every HTTP benchmark, ours and the yardstick's: wrk ... -s load.lua URL -- METHOD FIRST KEYS
--
-- KEYS 0: the URL again and again. Otherwise the leases number FIRST to FIRST + KEYS - 1 below it, in turn. Requests are
-- made beforehand where there are few enough, so that little is left to do while the clock runs. Prints one line of JSON.

local method, first, keys = "GET", 0, 0
local at = 0
local made = {}

local function path(number)
    return string.format("/v1/users/user%d/projects/demo/sandbox", number)
end

function init(arguments)
    method, first, keys = arguments[1], tonumber(arguments[2]), tonumber(arguments[3])
    if keys == 0 then
        made[1] = wrk.format(method)
    elseif keys <= 1000 then
        for number = 0, keys - 1 do made[number + 1] = wrk.format(method, path(first + number)) end
    end
end

function request()
    if #made > 0 then
        at = at % #made + 1
        return made[at]
    end
    at = at + 1
    return wrk.format(method, path(first + (at - 1) % keys))
end

function done(summary, latency)
    local errors = summary.errors
    print(string.format(
        '{"requests": %d, "seconds": %.6f, "p50": %.1f, "p99": %.1f, "errors": %d}',
        summary.requests, summary.duration / 1e6, latency:percentile(50), latency:percentile(99),
        errors.connect + errors.read + errors.write + errors.status + errors.timeout))
end
