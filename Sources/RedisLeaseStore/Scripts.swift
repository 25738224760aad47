internal import RedisClient

/// Every transition of the store, each one script: Redis runs it as a whole or not at all.
enum Scripts {
    /// A script of the shared beginning and a text of its own, which returns an array of texts.
    ///
    /// The answer of one that `repeats` is kept for a moment, for a caller that lost it and asks again: running the
    /// text a second time would answer differently.
    static func script(repeats: Bool = false, _ body: String) -> RedisScript {
        let end =
            repeats
            ? """
            local REPLY = P .. 'reply:' .. OPERATION
            local kept = call('GET', REPLY)
            if kept then return cmsgpack.unpack(kept) end
            local answer = body()
            -- Nothing was done: asking again does no harm.
            if #answer == 0 then return answer end
            call('SET', REPLY, cmsgpack.pack(answer), 'PX', 4000)
            return answer
            """
            : "return body()"
        return RedisScript("\(prelude)\nlocal function body()\n\(body)\nend\n\(end)\n")
    }

    /// Gives the store its name if it has none, or if it was restarted or failed over since: then it may be an older
    /// state of itself. Run by every replica, and as the first thing on every connection.
    static let attach = """
        local P, OWNER, RANDOM, LIFE = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
        local info = redis.pcall('INFO', 'server')
        local run = type(info) == 'string' and string.match(info, 'run_id:(%w+)') or ''
        local name = redis.call('GET', P .. 'incarnation')
        local known = name and string.match(name, '^(%w*):')
        -- Whoever may not ask who the server is trusts that it is the same.
        if not name or (run ~= '' and known and known ~= '' and known ~= run) then
            local t = redis.call('TIME')
            name = string.format('%s:%.0f:%s', run, t[1] * 1000000 + t[2], RANDOM)
            redis.call('SET', P .. 'incarnation', name)
        end
        redis.call('SET', P .. 'replica:' .. OWNER, '1', 'PX', LIFE)
        return {name, redis.call('GET', P .. 'complete') == name and '1' or '0'}
        """
}
