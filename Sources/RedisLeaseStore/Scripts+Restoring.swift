extension Scripts {
    // incarnation whose books are complete
    static let markComplete = script(
        """
        -- Whoever asks may have attached anew since the provider was listed.
        if arg(1) ~= INCARNATION then return {'lost'} end
        call('SET', P .. 'complete', INCARNATION)
        return {}
        """
    )

    // key, record
    static let restoreLease = script(
        """
        local key, lease = arg(1), given(2)
        raiseEpoch(tonumber(lease.epoch))
        if hasChangedHands(lease.token, key) then return {lease.epoch} end
        endMembership(lease.token, key)
        local function lose()
            local name = P .. 'kill:' .. lease.sandbox
            local token = call('HGET', name, 'token')
            if not token or token == '' or token == lease.token then
                closeIntent(lease.token)
                take(lease.token, key)
            end
            condemn(lease.sandbox, lease.token, key, 'orphan', 0, lease.epoch)
            tell(key, lease.epoch)
            return {''}
        end
        if call('EXISTS', P .. 'kill:' .. lease.sandbox) == 1 then return lose() end
        local h = holding(key)
        if h and h.kind == 'l' then
            if h.sandbox == lease.sandbox then
                h.expiry = math.max(h.expiry, lease.expiry)
                h.used = math.max(h.used, lease.used)
                call('HSET', P .. 'lease:' .. key, 'expiry', text(h.expiry), 'used', text(h.used))
                take(h.token, key)
                writePlain(key, h, false)
                return {h.epoch}
            end
            if tonumber(h.epoch) >= tonumber(lease.epoch) then return lose() end
            take(h.token, key)
            condemnLease(key, h, 'orphan', 0)
        elseif isReservedBy(h, lease.token) then
            drop(key, h)
        elseif h then
            fence(key, h)
        end
        closeIntent(lease.token)
        take(lease.token, key)
        keep(key, lease)
        return {lease.epoch}
        """
    )

    // key, token, owner, epoch, deadline, held, life of a replica
    static let restoreIntent = script(
        """
        local key, token, owner, isHeld = arg(1), arg(2), arg(3), arg(6) == '1'
        raiseEpoch(number(4))
        if hasChangedHands(token, key) then return {} end
        if owner == OWNER then call('SET', P .. 'replica:' .. owner, '1', 'PX', arg(7)) end
        if intent(token) then
            if not isHeld then detach(token) end
            return {}
        end
        if isJustified(token, key) then return {} end
        take(token, key)
        openIntent(token, key, arg(4), owner, isHeld and now + number(5) or now)
        local h = holding(key)
        if not isHeld then
            detach(token)
        elseif not h then
            hold(key, token)
        else
            -- The creation goes on, but what it makes cannot be leased any more.
            markReleasing(token)
            call('HSET', P .. 'dying:' .. key, token, '')
        end
        return {}
        """
    )

    // sandbox, token, key, reason, epoch, attempts, dead
    static let restoreKill = script(
        """
        local sandbox, token, key = arg(1), arg(2), arg(3)
        local h = key ~= '' and holding(key)
        if h and h.kind == 'l' and h.sandbox == sandbox then
            drop(key, h)
            tell(key, h.epoch)
            token = h.token
        end
        if arg(7) == '1' then
            local entry = removeKill(sandbox)
            for _, name in ipairs({token, entry and entry.token or ''}) do
                local slotKey = name ~= '' and call('HGET', P .. 'slots', name)
                -- A creation of that name whose outcome is open keeps its slot until it is known.
                if slotKey and not isJustified(name, slotKey) then free(name) end
            end
            return {}
        end
        local present = call('HGET', P .. 'kill:' .. sandbox, 'token')
        if token ~= '' and key ~= '' and (not present or present == '' or present == token) then take(token, key) end
        condemn(sandbox, token, key, arg(4), 0, arg(5))
        if not present then call('HSET', P .. 'kill:' .. sandbox, 'attempts', arg(6)) end
        return {}
        """
    )

    // phase, cursor, count
    static let repair = script(
        repeats: true,
        """
        local phase, cursor, count = arg(1), arg(2), number(3)
        local scanned, unjustified, missing = 0, 0, 0
        local function give(token, key)
            if token ~= '' and key ~= '' and take(token, key) then missing = missing + 1 end
        end
        if phase == 'slots' then
            local page = call('HSCAN', P .. 'slots', cursor, 'COUNT', count)
            cursor = page[1]
            for i = 1, #page[2], 2 do
                local token, key = page[2][i], page[2][i + 1]
                scanned = scanned + 1
                if not isJustified(token, key) then
                    unjustified = unjustified + 1
                    openIntent(token, key, nextEpoch(0), '', now)
                    call('HSET', P .. 'dying:' .. key, token, '')
                end
            end
        elseif phase == 'leases' then
            local page = call('ZSCAN', P .. 'leases', cursor, 'COUNT', count)
            cursor = page[1]
            for i = 1, #page[2], 2 do
                local key = page[2][i]
                local h = holding(key)
                if h and h.kind == 'l' then
                    give(h.token, key)
                    if not call('ZSCORE', P .. 'leases:due', key) then arm(key, (due(h))) end
                else
                    call('ZREM', P .. 'leases', key)
                    call('ZREM', P .. 'leases:due', key)
                    call('SREM', P .. 'paused', key)
                end
            end
        elseif phase == 'intents' then
            local page = call('ZSCAN', P .. 'intents:since', cursor, 'COUNT', count)
            cursor = page[1]
            for i = 1, #page[2], 2 do
                local open = intent(page[2][i])
                if open then give(page[2][i], open.key) end
            end
        else
            local page = call('ZSCAN', P .. 'kills:since', cursor, 'COUNT', count)
            cursor = page[1]
            for i = 1, #page[2], 2 do
                local entry = hash(P .. 'kill:' .. page[2][i])
                if entry then
                    give(entry.token, entry.key)
                    if entry.token ~= '' then markReleasing(entry.token) end
                end
            end
        end
        return {cursor, text(scanned), text(unjustified), text(missing)}
        """
    )
}
