extension Scripts {
    // key, how members of the template are named, limit of the user, least life, idle timeout
    static let claimWarm = script(
        repeats: true,
        """
        local key, prefix = arg(1), WARM .. ':' .. arg(2)
        if holding(key) then return {'refused'} end
        if tonumber(call('ZSCORE', P .. 'users', userOf(key)) or '0') >= number(3) then return {'refused'} end
        -- The oldest first: so none grows old.
        for _, member in ipairs(call('ZRANGE', MEMBERS, 0, -1)) do
            local h = string.sub(member, 1, #prefix) == prefix and holding(member)
            if h and h.kind == 'l' and h.paused == '0' and h.expiry - now >= number(4) then
                drop(member, h)
                free(h.token)
                take(h.token, key)
                h.epoch = nextEpoch(tonumber(h.epoch))
                h.used, h.timeout = now, number(5)
                keep(key, h)
                return {'claimed', record(key, h)}
            end
        end
        return {'empty'}
        """
    )
}
