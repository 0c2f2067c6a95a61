"""Reading a body within bounds.

Rules
1. `limit` bounds the bytes received *and* the bytes they decompress to. A body that says by
   Content-Length that it is too long is refused unread; a chunked one as soon as it is.
2. All requests together hold at most `_BODIES_AT_ONCE` bodies of the largest size. Above that a
   request is sent away for a moment (503): many slow senders cannot eat the memory.
3. aiohttp decompresses bodies by itself, without a bound on what it costs; the server switches
   that off and `inflate` does it: in steps, in a thread, and it stops at the limit, so that a
   gzip bomb costs no more than a plain body of the largest size.
"""

import asyncio
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http import HTTPStatus

from aiohttp import HttpVersion11, web
from aiohttp.http_exceptions import HttpProcessingError

from consumer.listener.answers import Rejection

_BODIES_AT_ONCE = 16
_STEP = 64 * 1024

# A gzip file may have several members (RFC 1952, section 2.2); each costs us a little, and nobody
# needs more of them than block-wise compressors make.
_MOST_MEMBERS = 1024

_GZIP, _ZLIB, _RAW_DEFLATE = 31, 15, -15  # what zlib calls window bits
_ZLIB_MAGIC = 8


class Memory:
    """What all bodies being read or handled may hold together."""

    def __init__(self, largest: int) -> None:
        self._free = largest * _BODIES_AT_ONCE

    @contextmanager
    def share(self) -> Iterator[Callable[[int], None]]:
        """A function that takes bytes for one request; all of it is given back at the end."""
        taken = 0

        def take(count: int) -> None:
            nonlocal taken
            if count > self._free:
                detail = "too many large requests at once; nothing was kept, send this one again"
                raise Rejection(HTTPStatus.SERVICE_UNAVAILABLE, detail, retry_after=1)
            self._free -= count
            taken += count

        try:
            yield take
        finally:
            self._free += taken


def receive_at_once(
    request: web.BaseRequest, limit: int, take: Callable[[int], None]
) -> bytes | None:
    """What `receive` would answer, where all of the body came with the headers, as small ones do;
    None where that has to be waited for, went wrong, or something else is expected first.
    """
    content = request.content
    if not content.is_eof() or content.exception() is not None or "Expect" in request.headers:
        return None
    _require_acceptable(request, limit)
    body = content.read_nowait()
    if len(body) > limit:  # of chunks
        raise _too_large(limit)
    take(len(body))
    return body


async def receive(request: web.BaseRequest, limit: int, take: Callable[[int], None]) -> bytes:
    """The body as received, at most `limit` bytes of it; the caller bounds the time."""
    _require_acceptable(request, limit)
    received = bytearray()
    try:
        await _invite(request)
        async for chunk in request.content.iter_any():
            if len(received) + len(chunk) > limit:
                raise _too_large(limit)
            take(len(chunk))
            received += chunk
    except (web.RequestPayloadError, HttpProcessingError, ConnectionError) as error:
        detail = "the body ended early, or its framing is broken"
        raise Rejection(HTTPStatus.BAD_REQUEST, detail) from error
    return bytes(received)


async def inflate(body: bytes, encoding: str, limit: int, take: Callable[[int], None]) -> bytes:
    """The body without its Content-Encoding, at most `limit` bytes of it."""
    encoding = encoding.strip().lower()
    if encoding in ("", "identity"):
        return body
    bits = _window_bits(encoding, body)
    plain = await asyncio.to_thread(_inflate, body, bits, limit)
    take(len(plain))
    return plain


def _require_acceptable(request: web.BaseRequest, limit: int) -> None:
    """Refuse what can be seen to be wrong before the body is looked at."""
    _require_plain_framing(request)
    if (request.content_length or 0) > limit:
        raise _too_large(limit)


def _require_plain_framing(request: web.BaseRequest) -> None:
    """Refuse what a proxy in front may frame otherwise than we do (RFC 9112, sections 6.1, 11.2).

    aiohttp has refused most of it: a length beside chunks, several lengths, chunks that come first.
    """
    codings = ",".join(request.headers.getall("Transfer-Encoding", ()))
    if codings and request.version < HttpVersion11:
        raise Rejection(HTTPStatus.BAD_REQUEST, "there are no chunks in HTTP/1.0")
    if codings and codings.strip().lower() != "chunked":
        detail = "this Transfer-Encoding is not understood; send chunked, or a Content-Length"
        raise Rejection(HTTPStatus.NOT_IMPLEMENTED, detail)


async def _invite(request: web.BaseRequest) -> None:
    """Answer `Expect: 100-continue`: the request has passed all that can be seen so far."""
    expected = request.headers.get("Expect", "").lower()
    if not expected or request.version < HttpVersion11:
        return
    if expected != "100-continue":
        raise Rejection(HTTPStatus.EXPECTATION_FAILED, "only 100-continue can be expected here")
    await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    request.writer.output_size = 0  # aiohttp must not think that the answer has begun


def _window_bits(encoding: str, body: bytes) -> int:
    if encoding in ("gzip", "x-gzip"):
        return _GZIP
    if encoding == "deflate":  # zlib by RFC 9110, section 8.4.1.2; raw from some senders
        zlibbed = body[:1] and body[0] & 0x0F == _ZLIB_MAGIC
        return _ZLIB if zlibbed and int.from_bytes(body[:2]) % 31 == 0 else _RAW_DEFLATE
    detail = "this Content-Encoding is not understood; send gzip, deflate, or the plain body"
    headers = {"Accept-Encoding": "gzip, deflate, identity"}
    raise Rejection(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, detail, headers=headers)


def _inflate(body: bytes, bits: int, limit: int) -> bytes:
    """Decompress step by step; runs in a thread."""
    plain = bytearray()
    inflater, members = zlib.decompressobj(bits), 1
    for start in range(0, len(body), _STEP):
        block = body[start : start + _STEP]
        while block:
            if inflater.eof:
                inflater, members = zlib.decompressobj(bits), members + 1
            if members > _MOST_MEMBERS or (members > 1 and bits != _GZIP):
                raise _broken()
            block = _step(inflater, block, plain, limit)
    if not inflater.eof:
        raise _broken()
    return bytes(plain)


def _step(inflater: "zlib._Decompress", block: bytes, plain: bytearray, limit: int) -> bytes:
    """Decompress what fits; what of `block` is still to be done."""
    try:
        plain += inflater.decompress(block, limit + 1 - len(plain))
    except zlib.error as error:
        raise _broken() from error
    if len(plain) > limit:
        raise _too_large(limit)
    return inflater.unused_data or inflater.unconsumed_tail


def _too_large(limit: int) -> Rejection:
    detail = f"the body, or what it decompresses to, is larger than {limit} bytes"
    return Rejection(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, detail)


def _broken() -> Rejection:
    return Rejection(HTTPStatus.BAD_REQUEST, "the body cannot be decompressed")
