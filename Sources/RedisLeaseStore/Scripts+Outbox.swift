extension Scripts {
    // limit, claim
    static let dueKills = script(
        repeats: true,
        """
        local found = {}
        local due = call('ZRANGEBYSCORE', P .. 'kills:due', '-inf', text(now), 'LIMIT', 0, number(1))
        for _, sandbox in ipairs(due) do
            local entry = hash(P .. 'kill:' .. sandbox)
            if entry then
                call('ZADD', P .. 'kills:due', text(now + number(2)), sandbox)
                local known = {entry.epoch or '', entry.failure or ''}
                table.insert(found, {sandbox, entry.token, entry.key, entry.reason, entry.attempts, unpack(known)})
            else
                removeKill(sandbox)
                call('ZREM', P .. 'kills:due', sandbox)
                call('ZREM', P .. 'kills:since', sandbox)
            end
        end
        return found
        """
    )

    // sandbox, token, key, reason, epoch
    static let enqueueKill = script(
        """
        condemn(arg(1), arg(2), arg(3), arg(4), 0, arg(5))
        return {}
        """
    )

    // sandbox
    static let confirmKilled = script(
        repeats: true,
        """
        local entry = removeKill(arg(1))
        if not entry then return {'0'} end
        if entry.token ~= '' then free(entry.token) end
        return {'1'}
        """
    )

    // sandbox, failed attempts, delay, why the last one failed
    static let deferKill = script(
        """
        local name = P .. 'kill:' .. arg(1)
        local attempts = call('HGET', name, 'attempts')
        if not attempts then return {} end
        call('HSET', name, 'attempts', text(math.max(tonumber(attempts), number(2))), 'failure', arg(4))
        call('ZADD', P .. 'kills:due', text(now + number(3)), arg(1))
        return {}
        """
    )

    // limit, claim, life of a replica
    static let dueIntents = script(
        repeats: true,
        """
        -- A store that has just begun has not heard of every replica yet.
        local since = tonumber(string.match(INCARNATION, ':(%d+):') or '0')
        if now - since >= number(3) * 1000 then
            for _, owner in ipairs(call('SMEMBERS', P .. 'owners')) do
                if owner ~= OWNER and call('EXISTS', P .. 'replica:' .. owner) == 0 then
                    for _, token in ipairs(call('SMEMBERS', P .. 'creations:' .. owner)) do
                        local at = tonumber(call('ZSCORE', P .. 'intents:due', token) or now)
                        if at > now then call('ZADD', P .. 'intents:due', text(now), token) end
                    end
                    call('DEL', P .. 'creations:' .. owner)
                    call('SREM', P .. 'owners', owner)
                end
            end
        end
        local found = {}
        local due = call('ZRANGEBYSCORE', P .. 'intents:due', '-inf', text(now), 'LIMIT', 0, number(1))
        for _, token in ipairs(due) do
            local open = intent(token)
            if open then
                call('ZADD', P .. 'intents:due', text(now + number(2)), token)
                local held = isReservedBy(holding(open.key), token) and '1' or '0'
                table.insert(found, {token, open.key, open.epoch, text(now - tonumber(open.from)), held})
            else
                call('ZREM', P .. 'intents:due', token)
                call('ZREM', P .. 'intents:since', token)
            end
        end
        return found
        """
    )

    // token
    static let isTaken = script(
        """
        return {text(call('HEXISTS', P .. 'slots', arg(1)))}
        """
    )

    // for each sandbox: id, token, key
    static let unaccounted = script(
        """
        local function holds(key, sandbox) return key and call('HGET', P .. 'lease:' .. key, 'sandbox') == sandbox end
        -- Led by a word, so that no id is taken for another answer.
        local strays = {'strays'}
        for i = 1, #ARGV - 4, 3 do
            local sandbox, token, key = arg(i), arg(i + 1), arg(i + 2)
            local isKnown = call('EXISTS', P .. 'kill:' .. sandbox, P .. 'intent:' .. token) > 0
                -- Leased to whoever holds its slot; or under another slot, to the key that it was made for.
                or holds(call('HGET', P .. 'slots', token), sandbox) or holds(key, sandbox)
            if not isKnown then table.insert(strays, sandbox) end
        end
        return strays
        """
    )

    // duty, term
    static let takeDuty = script(
        """
        local name = P .. 'duty:' .. arg(1)
        local holder = call('GET', name)
        if holder and holder ~= OWNER then return {'0'} end
        call('SET', name, OWNER, 'PX', arg(2))
        return {'1'}
        """
    )

    // token, sandboxes found
    static let resolveIntent = script(
        """
        local token = arg(1)
        local open = closeIntent(token)
        if not open then return {} end
        local h = holding(open.key)
        if isReservedBy(h, token) then drop(open.key, h) end
        local count = #ARGV - 4
        if count == 1 then free(token) end
        for i = 2, count do condemn(arg(i), i == 2 and token or '', open.key, 'orphan', 0, open.epoch) end
        return {}
        """
    )

    // key
    static let account = script(
        """
        local key = arg(1)
        local user = userOf(key)
        local intents, kills = {}, {}
        local function since(name, member) return text(now - tonumber(call('ZSCORE', name, member) or now)) end
        local function add(token, held)
            local open = intent(token)
            if open then table.insert(intents, {token, open.owner, since(P .. 'intents:since', token), held}) end
        end
        local h = holding(key)
        if h and h.kind == 'r' then add(h.token, '1') end
        for token, sandbox in pairs(hash(P .. 'dying:' .. key) or {}) do
            if not isReservedBy(h, token) then add(token, '0') end
            local entry = sandbox ~= '' and hash(P .. 'kill:' .. sandbox)
            if entry then
                local dueAt = tonumber(call('ZSCORE', P .. 'kills:due', sandbox) or now)
                local times = {since(P .. 'kills:since', sandbox), text(math.max(0, dueAt - now))}
                local known = {entry.epoch or '', entry.failure or '', unpack(times)}
                table.insert(kills, {sandbox, entry.token, key, entry.reason, entry.attempts, unpack(known)})
            end
        end
        local taken = call('ZSCORE', P .. 'users', user) or '0'
        return {taken, text(call('SCARD', P .. 'releasing:' .. user)), intents, kills}
        """
    )

    // life of a replica
    static let beat = script(
        """
        call('SET', P .. 'replica:' .. OWNER, '1', 'PX', arg(1))
        local function oldest(name)
            local first = call('ZRANGE', name, 0, 0, 'WITHSCORES')
            return text(first[2] and now - tonumber(first[2]) or 0)
        end
        local users = call('ZREVRANGE', P .. 'users', 0, 1, 'WITHSCORES')
        return {
            text(call('HLEN', P .. 'slots')),
            (users[1] == WARM and users[4] or users[1] ~= WARM and users[2]) or '0',
            text(call('SCARD', P .. 'reserved')),
            text(call('ZCARD', P .. 'leases')),
            text(call('SCARD', P .. 'paused')),
            text(call('ZCARD', P .. 'kills:since')),
            oldest(P .. 'kills:since'),
            text(call('ZCARD', P .. 'intents:since')),
            oldest(P .. 'intents:since'),
            text(call('ZCARD', MEMBERS)),
            text(call('SCARD', P .. 'reserved:warm'))
        }
        """
    )
}
