"""Channels as the commands keep them: their rows in the register, how they stand in our own store, each deed noted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from canonical.cases import Actor
from canonical.senders import Channel
from cli.channel_views import ChannelRow, ChannelView, OutboundView
from cli.exits import not_found
from store.acts import Act
from store.channel_keeping import WEBHOOK, Backlog, OutboundRow, StoredChannelKeeping
from store.standing import CLOSED, Standing
from store.subscriptions import StoredSubscriptions
from workers.loops.channels import SENT
from workers.wiring import Wiring


class OurChannels:
    """:class:`cli.channel_views.Channels` over our own store."""

    def __init__(self, wiring: Wiring, by: Actor) -> None:
        self._wiring = wiring
        self._by = by
        self._keeping = StoredChannelKeeping(wiring.database)

    async def rows(self) -> Sequence[ChannelRow]:
        return list((await self._all()).values())

    async def show(self, channel: str, limit: int) -> ChannelView | None:
        row = (await self._all()).get(channel)
        if row is None:
            return None
        held = {one.code: one for one in await self._wiring.register.channels()}.get(channel)
        stands = {one.channel: one for one in await self._keeping.standings()}.get(channel)
        return ChannelView(
            **row.model_dump(),
            contact=held.contact if held else "",
            openings=stands.openings if stands else 0,
            terms=_terms(held) if held else {},
            next=tuple(map(_view, await self._keeping.outbound(channel, limit=limit))),
            dead_letters=tuple(map(_view, await self._keeping.outbound(channel, "dead", limit))),
        )

    async def pause(self, channel: str, why: str) -> ChannelRow:
        await self._known(channel)
        await self._keeping.pause(channel, self._act("channel pause", channel, why))
        return await self._known(channel)

    async def resume(self, channel: str, why: str) -> ChannelRow:
        await self._known(channel)
        await self._keeping.resume(channel, self._act("channel resume", channel, why))
        return await self._known(channel)

    async def retry(self, messages: Sequence[str], channel: str, why: str, dry_run: bool) -> Sequence[OutboundView]:
        if channel:
            await self._known(channel)
        act = Act(verb="channel retry", about="", actor=self._by, reason=why)
        return [_view(one) for one in await self._keeping.retry(messages, act, channel=channel, dry_run=dry_run)]

    async def skip(self, message: str, why: str) -> OutboundView:
        return _view(await self._keeping.skip(message, Act(verb="channel skip", about="", actor=self._by, reason=why)))

    def _act(self, verb: str, channel: str, why: str) -> Act:
        return Act(verb=verb, about=f"channel/{channel}", actor=self._by, reason=why)

    async def _known(self, channel: str) -> ChannelRow:
        found = (await self._all()).get(channel)
        if found is None:
            raise not_found("channel", channel, "see `fascia channel list`")
        return found

    async def _all(self) -> dict[str, ChannelRow]:
        """By name: those of the register, webhooks, and what once had a row and still has something waiting."""
        held = {one.code: one for one in await self._wiring.register.channels()}
        hooks = {WEBHOOK + one.name: one for one in await StoredSubscriptions(self._wiring.database).subscribers()}
        backlogs = {one.channel: one for one in await self._keeping.backlogs()}
        standings = {one.channel: one for one in await self._keeping.standings()}
        rows = {}
        for name in sorted({*held, *hooks, *backlogs, *standings}):
            backlog = backlogs.get(name, Backlog(channel=name))
            row = _row(name, backlog, standings.get(name, Standing(channel=name)), held.get(name))
            if name in hooks:
                row = row.model_copy(
                    update={"kind": "webhook", "address": hooks[name].url, "state": _state(row, backlog)}
                )
            rows[name] = row
        return rows


def _row(name: str, backlog: Backlog, stands: Standing, held: Channel | None) -> ChannelRow:
    row = ChannelRow(
        channel=name,
        waiting=backlog.waiting,
        oldest=backlog.oldest,
        dead=backlog.dead,
        breaker=stands.breaker,
        failures=stands.failures,
        probe_at=stands.probe_at,
        **_last_error(backlog, stands),
        paused_by=stands.paused_by,
        paused_why=stands.paused_why,
        paused_at=stands.paused_at,
    )
    if held is None:
        return row.model_copy(update={"state": "no row"})
    terms = {"kind": held.kind, "address": f"{held.host}:{held.port}", "facility": held.facility, "owner": held.owner}
    state = _state(row, backlog) if held.kind in SENT else "no sender"
    return row.model_copy(update=terms | {"state": state if held.active else "off"})


def _last_error(backlog: Backlog, stands: Standing) -> dict[str, Any]:
    """What a person is to mend: where a channel stands still, what its dead letter was told, not an outage that is over."""
    if backlog.stands_still and backlog.said and stands.breaker == CLOSED:
        return {"error": backlog.said, "error_at": None}
    return {"error": stands.error or backlog.said, "error_at": stands.error_at}


def _state(row: ChannelRow, backlog: Backlog) -> str:
    if row.paused_at is not None:
        return "paused"
    if backlog.stands_still:
        return "stands still"
    return "open" if row.breaker == CLOSED else f"breaker {row.breaker}"


def _terms(held: Channel) -> dict[str, str]:
    shown = held.model_dump(
        mode="json", exclude={"code", "kind", "host", "port", "facility", "owner", "contact", "active"}
    )
    return {name: str(value) for name, value in shown.items() if value not in ("", 0, 0.0, False)}


def _view(row: OutboundRow) -> OutboundView:
    return OutboundView.model_validate(row.model_dump())
