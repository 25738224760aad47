#!/usr/bin/env python3
"""Writes dashboards/*.json from the panels below; `--check` only compares, and fails if the files differ.

    scripts/make-dashboards.py [--check] [--folder DIR]

Edit here, run, commit both. Standard library only.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from dashboard_model import (
    Board,
    greatest,
    histogram,
    increase,
    rate,
    selector,
    series,
    stat,
    table,
    total,
)

FOLDER = Path(__file__).resolve().parents[1] / "dashboards"

# The share of acquires that is to succeed, and the failures that are the caller's own affair.
OBJECTIVE = 0.999
CALLER = "invalid_argument|user_limit|rate_limited|stale_epoch|cancelled"
FAILED = f'operation="acquire", result!~"ok|{CALLER}"'
COUNTED = f'operation="acquire", result!~"{CALLER}"'
BUDGET = f"{1 - OBJECTIVE:.3g}"

FAILED_NOW = f"{total('', rate('operations_total', FAILED))} / {total('', rate('operations_total', COUNTED))}"
FAILED_SHOWN = f"{total('', increase('operations_total', FAILED))} / {total('', increase('operations_total', COUNTED))}"
FIRING = selector("ALERTS", 'alertname=~"SandboxManager.+", alertstate="firing"')
SLOTS_IN_USE = selector("slots_in_use", 'scope="total"')
SLOTS_LIMIT = selector("slots_limit", 'scope="total"')
EXCESS = selector("instance:sandbox_manager_user_locks:excess")
PER_ENTRY = "instance:sandbox_manager_malloc_in_use_bytes:per_entry"
CREATES_FAILED = selector("instance:sandbox_manager_creates_failed:increase10m")
CREATES_JUDGED = selector("instance:sandbox_manager_creates_judged:increase10m")
# Sandbox seconds that nobody uses, of those that anybody could: what the warm pool costs was decided with its size.
DEAD = 'use=~"leased_idle|killing"'
PAID = 'use=~"leased_busy|leased_idle|killing"'
BY_USE = total("use", rate("sandbox_seconds_total"))
DEAD_SHARE = " / ".join(total("job", rate("sandbox_seconds_total", uses)) for uses in (DEAD, PAID))
FULLNESS = selector("instance_collection:sandbox_manager_collection_entries:ratio")
BUILD = greatest("job, instance, version, revision", selector("build_info"))


def per_release(metric: str) -> str:
    """The mean of a gauge of all processes that run the same release."""
    joined = f"{selector(metric)} * on (job, instance) group_left (version, revision) {BUILD}"
    return f"avg by (version, revision) ({joined})"


# On two boards: whether it is there, and why it is not.
STORE_MODE = series(
    "Store mode",
    "bool_on_off",
    "Where does the shared truth live?",
    "degraded: the store is away, and the limits hold for each replica alone; bring the store back.",
    (greatest("instance, mode", selector("store_mode")), "{{instance}} {{mode}}"),
    alerts=["SandboxManagerStoreDegraded"],
)

AVAILABILITY = [
    stat(
        "Replicas up",
        "short",
        "How many replicas does Prometheus reach?",
        "Fewer than are deployed: see the runbook of SandboxManagerDown.",
        (total("", selector("up")), "up"),
        alerts=["SandboxManagerDown"],
    ),
    stat(
        "Acquires that succeed",
        "percentunit",
        "Which share of the acquires in the shown range succeeded, the callers' own mistakes left out?",
        "Below 0.999, or 99.9 %: look at the failures by reason.",
        (f"1 - {FAILED_SHOWN}", "succeed"),
        # The other way round: more is better.
        custom={"decimals": 3, "max": 1, "thresholds": {"mode": "absolute", "steps": [
            {"color": "red", "value": None}, {"color": "green", "value": OBJECTIVE},
        ]}},
    ),
    stat(
        "Error budget spent",
        "percentunit",
        "How much of the error budget of the shown range, 0.1 % of its acquires, is spent?",
        "At 1 (100 %) the objective is missed for that range: stop deploying, look at the failures by reason.",
        (f"{FAILED_SHOWN} / {BUDGET}", "spent"),
        lines=[1],
    ),
    stat(
        "Fullest replica",
        "percentunit",
        "Which share of the total limit is taken where it is scarcest?",
        "Near 100 %, acquires are refused with total_limit: find who holds the slots, or raise limits.total.",
        (f"max({SLOTS_IN_USE} / {SLOTS_LIMIT})", "taken"),
    ),
    stat(
        "Firing alerts",
        "short",
        "How many alerts of sandbox-manager fire right now?",
        "From 1 on: read them in Alertmanager; every one links to its runbook.",
        (f"count({FIRING}) or vector(0)", "firing"),
        lines=[1],
    ),
    stat(
        "Ownership mismatches",
        "short",
        "How often, in the shown range, did a sandbox's metadata name another owner than ours?",
        "From 1 on: two managers are at work on one account; compare their environment settings.",
        (total("", increase("ownership_mismatches_total")), "mismatches"),
        lines=[1],
    ),
    table(
        "Builds",
        "Which build runs where?",
        "More than one revision outside a deploy: finish it or roll it back.",
        (greatest("instance, version, revision, swift_version", selector("build_info")), "{{instance}}"),
        alerts=["SandboxManagerRestartingOften"],
    ),
    series(
        "Uptime",
        "s",
        "Since when does each process run?",
        "A fall to 0 that is no deploy is a crash: read the log before it, and memory and descriptors.",
        (f"time() - {selector('process_start_time_seconds')}", "{{instance}}"),
        alerts=["SandboxManagerDown", "SandboxManagerRestartingOften"],
    ),
    series(
        "Scrapes",
        "ops",
        "Do the pages of metrics come out whole, by code?",
        "A 500 is a collector that failed: its reason is in the log; without scrapes all alerts are blind.",
        (total("instance, code", rate("metrics_scrapes_total")), "{{instance}} {{code}}"),
        alerts=["SandboxManagerScrapeFailing"],
    ),
    series(
        "Drill faults",
        "bool_on_off",
        "Is a fault switched on by a drill?",
        "Outside a drill: restart the daemon without --allow-faults.",
        (greatest("instance, fault", selector("fault_injection_active")), "{{instance}} {{fault}}"),
        alerts=["SandboxManagerFaultInjectionActive"],
    ),
    STORE_MODE,
    series(
        "Processor time",
        "short",
        "How many cores does each process use?",
        "At the limit of its machine everything slows down alike: add replicas, or see which route grew.",
        (rate("process_cpu_seconds_total"), "{{instance}}"),
    ),
]

HTTP = [
    series(
        "HTTP: requests by route",
        "reqps",
        "Who asks for what?",
        "A jump is a client's doing: compare with the deploys of the clients.",
        (total("route", rate("http_requests_total")), "{{route}}"),
        stacked=True,
    ),
    series(
        "HTTP: requests by status",
        "reqps",
        "How are requests answered?",
        "4xx is for the client to mend; 5xx: look at the failures by reason below.",
        (total("code", rate("http_requests_total")), "{{code}}"),
        stacked=True,
    ),
    series(
        "HTTP: open requests and connections",
        "short",
        "Do requests pile up?",
        "Requests near the limit are soon refused as overloaded: find the slow phase or provider call below.",
        (total("instance", selector("http_requests_in_flight")), "{{instance}} requests"),
        (total("instance", selector("http_connections")), "{{instance}} connections"),
        (
            greatest("instance", selector("collection_limit_entries", 'collection="http_exchanges"')),
            "{{instance}} limit of requests",
        ),
        symlog=True,
        alerts=["SandboxManagerFileDescriptorsLow"],
    ),
    *histogram(
        "HTTP: latency",
        "http_request_duration_seconds",
        "How long do clients wait?",
        "Compare with the operations: only HTTP slow is a saturated process, both slow is the provider.",
        by="route",
    ),
]

OPERATIONS = [
    series(
        "Operations: rate",
        "ops",
        "What is the manager doing, loops and detached creates included?",
        "No acquires although clients ask: look at HTTP by status.",
        (total("operation", rate("operations_total")), "{{operation}}"),
        stacked=True,
    ),
    series(
        "Operations: failures by reason",
        "ops",
        "What fails, and why?",
        "The reason is the code in the problem document; provider_… and health_check_… are explained further down.",
        (total("operation, result", rate("operations_total", 'result!="ok"')) + " > 0", "{{operation}} {{result}}"),
        alerts=[
            "SandboxManagerCreateFailures",
            "SandboxManagerAcquireErrorBudgetFastBurn",
            "SandboxManagerAcquireErrorBudgetSlowBurn",
        ],
    ),
    series(
        "Operations: in flight",
        "short",
        "How many operations are under way?",
        "Growth without more traffic is something that hangs: see the oldest waiter on the board of leaks.",
        (total("operation", selector("operations_in_flight")), "{{operation}}"),
        stacked=True,
    ),
    *histogram(
        "Operations: duration",
        "operation_duration_seconds",
        "How long do operations take, failures included?",
        "If acquire is slow, its phases below say where the time goes.",
        by="operation",
        alerts=["SandboxManagerAcquireLatencyBudgetBurn"],
    ),
]

SERVICE_LEVEL = [
    series(
        "Acquire: error ratio",
        "percentunit",
        "Which share of the acquires fails by our fault?",
        "The lines: the objective, and what burns a month's budget in two days. See the failures by reason.",
        (FAILED_NOW, "failed"),
        alerts=["SandboxManagerAcquireErrorBudgetFastBurn", "SandboxManagerAcquireErrorBudgetSlowBurn"],
        lines=[0.001, 0.0144],
        width=12,
    ),
    series(
        "Acquire: error budget burn",
        "short",
        "How many times faster than allowed is the error budget being spent?",
        "1 spends it exactly; 14.4, held for an hour, spends 2 % of a month's budget and is worth waking up for.",
        (f"{FAILED_NOW} / {BUDGET}", "burn rate"),
        lines=[1, 14.4],
        width=12,
    ),
]

CAPACITY = [
    series(
        "Slots in use against the limit",
        "short",
        "How much room is left for sandboxes?",
        "At the limit acquires are refused: end idle leases sooner (lease.idleTimeoutSeconds), raise limits.total.",
        (greatest("instance", SLOTS_IN_USE), "{{instance}} in use"),
        (greatest("instance", SLOTS_LIMIT), "{{instance}} limit"),
        alerts=["SandboxManagerProviderRateLimited", "SandboxManagerTotalSlotsNearlyExhausted"],
    ),
    series(
        "Fullest user against the limit",
        "short",
        "Does any one user stand at the limit?",
        "One that always does may leak sandboxes: /v1/sandboxes lists who holds what.",
        (greatest("instance", selector("user_slots_max")), "{{instance}} most of a user"),
        (greatest("instance", selector("slots_limit", 'scope="user"')), "{{instance}} limit"),
    ),
    series(
        "Acquires refused by a limit",
        "ops",
        "Who runs into which limit?",
        "scope user is one caller's affair; scope total hurts everybody: make room.",
        (total("scope", rate("limit_rejections_total")), "{{scope}}"),
    ),
]

ACQUIRE = [
    series(
        "Acquire: source",
        "ops",
        "Where do sandboxes come from?",
        "memory and verified are cheap, created costs a boot: more of it means that leases end too early.",
        (total("source", rate("acquires_total")), "{{source}}"),
        alerts=["SandboxManagerAcquireLatencyBudgetBurn"],
        stacked=True,
    ),
    series(
        "Acquire: memory lookups",
        "ops",
        "Does memory know the leases that are asked for?",
        "Misses after a restart are normal; lasting ones are new users, or requests that change replicas.",
        (total("result", rate("cache_lookups_total")), "{{result}}"),
        stacked=True,
    ),
    *histogram(
        "Phases",
        "acquire_phase_duration_seconds",
        "Where does the time of an acquire go?",
        "create and connect wait for the provider, health_check for a sandbox, lock_wait for a call of the same key.",
        by="phase",
        alerts=["SandboxManagerHealthCheckTimeouts", "SandboxManagerAcquireLatencyBudgetBurn"],
    ),
    series(
        "Creates: share that fails",
        "percentunit",
        "Which share of the creates of the last ten minutes failed, refusals by our own limits left out?",
        "The line is the alert's threshold. The failures by reason say why.",
        (f"{CREATES_FAILED} / {CREATES_JUDGED}", "{{instance}}"),
        alerts=["SandboxManagerCreateFailures"],
        lines=[0.1],
    ),
]

LEASES = [
    series(
        "Leases by state",
        "short",
        "How many sandboxes do we pay for? Replicas of one store all say the same.",
        "Growth without more users: look at why leases end, and whether the reaper runs.",
        (greatest("job, state", selector("leases")), "{{job}} {{state}}"),
        alerts=["SandboxManagerIdleSpendHigh"],
        stacked=True,
    ),
    series(
        "Sandboxes by use",
        "short",
        "What are the sandboxes that we pay for used for?",
        "Mostly leased_idle: clients do not release; killing: see the kill outbox. Counted while reconciling.",
        (BY_USE, "{{use}}"),
        alerts=["SandboxManagerIdleSpendHigh"],
        stacked=True,
    ),
    series(
        "Share of dead time",
        "percentunit",
        "Which share of the time that we pay for is used by nobody?",
        "Leased and not asked for since a minute, or waiting to be killed; the warm pool is left out. Above the line: "
        "shorten idle timeouts, or see the kill outbox.",
        (DEAD_SHARE, "{{job}}"),
        alerts=["SandboxManagerIdleSpendHigh"],
        lines=[0.9],
    ),
    series(
        "Leases: ended by reason",
        "ops",
        "Why do leases end?",
        "gone and unhealthy are the provider's doing; only idle, never released, are clients that do not release.",
        (total("reason", rate("leases_ended_total")), "{{reason}}"),
        alerts=["SandboxManagerIdleSpendHigh"],
        stacked=True,
    ),
    series(
        "Sandboxes: created and killed",
        "ops",
        "How fast do we buy and end sandboxes?",
        "More created than killed for long is growth or a leak of sandboxes: compare with the leases.",
        (total("origin", rate("sandboxes_created_total")), "created for {{origin}}"),
        (total("reason", rate("sandboxes_killed_total")), "killed: {{reason}}"),
    ),
    *histogram(
        "Leases: lifetime",
        "lease_duration_seconds",
        "How long do leases live?",
        "Many that live seconds pay a boot for nothing; all that live to the end are never released.",
    ),
]

UNRESOLVED = [
    series(
        "Kill outbox: entries",
        "short",
        "How many sandboxes must die and are not confirmed dead?",
        "A queue that does not shrink is kills that fail: the provider's requests by result say how.",
        (total("instance", selector("kill_outbox_entries")), "{{instance}}"),
        alerts=["SandboxManagerKillBacklogOld"],
    ),
    series(
        "Kill outbox: oldest entry",
        "s",
        "How long has the oldest of them been waiting?",
        "The line is the alert's threshold. Until it is confirmed dead it is paid for and keeps its slot.",
        (greatest("instance", selector("kill_outbox_oldest_age_seconds")), "{{instance}}"),
        alerts=["SandboxManagerKillBacklogOld"],
        lines=[600],
    ),
    series(
        "Create intents",
        "short",
        "How many creates have an open outcome?",
        "One for each create under way is normal; more are lost replies that list requests have to resolve.",
        (total("instance", selector("create_intents")), "{{instance}}"),
        alerts=["SandboxManagerCreatesUnresolved"],
    ),
    series(
        "Create intents: oldest",
        "s",
        "How long has the oldest create been open?",
        "The line is the alert's threshold. See whether list requests to the provider succeed.",
        (greatest("instance", selector("create_intent_oldest_age_seconds")), "{{instance}}"),
        alerts=["SandboxManagerCreatesUnresolved"],
        lines=[600],
    ),
    series(
        "Creates with unknown outcome",
        "ops",
        "How were lost replies of creates resolved?",
        "Each adopted or killed one is a sandbox that would have been lost: look at the create timeouts.",
        (total("resolution", rate("creates_ambiguous_total")), "{{resolution}}"),
        alerts=["SandboxManagerCreatesUnresolved"],
    ),
]

PROVIDER = [
    series(
        "Provider: requests by operation",
        "reqps",
        "What do we ask of the provider?",
        "Growth beyond the acquires is retries or probes: see their panels.",
        (total("operation", rate("provider_requests_total")), "{{operation}}"),
        stacked=True,
    ),
    series(
        "Provider: requests by result",
        "reqps",
        "Is the provider well?",
        "http_401: the key; http_429: our pace or quota; timed_out, http_5xx, reset: their status page.",
        (total("result", rate("provider_requests_total")) + " > 0", "{{result}}"),
        alerts=[
            "SandboxManagerKillBacklogOld",
            "SandboxManagerBreakerOpen",
            "SandboxManagerProviderRateLimited",
            "SandboxManagerProviderUnauthorized",
        ],
    ),
    series(
        "Provider: failures by operation",
        "reqps",
        "Which requests fail?",
        "Only kill: sandboxes pile up in the outbox. Only create: users wait. All: the way there.",
        (
            total("operation, result", rate("provider_requests_total", 'result!="ok"')) + " > 0",
            "{{operation}} {{result}}",
        ),
        alerts=[
            "SandboxManagerBreakerOpen",
            "SandboxManagerRetryStorm",
            "SandboxManagerRetriesExhausted",
            "SandboxManagerCreateFailures",
            "SandboxManagerProviderUnauthorized",
        ],
    ),
    *histogram(
        "Provider: latency",
        "provider_request_duration_seconds",
        "How fast does the provider answer?",
        "A p99 at one of our time limits means requests that would have taken longer still.",
        by="operation",
    ),
]

RETRIES = [
    series(
        "Retries by reason",
        "ops",
        "How much do we ask again?",
        "Retries that grow with the failures are a storm in the making: they must stay a fraction of the requests.",
        (total("operation, reason", rate("retries_total")) + " > 0", "{{operation}} {{reason}}"),
        alerts=["SandboxManagerRetryStorm"],
    ),
    series(
        "Retries exhausted",
        "ops",
        "What failed in spite of all retries?",
        "Those callers got an error: the provider's failures by operation say which.",
        (total("operation", rate("retries_exhausted_total")), "{{operation}}"),
        alerts=["SandboxManagerRetriesExhausted"],
    ),
]

RETRY_LIMITS = [
    series(
        "Retries: share of the requests",
        "percentunit",
        "Which share of the requests to the provider repeats one that failed?",
        "The line is the alert's threshold. Creates alone stay below one in ten: what is above that is kills.",
        (selector("instance:sandbox_manager_retries:ratio_rate5m"), "{{instance}}"),
        alerts=["SandboxManagerRetryStorm"],
        lines=[0.2],
    ),
    series(
        "Retry budget",
        "short",
        "How many creates may be retried right now?",
        "At 0 failures reach the users at once; every ten creates make room for one more retry.",
        (greatest("instance", selector("retry_budget")), "{{instance}}"),
        alerts=["SandboxManagerRetriesExhausted"],
    ),
]

BREAKERS = [
    series(
        "Breaker state",
        "bool_on_off",
        "Do the upstreams get calls?",
        "open: the provider fails or is slow, see its row; the store's is open while it is away. half_open: a trial.",
        (greatest("instance, upstream, state", selector("breaker_state")), "{{instance}} {{upstream}} {{state}}"),
        alerts=["SandboxManagerBreakerOpen"],
    ),
    series(
        "Breaker: changes",
        "ops",
        "How often does a breaker change?",
        "open and half_open in turns is an upstream that stays down; closed among them is one that comes and goes.",
        (total("upstream, to", rate("breaker_transitions_total")), "{{upstream}} to {{to}}"),
        alerts=["SandboxManagerBreakerOpen"],
    ),
    series(
        "Breaker: calls refused",
        "ops",
        "How many calls fail at once because a breaker is open?",
        "These are errors that users see as breaker_open, or for the store as store_unavailable.",
        (total("upstream", rate("breaker_rejections_total")), "{{upstream}}"),
        alerts=["SandboxManagerBreakerOpen"],
    ),
]

CREATION_RATE = [
    series(
        "Creations refused for their rate",
        "ops",
        "Who creates too fast?",
        "user: our limit for one user, rate.createsPerUserPerMinute. global: the provider asked us to wait.",
        (total("scope", rate("rate_limited_total")), "{{scope}}"),
        alerts=["SandboxManagerProviderRateLimited"],
        width=12,
    ),
    series(
        "Provider: refusals by a limit",
        "reqps",
        "Which of the provider's limits do we run into?",
        "concurrency: the account runs too many sandboxes. rate: we ask too often.",
        (
            total("operation, result", rate("provider_requests_total", 'result=~"http_429_concurrency|http_429_rate"')),
            "{{operation}} {{result}}",
        ),
        alerts=["SandboxManagerProviderRateLimited"],
        width=12,
    ),
]

HEALTH_CHECKS = [
    series(
        "Health checks by result",
        "ops",
        "How do sandboxes answer?",
        "timed_out everywhere is the network; gone is sandboxes that ended early: compare with the lifetimes.",
        (total("result", rate("health_checks_total")), "{{result}}"),
        alerts=["SandboxManagerHealthCheckTimeouts"],
    ),
    series(
        "Health checks: share timed out",
        "percentunit",
        "Which share of the health checks of the last ten minutes timed out?",
        "The line is the alert's threshold. See whether all sandboxes are slow or one user's.",
        (selector("instance:sandbox_manager_health_checks_timed_out:ratio_rate10m"), "{{instance}}"),
        alerts=["SandboxManagerHealthCheckTimeouts"],
        lines=[0.1],
    ),
    series(
        "Health checks saved",
        "ops",
        "How many acquires needed no health check, and why?",
        "fresh is the hot path; breaker_open means that nobody is asked while the provider recovers.",
        (total("reason", rate("health_checks_skipped_total")), "{{reason}}"),
    ),
    *histogram(
        "Health checks: duration",
        "health_check_duration_seconds",
        "How long do sandboxes take to answer?",
        "An acquire of an idle lease waits for this; near health.timeoutSeconds they are about to fail.",
        alerts=["SandboxManagerHealthCheckTimeouts"],
        width=12,
    ),
]

FAILED_COMMANDS = selector("instance:sandbox_manager_redis_commands_failed:ratio_rate5m")
STORE = [
    STORE_MODE,
    series(
        "Redis: commands",
        "ops",
        "What do we ask of Redis?",
        "Growth beyond the operations is retries: see theirs. Nothing at all without Redis, or while it is away.",
        (total("command", rate("redis_commands_total")), "{{command}}"),
        stacked=True,
    ),
    series(
        "Redis: commands by result",
        "ops",
        "Is Redis well?",
        "timed_out: it is slow; refused, reset: it is gone; readonly: a replica; other: its reply is in the log.",
        (total("result", rate("redis_commands_total")) + " > 0", "{{result}}"),
        alerts=["SandboxManagerStoreDegraded", "SandboxManagerRedisErrors"],
    ),
    series(
        "Redis: share of failed commands",
        "percentunit",
        "Which share of the commands of the last five minutes failed?",
        "The line is the alert's threshold. The commands by result tell how they fail.",
        (FAILED_COMMANDS, "{{instance}}"),
        alerts=["SandboxManagerRedisErrors"],
        lines=[0.05],
    ),
    series(
        "Redis: connections",
        "short",
        "Has every replica its connections to Redis?",
        "connecting for more than a moment is a Redis that is away, or refuses us: the reconnects say which.",
        (total("instance, state", selector("redis_connections")), "{{instance}} {{state}}"),
        alerts=["SandboxManagerStoreDegraded"],
    ),
    series(
        "Redis: reconnects",
        "ops",
        "How often is a connection made again?",
        "failed again and again: Redis is away. ok again and again: something ends connections, mostly a proxy.",
        (total("instance, result", rate("redis_reconnects_total")), "{{instance}} {{result}}"),
        alerts=["SandboxManagerStoreDegraded", "SandboxManagerRedisErrors"],
    ),
    series(
        "Store retries",
        "ops",
        "How many commands are sent once more, and how many of those fail again?",
        "Those that fail again reach callers as store_unavailable, or degrade the store.",
        (total("reason", rate("retries_total", 'operation="store"')), "{{reason}}"),
        (total("", rate("retries_exhausted_total", 'operation="store"')), "failed again"),
        alerts=["SandboxManagerRedisErrors"],
    ),
    *histogram(
        "Redis",
        "redis_command_duration_seconds",
        "How fast does Redis answer?",
        "evalsha alone slow is a script over many keys; all slow is Redis or the network: ask its SLOWLOG.",
        by="command",
        alerts=["SandboxManagerRedisErrors"],
    ),
]

LAST_SUCCESS = selector("loop_last_success_timestamp_seconds")
INTERVAL = selector("loop_interval_seconds")
LOOPS = [
    series(
        "Loops: time since last success",
        "s",
        "Are the background loops alive?",
        "Above its limit a loop hangs or fails every time: the rounds by result tell which.",
        (greatest("instance, loop", f"(time() - {LAST_SUCCESS}) and {INTERVAL} > 0"), "{{instance}} {{loop}}"),
        (greatest("loop", f"3 * ({INTERVAL} > 0) + 60"), "limit of {{loop}}"),
        symlog=True,
        alerts=["SandboxManagerLoopStalled"],
    ),
    series(
        "Loops: rounds by result",
        "ops",
        "Do rounds succeed?",
        "failed: the log names the reason; partial: some items failed, see below; nothing at all: it hangs.",
        (total("loop, result", rate("loop_runs_total")) + " > 0", "{{loop}} {{result}}"),
        alerts=["SandboxManagerLoopStalled"],
    ),
    series(
        "Loops: items by outcome",
        "ops",
        "How much work do the loops find?",
        "Scanned that grows while acted does not is work that cannot be done: failed says so.",
        (total("loop, outcome", rate("loop_items_total")) + " > 0", "{{loop}} {{outcome}}"),
    ),
    *histogram(
        "Loops: duration of rounds",
        "loop_duration_seconds",
        "How long do rounds take?",
        "A round longer than its interval falls behind: look at the provider's latency.",
        by="loop",
        alerts=["SandboxManagerLoopStalled"],
    ),
]

LOCKS_BY_INSTANCE = total("instance", selector("user_locks"))
IN_FLIGHT_BY_INSTANCE = total("instance", selector("operations_in_flight"))
USER_LOCKS = [
    series(
        "User locks against operations in flight",
        "short",
        "Has every user lock an operation that is entitled to it?",
        "Locks above operations are a leak: follow the runbook, and see which deploy began it.",
        (LOCKS_BY_INSTANCE, "{{instance}} user locks"),
        (IN_FLIGHT_BY_INSTANCE, "{{instance}} operations in flight"),
        alerts=["SandboxManagerUserLocksUnbounded"],
        width=12,
    ),
    series(
        "Excess user locks",
        "short",
        "How many user locks is nobody entitled to?",
        "0 or less is health. Ten minutes above the line raise the alert.",
        (EXCESS, "{{instance}} excess"),
        alerts=["SandboxManagerUserLocksUnbounded"],
        lines=[10],
        width=12,
        custom={"min": None},
    ),
    series(
        "Low-water mark of excess user locks",
        "short",
        "Does the quietest moment of the day creep up?",
        "Look at seven days: a staircase is a rare path, a ramp follows traffic. The line is half of the alert.",
        (f"min_over_time({EXCESS}[1d])", "{{instance}} floor of the last day"),
        alerts=["SandboxManagerUserLocksCreeping"],
        lines=[25],
        custom={"min": None},
    ),
    series(
        "Rise of the low-water mark in a day",
        "short",
        "By how much is the floor higher than a day before?",
        "Above the line, and the floor high, is a slow leak: find the release in the annotations.",
        (f"min_over_time({EXCESS}[1d]) - min_over_time({EXCESS}[1d] offset 1d)", "{{instance}} rise"),
        alerts=["SandboxManagerUserLocksCreeping"],
        lines=[50],
        custom={"min": None},
    ),
    series(
        "User locks by state",
        "short",
        "Are there locks that nobody holds or waits for?",
        "idle above 0 for more than a moment is a leak, held that never falls too.",
        (total("instance, state", selector("user_locks")), "{{instance}} {{state}}"),
        alerts=["SandboxManagerUserLockForgotten"],
    ),
    series(
        "User locks: created and removed",
        "ops",
        "Is every lock that comes into being removed?",
        "Two lines that stay apart are the pace of a leak.",
        (total("instance", rate("user_locks_created_total")), "{{instance}} created"),
        (total("instance", rate("user_locks_removed_total")), "{{instance}} removed"),
    ),
    series(
        "Oldest idle user lock",
        "s",
        "How long has a lock lain about that nobody holds or waits for?",
        "The line is the alert's threshold; one such lock of any age is a leak.",
        (greatest("instance", selector("user_lock_idle_oldest_age_seconds")), "{{instance}}"),
        alerts=["SandboxManagerUserLockForgotten"],
        lines=[60],
    ),
    series(
        "Oldest holder and oldest waiter",
        "s",
        "Does somebody hold a lock too long, or wait too long?",
        "The lines are the alerts' thresholds for a waiter, 120, and a holder, 300: what is above hangs.",
        (greatest("instance", selector("user_lock_oldest_hold_seconds")), "{{instance}} holder"),
        (greatest("instance", selector("user_lock_oldest_wait_seconds")), "{{instance}} waiter"),
        alerts=["SandboxManagerOldestWaiterTooOld", "SandboxManagerUserLockHeldTooLong"],
        lines=[120, 300],
    ),
    series(
        "Waiters",
        "short",
        "How many calls queue for a user's lock?",
        "Many waiters of few users are clients that ask in parallel: they share one outcome, no harm by itself.",
        (total("instance", selector("user_lock_waiters")), "{{instance}}"),
        alerts=["SandboxManagerOldestWaiterTooOld"],
    ),
    series(
        "Waits given up",
        "ops",
        "How many calls gave up waiting for a lock?",
        "Those callers got deadline_exceeded: look at the oldest holder.",
        (total("instance", rate("user_lock_timeouts_total")), "{{instance}}"),
    ),
    *histogram(
        "Lock wait",
        "user_lock_wait_seconds",
        "How long do calls wait for a lock?",
        "Waits as long as creates are calls that joined one; longer ones queue behind something that hangs.",
    ),
    *histogram(
        "Lock hold",
        "user_lock_hold_seconds",
        "How long are locks held?",
        "A hold is one flight: compare with the phases of the acquire.",
    ),
]

# What has no limit is exempt from it: a limit of 0 is a collection that is not in use.
ENTRIES = selector("collection_entries")
LIMIT = selector("collection_limit_entries")
COLLECTIONS = [
    series(
        "Collections: entries",
        "short",
        "How big is every keyed collection in memory, and how big may it be?",
        "One that grows while traffic does not is the leak; compare with its limit.",
        (total("instance, collection", ENTRIES), "{{instance}} {{collection}}"),
        (greatest("collection", f"{LIMIT} > 0"), "limit of {{collection}}"),
        symlog=True,
        alerts=["SandboxManagerCollectionStale"],
        width=12,
    ),
    series(
        "Collections: share of limit",
        "percentunit",
        "How full are the collections whose bound is a danger sign?",
        "Above the line entries are soon evicted or requests refused: find what fills it.",
        (FULLNESS, "{{instance}} {{collection}}"),
        alerts=["SandboxManagerCollectionNearLimit"],
        lines=[0.85],
        width=12,
    ),
    series(
        "Collections: oldest entry against its limit",
        "s",
        "Does a collection keep entries past their time?",
        "Above twice its limit and a minute (drawn) its clean-up does not run or does not see the entry.",
        (
            greatest("instance, collection", selector("collection_oldest_idle_seconds")),
            "{{instance}} {{collection}}",
        ),
        (
            greatest("collection", f"2 * {selector('collection_idle_limit_seconds')} + 60"),
            "threshold of {{collection}}",
        ),
        symlog=True,
        alerts=["SandboxManagerCollectionStale"],
        width=12,
    ),
    series(
        "Collections: evictions",
        "ops",
        "Do the bounds bite?",
        "capacity pushes out what was still wanted: raise the bound or find what fills it; ttl is normal.",
        (
            total("collection, reason", rate("collection_evictions_total")),
            "{{collection}} {{reason}}",
        ),
        alerts=["SandboxManagerCollectionNearLimit"],
        width=12,
    ),
]

MEMORY = [
    series(
        "Heap in use, held and resident",
        "bytes",
        "What grows: live memory, fragmentation, or something outside the heap?",
        "in use: a leak, see the collections. Held alone: fragmentation. Resident alone: stacks, mappings, a library.",
        (greatest("instance", selector("malloc_in_use_bytes")), "{{instance}} heap in use"),
        (greatest("instance", selector("malloc_held_bytes")), "{{instance}} heap held"),
        (greatest("instance", selector("process_resident_memory_bytes")), "{{instance}} resident"),
        alerts=["SandboxManagerHeapBeyondBudget", "SandboxManagerRestartingOften"],
        width=12,
    ),
    series(
        "Heap in use per entry",
        "bytes",
        "Do the counted entries explain the heap?",
        "A ratio that climbs at steady traffic is memory that no collection counts: a leak outside of them.",
        (
            f"{greatest('instance', selector('malloc_in_use_bytes'))}"
            f" / clamp_min({total('instance', ENTRIES)}, 1)",
            "{{instance}}",
        ),
        width=12,
    ),
    series(
        "Heap in use by release",
        "bytes",
        "Does this release need more memory than the one before?",
        "Compare after the same uptime: a step at a deploy is that release's doing.",
        (per_release("malloc_in_use_bytes"), "{{version}} {{revision}}"),
        alerts=["SandboxManagerHeapBeyondBudget", "SandboxManagerMemoryRegressionAfterRelease"],
    ),
    series(
        "Heap per entry by release",
        "bytes",
        "Does an entry need more memory in this release than in the one before?",
        "Half as much again, for six hours, raises the alert: a step is a price, a ramp is a leak.",
        (per_release(PER_ENTRY), "{{version}} {{revision}}"),
        alerts=["SandboxManagerMemoryRegressionAfterRelease"],
    ),
    series(
        "Heap beyond what explains it",
        "bytes",
        "Is there live memory that no collection and no connection explains?",
        "Below 0 is health. Two hours above the line raise the alert: a leak outside of the collections.",
        (selector("instance:sandbox_manager_malloc_in_use_bytes:excess"), "{{instance}}"),
        alerts=["SandboxManagerHeapBeyondBudget"],
        lines=[0],
        custom={"min": None},
    ),
    series(
        "Resident memory by release",
        "bytes",
        "Is the machine's memory enough for this release?",
        "Near the limit of its cgroup the kernel kills the process: raise it, or go back.",
        (per_release("process_resident_memory_bytes"), "{{version}} {{revision}}"),
    ),
    series(
        "Virtual memory",
        "bytes",
        "Does address space grow?",
        "Virtual alone is threads or mappings: see the threads.",
        (greatest("instance", selector("process_virtual_memory_bytes")), "{{instance}}"),
    ),
]

PROCESS = [
    series(
        "File descriptors against the limit",
        "short",
        "Do descriptors leak?",
        "They should follow connections; at the limit nothing can be opened, not even the log.",
        (greatest("instance", selector("process_open_fds")), "{{instance}} open"),
        (greatest("instance", selector("process_max_fds")), "{{instance}} limit"),
        symlog=True,
        alerts=["SandboxManagerFileDescriptorsLow", "SandboxManagerRestartingOften"],
        width=12,
    ),
    series(
        "Threads",
        "short",
        "Do threads grow?",
        "The number is fixed at the start and by the number of cores: growth is blocking calls.",
        (greatest("instance", selector("process_threads")), "{{instance}}"),
        width=12,
    ),
]

# The books are those of the store: replicas that share one all say the same, and a sum would count each sandbox twice.
BOOKS = [
    series(
        "Books and provider",
        "short",
        "Does the provider run what the books say?",
        "Lines that stay apart for more than a round of the reconciler are drift: read it by kind.",
        (total("instance", selector("ledger_sandboxes")), "{{instance}} in the books"),
        (total("instance", selector("provider_sandboxes")), "{{instance}} at the provider, when last listed"),
        alerts=["SandboxManagerProviderDrift"],
    ),
    series(
        "Books against provider: excess",
        "short",
        "How much does one side have that the other does not know of?",
        "Twenty minutes above the line raise the alert; a moment above it is a listing that is minutes old.",
        (selector("instance:sandbox_manager_provider_sandboxes:excess"), "{{instance}} only at the provider"),
        (selector("instance:sandbox_manager_ledger_sandboxes:excess"), "{{instance}} only in the books"),
        alerts=["SandboxManagerProviderDrift"],
        lines=[5],
        custom={"min": None},
    ),
    series(
        "Drift by kind",
        "short",
        "What did the reconciler find wrong in its last round?",
        "untracked is paid for and nobody's, missing is promised and gone, store_only is slots that nobody needs.",
        (greatest("instance, kind", selector("ledger_drift")), "{{instance}} {{kind}}"),
        alerts=["SandboxManagerProviderDrift", "SandboxManagerOrphansFound"],
    ),
    series(
        "Sandboxes in the books",
        "short",
        "What do we keep sandboxes for?",
        "killing or creating that grows is the provider's doing; leased that grows without more users is idle leases.",
        (greatest("job, account", selector("ledger_sandboxes")), "{{job}} {{account}}"),
        alerts=["SandboxManagerTotalSlotsNearlyExhausted"],
        stacked=True,
    ),
    series(
        "Sandboxes at the provider",
        "short",
        "What did the provider run of ours when it was last listed?",
        "All zeros with leases in the books: nothing has listed it yet, see the rounds of the reconciler.",
        (greatest("job, state", selector("provider_sandboxes")), "{{job}} {{state}}"),
        stacked=True,
    ),
    series(
        "Orphans by action",
        "ops",
        "Does the reconciler find sandboxes that are in nobody's books?",
        "killed: something made them and lost them. adopted found their lease again. observed: it may only watch.",
        (total("instance, action", rate("orphans_total")), "{{instance}} {{action}}"),
        alerts=["SandboxManagerOrphansFound"],
    ),
    series(
        "Ownership mismatches",
        "ops",
        "Does a sandbox carry the labels of another owner?",
        "Never in health: treat it as a security incident, and follow the runbook.",
        (total("instance", rate("ownership_mismatches_total")), "{{instance}}"),
        alerts=["SandboxManagerOwnershipMismatch"],
    ),
    series(
        "What the bill is made of",
        "percentunit",
        "Which share of the time that we pay for goes into what?",
        "leased_idle was not used for a minute: shorter idle timeouts make it less. killing: see the outbox. The "
        "numbers are under Leases.",
        (f"{BY_USE} / ignoring (use) group_left () {total('', rate('sandbox_seconds_total'))}", "{{use}}"),
        alerts=["SandboxManagerIdleSpendHigh"],
        stacked=True,
        width=16,
    ),
]

SLOTS = [
    series(
        "Slots: share of the limit",
        "percentunit",
        "Which share of all slots have users taken, the warm pool left out?",
        "The line is the alert's threshold. The books say what fills the slots.",
        (selector("instance:sandbox_manager_slots:ratio"), "{{instance}}"),
        alerts=["SandboxManagerTotalSlotsNearlyExhausted", "SandboxManagerWarmPoolEmpty"],
        lines=[0.9],
    ),
    *CAPACITY,
]

WARM_POOL = [
    series(
        "Warm pool: ready against its target",
        "short",
        "Are there sandboxes before they are wanted?",
        "Nothing ready for long: drained faster than it fills, or refills that fail. No target, no pool.",
        (greatest("instance", selector("warm_pool_ready")), "{{instance}} ready"),
        (greatest("instance", selector("warm_pool_pending")), "{{instance}} being made"),
        (greatest("instance", selector("warm_pool_target")), "{{instance}} target"),
        alerts=["SandboxManagerWarmPoolEmpty", "SandboxManagerWarmPoolRefillFailing"],
    ),
    series(
        "Warm pool: claims",
        "ops",
        "What did the pool give to those who asked?",
        "miss: it was empty, raise pool.perSecond or pool.target. stale: its members end too early.",
        (total("result", rate("warm_pool_claims_total")), "{{result}}"),
        alerts=["SandboxManagerWarmPoolEmpty"],
        stacked=True,
    ),
    series(
        "Warm pool: refills",
        "ops",
        "Is it filled, and what fails?",
        "Failures that users' creates have too are the provider's; those of the pool alone are its settings.",
        (total("result", rate("operations_total", 'operation="fill", result="ok"')), "{{result}}"),
        (total("result", rate("operations_total", 'operation="fill", result!="ok"')), "{{result}}"),
        alerts=["SandboxManagerWarmPoolEmpty", "SandboxManagerWarmPoolRefillFailing"],
    ),
]

OVERVIEW_NAME = ("sandbox-manager-overview", "Sandbox manager overview")
UPSTREAMS_NAME = ("sandbox-manager-upstreams", "Sandbox manager upstreams")
FLEET_NAME = ("sandbox-manager-fleet", "Sandbox manager fleet")
LEAKS_NAME = ("sandbox-manager-leaks", "Sandbox manager leaks")

BOARDS = [
    Board(
        *OVERVIEW_NAME,
        "Is it there, does it serve, what does it cost. Read from the top: each row explains the one above it.",
        [
            ("Availability", AVAILABILITY),
            ("Service level", SERVICE_LEVEL),
            ("HTTP", HTTP),
            ("Operations", OPERATIONS),
            ("Capacity", CAPACITY),
            ("Acquire", ACQUIRE),
            ("Spend", [*LEASES, *UNRESOLVED]),
            ("Provider", [*PROVIDER, *RETRIES, *HEALTH_CHECKS]),
            ("Background loops", LOOPS),
        ],
        [FLEET_NAME, LEAKS_NAME, UPSTREAMS_NAME],
    ),
    Board(
        *LEAKS_NAME,
        "What is in memory against what justifies it. Sizes alone prove nothing: healthy load swings.",
        [
            ("User locks", USER_LOCKS),
            ("Collections", COLLECTIONS),
            ("Memory", MEMORY),
            ("Process", PROCESS),
        ],
        [OVERVIEW_NAME, FLEET_NAME, UPSTREAMS_NAME],
        span="now-24h",
    ),
    Board(
        *UPSTREAMS_NAME,
        "Whom the manager depends on: the provider and the store. Whether they are well, and what we ask of them.",
        [
            ("Provider", PROVIDER),
            ("Breakers", BREAKERS),
            ("Creation rate", CREATION_RATE),
            ("Retries", [*RETRIES, *RETRY_LIMITS]),
            ("Health checks", HEALTH_CHECKS),
            ("Store", STORE),
        ],
        [OVERVIEW_NAME, FLEET_NAME, LEAKS_NAME],
    ),
    Board(
        *FLEET_NAME,
        "Every sandbox that costs money: who keeps it and for what, and whether the provider says the same.",
        [
            ("Books and provider", BOOKS),
            ("Kills and creates", UNRESOLVED),
            ("Slots", SLOTS),
            ("Warm pool", WARM_POOL),
            ("Leases", LEASES),
            ("Background loops", LOOPS),
        ],
        [OVERVIEW_NAME, LEAKS_NAME, UPSTREAMS_NAME],
    ),
]


def files(folder: Path) -> dict[Path, str]:
    """What each file of the folder has to hold."""
    prefix = "sandbox-manager-"
    return {
        folder / f"{board.uid.removeprefix(prefix)}.json": json.dumps(board.json(), indent=2, ensure_ascii=False) + "\n"
        for board in BOARDS
    }


def main() -> int:
    """Writes or compares; 1 if a file differs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="compare, do not write")
    parser.add_argument("--folder", type=Path, default=FOLDER)
    options = parser.parse_args()
    wanted = files(options.folder)
    if not options.check:
        for path, text in wanted.items():
            path.write_text(text, encoding="utf-8")
        return 0
    stale = [path for path, text in wanted.items() if not path.exists() or path.read_text(encoding="utf-8") != text]
    for path in stale:
        print(f"{path}: not what scripts/make-dashboards.py makes; run it", file=sys.stderr)
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
