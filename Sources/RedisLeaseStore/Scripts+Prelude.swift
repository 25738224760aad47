internal import SandboxCore

extension Scripts {
    /// What all scripts share. Times are microseconds of Redis' own clock: doubles hold them exactly, but print them
    /// only through `text`.
    ///
    /// Keys, all behind the prefix P:
    /// - `lease:<key>`: hash of what the key holds, `kind` `l` (lease) or `r` (reservation).
    /// - `leases`, `leases:due`, `paused`, `reserved`: which keys hold what, and when somebody should look.
    /// - `slots`: token to key; `users`: slots of each user; `releasing:<user>`: those of them on their way out.
    /// - `intent:<token>`, `intents:due`, `intents:since`; `creations:<owner>`, `owners`: who works on which.
    /// - `kill:<sandbox>`, `kills:due`, `kills:since`: the outbox.
    /// - `dying:<key>`: slots of the key that are not free yet, with the sandbox if it is known.
    /// - `warm:<incarnation>`: pool members that these books have seen made, oldest first; `reserved:warm`: those
    ///   being made; `wanted`: the total limit refused somebody lately.
    /// - `replica:<owner>`: who lives; `duty:<duty>`: who does it for all; `epoch`, `incarnation`, `complete`;
    ///   `reply:<operation>`: answers for a moment.
    static let prelude = """
        local P, INCARNATION, OWNER, OPERATION = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
        local call = redis.call
        if INCARNATION == '' or call('GET', P .. 'incarnation') ~= INCARNATION then return {'lost'} end
        local clock = call('TIME')
        local now = clock[1] * 1000000 + clock[2]

        local function arg(i) return ARGV[i + 4] end
        local function number(i) return tonumber(ARGV[i + 4]) end
        local function text(n) return string.format('%.0f', n) end
        local function userOf(key) return string.match(key, '^([^:]*):') end
        -- Members of the warm pool are leases of keys that no caller has.
        local WARM = '\(LeaseKey.warmUser)'
        local MEMBERS = P .. 'warm:' .. INCARNATION
        local function isWarm(key) return userOf(key) == WARM end

        -- Slots ---------------------------------------------------------------------------------------------------

        local function take(token, key)
            if call('HSETNX', P .. 'slots', token, key) == 0 then return false end
            call('ZINCRBY', P .. 'users', 1, userOf(key))
            return true
        end

        local function free(token)
            local key = call('HGET', P .. 'slots', token)
            if not key then return end
            local user = userOf(key)
            call('HDEL', P .. 'slots', token)
            call('HDEL', P .. 'dying:' .. key, token)
            call('SREM', P .. 'releasing:' .. user, token)
            if tonumber(call('ZINCRBY', P .. 'users', -1, user)) <= 0 then call('ZREM', P .. 'users', user) end
        end

        local function markReleasing(token)
            local key = call('HGET', P .. 'slots', token)
            if key then call('SADD', P .. 'releasing:' .. userOf(key), token) end
        end

        -- A number from outside that no clock will show for a hundred years is none of ours; near 2^53 doubles would
        -- stop telling one epoch from the next.
        local function plausible(epoch) return epoch < 4503599627370496 and epoch or 0 end

        local function raiseEpoch(to)
            local last = tonumber(call('GET', P .. 'epoch') or '0')
            if plausible(to) > last then call('SET', P .. 'epoch', text(to)) end
        end

        local function nextEpoch(given)
            local last = tonumber(call('GET', P .. 'epoch') or '0')
            local epoch = math.max(last + 1, plausible(given) + 1, now)
            call('SET', P .. 'epoch', text(epoch))
            return text(epoch)
        end

        -- Holdings ------------------------------------------------------------------------------------------------

        local function hash(name)
            local words = call('HGETALL', name)
            if #words == 0 then return nil end
            local fields = {}
            for i = 1, #words, 2 do fields[words[i]] = words[i + 1] end
            return fields
        end

        local function holding(key)
            local h = hash(P .. 'lease:' .. key)
            if h and h.kind == 'l' then
                for _, name in ipairs({'created', 'used', 'expiry', 'timeout'}) do h[name] = tonumber(h[name]) end
            end
            return h
        end

        -- The record whose 13 fields begin at argument i; durations become instants.
        local function given(i)
            return {
                kind = 'l', token = arg(i), epoch = arg(i + 1), sandbox = arg(i + 2), template = arg(i + 3),
                domain = arg(i + 4), envd = arg(i + 5), traffic = arg(i + 6), wall = arg(i + 7),
                created = now - number(i + 8), used = now - number(i + 9), expiry = now + number(i + 10),
                timeout = number(i + 11), paused = arg(i + 12)
            }
        end

        local function record(key, h)
            return {
                key, h.token, h.epoch, h.sandbox, h.template, h.domain, h.envd, h.traffic, h.wall,
                text(now - h.created), text(now - h.used), text(h.expiry - now), text(h.timeout), h.paused
            }
        end

        -- A paused sandbox is not idle: its owner put it away. Only its own limit ends it.
        local function due(h)
            local idleEnd = h.used + h.timeout
            if h.paused == '1' or h.expiry <= idleEnd then return h.expiry, 'expired' end
            return idleEnd, 'idle'
        end

        local function arm(key, at) call('ZADD', P .. 'leases:due', text(at), key) end

        -- The id as earlier managers wrote it; lives as long as the sandbox.
        local function writePlain(key, h, always)
            if isWarm(key) then return end
            local name = 'sandbox:' .. key
            local present = call('GET', name)
            if present and present ~= h.sandbox and not always then return end
            local life = math.floor((h.expiry - now) / 1000)
            if life >= 1 then
                call('SET', name, h.sandbox, 'PX', text(life))
            elseif present == h.sandbox then
                call('DEL', name)
            end
        end

        local function keep(key, h)
            local name = P .. 'lease:' .. key
            call('DEL', name)
            call('HSET', name, 'kind', 'l', 'token', h.token, 'epoch', h.epoch, 'sandbox', h.sandbox,
                'template', h.template, 'domain', h.domain, 'envd', h.envd, 'traffic', h.traffic, 'wall', h.wall,
                'created', text(h.created), 'used', text(h.used), 'expiry', text(h.expiry),
                'timeout', text(h.timeout), 'paused', h.paused)
            call('SREM', P .. 'reserved', key)
            call('SREM', P .. 'reserved:warm', key)
            call('SREM', P .. 'releasing:' .. userOf(key), h.token)
            call('ZADD', P .. 'leases', 0, key)
            call(h.paused == '1' and 'SADD' or 'SREM', P .. 'paused', key)
            arm(key, (due(h)))
            writePlain(key, h, true)
        end

        local function hold(key, token)
            call('HSET', P .. 'lease:' .. key, 'kind', 'r', 'token', token)
            call('SADD', P .. 'reserved', key)
            if isWarm(key) then call('SADD', P .. 'reserved:warm', key) end
        end

        -- Whatever the key holds; slots and intents stay.
        local function drop(key, h)
            call('DEL', P .. 'lease:' .. key)
            if h.kind == 'r' then
                call('SREM', P .. 'reserved', key)
                call('SREM', P .. 'reserved:warm', key)
                return
            end
            call('ZREM', P .. 'leases', key)
            call('ZREM', P .. 'leases:due', key)
            call('SREM', P .. 'paused', key)
            if isWarm(key) then call('ZREM', MEMBERS, key) end
            -- Only our own: somebody else may have written another sandbox there.
            if call('GET', 'sandbox:' .. key) == h.sandbox then call('DEL', 'sandbox:' .. key) end
        end

        local function isReservedBy(h, token) return h and h.kind == 'r' and h.token == token end

        -- Tells every replica that its copies of the key's leases up to the epoch are over. Returns how many hear it.
        local function tell(key, epoch, acknowledgement)
            local words = {OWNER, acknowledgement or '-', epoch, key}
            return call('PUBLISH', P .. 'endings', table.concat(words, '\\n'))
        end

        -- Intents -------------------------------------------------------------------------------------------------

        local function intent(token) return hash(P .. 'intent:' .. token) end

        local function openIntent(token, key, epoch, owner, dueAt)
            call('HSET', P .. 'intent:' .. token, 'key', key, 'epoch', epoch, 'owner', owner, 'from', text(now))
            call('ZADD', P .. 'intents:since', text(now), token)
            call('ZADD', P .. 'intents:due', text(dueAt), token)
            if owner == '' then return end
            call('SADD', P .. 'creations:' .. owner, token)
            call('SADD', P .. 'owners', owner)
        end

        -- From here on nobody works on the creation.
        local function disown(token, owner)
            call('SREM', P .. 'creations:' .. owner, token)
            if call('SCARD', P .. 'creations:' .. owner) == 0 then call('SREM', P .. 'owners', owner) end
        end

        local function closeIntent(token)
            local open = intent(token)
            if not open then return nil end
            call('DEL', P .. 'intent:' .. token)
            call('ZREM', P .. 'intents:since', token)
            call('ZREM', P .. 'intents:due', token)
            call('HDEL', P .. 'dying:' .. open.key, token)
            disown(token, open.owner)
            return open
        end

        local function detach(token)
            local open = intent(token)
            if not open then return end
            local h = holding(open.key)
            if isReservedBy(h, token) then drop(open.key, h) end
            call('HSET', P .. 'intent:' .. token, 'from', text(now))
            call('ZADD', P .. 'intents:due', text(now), token)
            call('HSET', P .. 'dying:' .. open.key, token, '')
            disown(token, open.owner)
        end

        -- Whether a pool member's slot is another key's by now: somebody has claimed it.
        local function hasChangedHands(token, member)
            if not isWarm(member) then return false end
            local holder = call('HGET', P .. 'slots', token)
            return holder and holder ~= member
        end

        -- A lease comes back that began as a pool member: what older books say of that member is over.
        local function endMembership(token, key)
            local holder = call('HGET', P .. 'slots', token)
            if not holder or holder == key or not isWarm(holder) then return end
            local h = holding(holder)
            if h and h.token == token then drop(holder, h) end
            closeIntent(token)
            free(token)
        end

        local function fence(key, h)
            drop(key, h)
            markReleasing(h.token)
            call('HSET', P .. 'dying:' .. key, h.token, '')
        end

        -- Outbox --------------------------------------------------------------------------------------------------

        local function condemn(sandbox, token, key, reason, claim, epoch)
            local name = P .. 'kill:' .. sandbox
            if key == '' and token ~= '' then key = call('HGET', P .. 'slots', token) or '' end
            local present = call('HGET', name, 'token')
            if not present then
                call('HSET', name, 'token', token, 'key', key, 'reason', reason, 'attempts', 0)
                call('ZADD', P .. 'kills:since', text(now), sandbox)
                call('ZADD', P .. 'kills:due', text(now + claim), sandbox)
                present = token
            elseif present == '' and token ~= '' then
                -- Condemned before, by somebody who knew of no slot: its death must free this one.
                call('HSET', name, 'token', token)
                if call('HGET', name, 'key') == '' then call('HSET', name, 'key', key) end
                present = token
            end
            if epoch and epoch ~= '' then call('HSETNX', name, 'epoch', epoch) end
            if token == '' then return end
            markReleasing(token)
            if present == token and key ~= '' then call('HSET', P .. 'dying:' .. key, token, sandbox) end
        end

        local function condemnLease(key, h, reason, claim, acknowledgement)
            drop(key, h)
            condemn(h.sandbox, h.token, key, reason, claim, h.epoch)
            return tell(key, h.epoch, acknowledgement)
        end

        local function removeKill(sandbox)
            local name = P .. 'kill:' .. sandbox
            local entry = hash(name)
            if not entry then return nil end
            call('DEL', name)
            call('ZREM', P .. 'kills:since', sandbox)
            call('ZREM', P .. 'kills:due', sandbox)
            if entry.token ~= '' and entry.key ~= '' then call('HDEL', P .. 'dying:' .. entry.key, entry.token) end
            return entry
        end

        -- Whether a lease, an open creation or a sandbox not confirmed dead needs the slot.
        local function isJustified(token, key)
            if call('EXISTS', P .. 'intent:' .. token) == 1 then return true end
            local h = holding(key)
            if h and h.kind == 'l' and h.token == token then return true end
            local sandbox = call('HGET', P .. 'dying:' .. key, token)
            return sandbox and sandbox ~= '' and call('HGET', P .. 'kill:' .. sandbox, 'token') == token
        end
        """
}
