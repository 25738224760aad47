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
                table.insert(found, {sandbox, entry.token, entry.key, entry.reason, entry.attempts})
            else
                removeKill(sandbox)
                call('ZREM', P .. 'kills:due', sandbox)
                call('ZREM', P .. 'kills:since', sandbox)
            end
        end
        return found
        """
    )

    // sandbox, token, key, reason
    static let enqueueKill = script(
        """
        condemn(arg(1), arg(2), arg(3), arg(4), 0)
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

    // sandbox, failed attempts, delay
    static let deferKill = script(
        """
        local name = P .. 'kill:' .. arg(1)
        local attempts = call('HGET', name, 'attempts')
        if not attempts then return {} end
        call('HSET', name, 'attempts', text(math.max(tonumber(attempts), number(2))))
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
        for i = 2, count do condemn(arg(i), i == 2 and token or '', open.key, 'orphan', 0) end
        return {}
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
