extension Scripts {
    // key, token, deadline, limit of the user, limit of all, life of a replica
    static let reserve = script(
        """
        local key, token = arg(1), arg(2)
        local user = userOf(key)
        call('SET', P .. 'replica:' .. OWNER, '1', 'PX', arg(6))
        local own = intent(token)
        -- The repetition of a call whose reply was lost; it may have been fenced since.
        if own and own.key == key then return {'reserved', own.epoch} end
        local h = holding(key)
        if h and h.kind == 'l' then return {'leased', record(key, h)} end
        if h then
            local open = intent(h.token)
            if open then
                local dueAt = tonumber(call('ZSCORE', P .. 'intents:due', h.token) or now)
                return {'elsewhere', open.owner, h.token, open.epoch, text(dueAt - now)}
            end
            drop(key, h)
        end
        local taken = tonumber(call('ZSCORE', P .. 'users', user) or '0')
        local releasing = text(call('SCARD', P .. 'releasing:' .. user))
        if taken >= number(4) then return {'limited', 'user', text(taken), releasing} end
        local all = call('HLEN', P .. 'slots')
        -- The next free slot is somebody's whom the total limit refused, not the pool's.
        if all >= number(5) or (isWarm(key) and call('EXISTS', P .. 'wanted') == 1) then
            if not isWarm(key) then call('SET', P .. 'wanted', '1', 'PX', 10000) end
            return {'limited', 'total', text(all), releasing}
        end
        local epoch = nextEpoch(0)
        take(token, key)
        hold(key, token)
        openIntent(token, key, epoch, OWNER, now + number(3))
        return {'reserved', epoch}
        """
    )

    // key, claim, record
    static let commit = script(
        """
        local key, lease = arg(1), given(3)
        local h = holding(key)
        if h and h.kind == 'l' and h.token == lease.token then return {h.epoch} end
        -- The repetition for a pool member that was claimed since: it is somebody's now.
        if hasChangedHands(lease.token, key) then return {lease.epoch} end
        if not isReservedBy(h, lease.token) then
            closeIntent(lease.token)
            condemn(lease.sandbox, lease.token, key, 'fenced', number(2), lease.epoch)
            return {''}
        end
        closeIntent(lease.token)
        keep(key, lease)
        if isWarm(key) then
            call('ZADD', MEMBERS, text(lease.created), key)
            -- That of a life long past is of no use to anybody.
            call('PEXPIRE', MEMBERS, 604800000)
        end
        return {lease.epoch}
        """
    )

    // key, record
    static let adopt = script(
        repeats: true,
        """
        local key, lease = arg(1), given(2)
        -- What is condemned is nobody's lease any more.
        if holding(key) or call('EXISTS', P .. 'kill:' .. lease.sandbox) == 1 then return {''} end
        lease.epoch = nextEpoch(tonumber(lease.epoch))
        take(lease.token, key)
        keep(key, lease)
        return {lease.epoch}
        """
    )

    // key, token
    static let abandon = script(
        """
        local key, token = arg(1), arg(2)
        local h = holding(key)
        if isReservedBy(h, token) then drop(key, h) end
        if closeIntent(token) then free(token) end
        return {}
        """
    )

    // token
    static let detachIntent = script(
        """
        detach(arg(1))
        return {}
        """
    )

    // key
    static let lookup = script(
        """
        local key = arg(1)
        local h = holding(key)
        if h and h.kind == 'l' then return {'lease', record(key, h)} end
        local open = h and intent(h.token)
        if open then
            local dueAt = tonumber(call('ZSCORE', P .. 'intents:due', h.token) or now)
            return {'reservation', open.owner, h.token, open.epoch, text(dueAt - now)}
        end
        local plain = call('GET', 'sandbox:' .. key)
        if plain then return {'unverified', plain} end
        return {'nothing'}
        """
    )

    // key, reason, claim, acknowledgement
    static let release = script(
        repeats: true,
        """
        local key = arg(1)
        local h = holding(key)
        if h and h.kind == 'l' then
            local hearers = condemnLease(key, h, arg(2), number(3), arg(4))
            return {'ended', h.sandbox, h.token, text(hearers), h.epoch}
        end
        if h then
            fence(key, h)
            return {'fenced', h.token}
        end
        local dying = hash(P .. 'dying:' .. key)
        if not dying then return {'nothing'} end
        local name = nil
        -- One that surely lives, before one that may never have been made.
        for token, sandbox in pairs(dying) do
            if not name or (sandbox ~= '' and dying[name] == '') then name = token end
        end
        return {'dying', name}
        """
    )

    // key, epoch, idle for (or nothing), reason, claim
    static let end = script(
        repeats: true,
        """
        local key = arg(1)
        local h = holding(key)
        if not h or h.kind ~= 'l' or h.epoch ~= arg(2) then return {''} end
        if arg(3) ~= '' and now - h.used < number(3) then return {''} end
        condemnLease(key, h, arg(4), number(5))
        return {h.sandbox, h.token}
        """
    )

    // key, epoch
    static let forget = script(
        repeats: true,
        """
        local key = arg(1)
        local h = holding(key)
        if not h or h.kind ~= 'l' or h.epoch ~= arg(2) then return {'0'} end
        drop(key, h)
        free(h.token)
        tell(key, h.epoch)
        return {'1'}
        """
    )

    // key, epoch, remaining
    static let extend = script(
        """
        local key = arg(1)
        local h = holding(key)
        if not h or h.kind ~= 'l' or h.epoch ~= arg(2) then return {'0'} end
        h.expiry = math.max(h.expiry, now + number(3))
        call('HSET', P .. 'lease:' .. key, 'expiry', text(h.expiry))
        writePlain(key, h, false)
        return {'1'}
        """
    )

    // key, epoch, paused, remaining
    static let setPaused = script(
        """
        local key = arg(1)
        local h = holding(key)
        if not h or h.kind ~= 'l' or h.epoch ~= arg(2) then return {'0'} end
        h.paused = arg(3)
        h.expiry = now + number(4)
        call('HSET', P .. 'lease:' .. key, 'paused', h.paused, 'expiry', text(h.expiry))
        call(h.paused == '1' and 'SADD' or 'SREM', P .. 'paused', key)
        arm(key, (due(h)))
        writePlain(key, h, false)
        tell(key, h.epoch)
        return {'1'}
        """
    )

    // key, epoch, age, and so on
    static let touch = script(
        """
        for i = 1, #ARGV - 4, 3 do
            local name = P .. 'lease:' .. arg(i)
            local h = call('HMGET', name, 'kind', 'epoch', 'used')
            local used = now - number(i + 2)
            if h[1] == 'l' and h[2] == arg(i + 1) and used > tonumber(h[3]) then
                call('HSET', name, 'used', text(used))
            end
        end
        return {}
        """
    )

    // limit, how long until one is offered again
    static let dueLeases = script(
        repeats: true,
        """
        local limit, found = number(1), {}
        while #found < limit do
            local keys = call('ZRANGEBYSCORE', P .. 'leases:due', '-inf', text(now), 'LIMIT', 0, limit - #found)
            if #keys == 0 then break end
            for _, key in ipairs(keys) do
                local h = holding(key)
                if not h or h.kind ~= 'l' then
                    call('ZREM', P .. 'leases:due', key)
                else
                    local at, reason = due(h)
                    if at <= now then
                        table.insert(found, {reason, record(key, h)})
                        at = now + number(2)
                    end
                    -- Used or extended meanwhile: its alarm moves only now.
                    arm(key, at)
                end
            end
        end
        return found
        """
    )

    // limit, from, to: ends of a range of keys
    static let list = script(
        """
        local limit = number(1)
        local keys = call('ZRANGEBYLEX', P .. 'leases', arg(2), arg(3), 'LIMIT', 0, limit + 1)
        local found = {}
        for i = 1, math.min(limit, #keys) do
            local h = holding(keys[i])
            if isWarm(keys[i]) and not call('ZSCORE', MEMBERS, keys[i]) then h = nil end
            if h and h.kind == 'l' then table.insert(found, record(keys[i], h)) end
        end
        -- One more lease than asked for exists: so there is another page.
        return {#keys > limit and keys[limit] or '', found}
        """
    )
}
