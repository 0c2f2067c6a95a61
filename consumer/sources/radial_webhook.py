"""Radial's webhook: Radial's own service POSTs an `OrderBackorderList` to our URL.

Rules
1. 200 means that every event of the post, or its quarantine record, is committed and synced.
   Radial removes the message then; on anything else it sends the same post again, later.
2. 503 means that nothing was kept: the journal cannot commit, or this source is stopping.
3. What is not XML is answered 400, since sending it again cannot help. What fails the schema is
   answered 200 or 422, as `on_invalid` says. All of it is in quarantine either way.
4. An answer says where a message is wrong and why; it quotes no personal data.

With `on_invalid = "reject"` a list with good and bad events is answered 422, because something in
it was refused. Its good events are in the journal all the same, and the counts in the answer say
so: when the post is sent again they are duplicates, which change nothing.
"""

import asyncio
from collections.abc import Sequence
from http import HTTPStatus
from typing import Annotated, Literal

from msgspec import Meta

from consumer.errors import Unavailable
from consumer.model import Message, Outcome, Problem, Unwanted, utc_now
from consumer.ports import Ground, Posted, Reply
from consumer.settings import SourceOptions

# Seconds after which a sender that was answered 503 may come again.
_COME_AGAIN = 10.0

# Reasons in one answer; all of them are in quarantine.
_MOST_ERRORS = 100

Path = Annotated[str, Meta(pattern=r"^/[^?#\s]*$", description="a path, beginning with /")]


class RadialWebhookOptions(SourceOptions, frozen=True, kw_only=True):
    """`type = "radial-webhook"`: answers Radial's webhook service on the `[webhooks]` listener.

    `on_invalid`: what fails the schema is quarantined, and the post answered 200 (`accept`) with
    the refusals listed, or 422 (`reject`), on which Radial sends it again and in the end alerts its
    own team. `on_test` and `on_other_type` say what becomes of connectivity tests and of events
    that are no back-orders.
    """

    path: Path = "/webhooks/radial/order-backorder"
    on_invalid: Literal["accept", "reject"] = "accept"
    on_test: Unwanted = "acknowledge"
    on_other_type: Unwanted = "quarantine"


class RadialWebhook:
    """The source behind one path of the public listener."""

    Options = RadialWebhookOptions

    def __init__(self, options: RadialWebhookOptions) -> None:
        self.name = options.name
        self._options = options
        self._stopping = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._under_way = 0

    async def run(self, ground: Ground) -> None:
        """Answer posts until `stop`; return when every post that was taken has its answer."""

        async def answer(posted: Posted) -> Reply:
            if self._stopping.is_set():
                return _come_again("stopping; nothing was kept, send this again")
            self._under_way += 1
            self._idle.clear()
            try:
                return await self._take(posted, ground)
            finally:
                self._under_way -= 1
                if not self._under_way:
                    self._idle.set()

        ground.webhooks.route(self._options.path, answer)
        ground.status.up()
        try:
            await self._stopping.wait()
            await self._idle.wait()
        finally:
            self._stopping.set()  # also where this was cancelled: the route outlives the source

    def stop(self) -> None:
        """Answer 503 from now on."""
        self._stopping.set()

    async def check(self) -> Sequence[str]:
        """There is nothing to reach: Radial comes to us."""
        return [f"answers POST {self._options.path} on the [webhooks] listener"]

    async def _take(self, posted: Posted, ground: Ground) -> Reply:
        if not _is_xml(posted.content_type):
            document = {"detail": "messages are XML; send application/xml or text/xml"}
            return Reply(status=HTTPStatus.UNSUPPORTED_MEDIA_TYPE, document=document)
        try:
            committed = await ground.intake.accept([self._message(posted)])
            (outcome,) = await committed
        except Unavailable as error:
            detail = "the journal cannot commit at present; nothing was kept, send this again"
            return _come_again(detail, error.retry_after)
        return _reply(outcome, reject=self._options.on_invalid == "reject")

    def _message(self, posted: Posted) -> Message:
        return Message(
            body=posted.body,
            source=self.name,
            system="radial",
            received=utc_now(),
            origin=self._options.path,
            traceparent=posted.traceparent,
            on_test=self._options.on_test,
            on_other_type=self._options.on_other_type,
            attributes=posted.attributes,
        )


def _is_xml(content_type: str) -> bool:
    """Whether a media type is one for XML (RFC 7303); a missing one is taken for it."""
    media_type = content_type.partition(";")[0].strip().lower()
    return not media_type or media_type.endswith(("/xml", "+xml"))


def _reply(outcome: Outcome, *, reject: bool) -> Reply:
    """The answer to a post that is committed."""
    told = [_told(problem) for problem in outcome.problems[:_MOST_ERRORS]]
    document: dict[str, object] = {
        "accepted": outcome.accepted,
        "duplicates": outcome.duplicates,
        "quarantined": outcome.quarantined,
        "errors": told,
    }
    if len(told) < len(outcome.problems):
        document["errors_omitted"] = len(outcome.problems) - len(told)
    if outcome.unreadable:
        document["detail"] = "this is not XML that can be read; sending it again cannot help"
        return Reply(status=HTTPStatus.BAD_REQUEST, document=document)
    if reject and outcome.quarantined:
        document["detail"] = "some of this was refused and is quarantined; see errors"
        return Reply(status=HTTPStatus.UNPROCESSABLE_ENTITY, document=document)
    return Reply(status=HTTPStatus.OK, document=document)


def _told(problem: Problem) -> dict[str, object]:
    return {
        "line": problem.line,
        "column": problem.column,
        "path": problem.path,
        "reason": problem.reason,
    }


def _come_again(detail: str, retry_after: float | None = None) -> Reply:
    return Reply(
        status=HTTPStatus.SERVICE_UNAVAILABLE,
        document={"detail": detail},
        retry_after=_COME_AGAIN if retry_after is None else retry_after,
    )
