"""Reports reads of streams and raw responses to a `Call`.

The host gets the vendor's own object, whose class is replaced by a subclass, created once per
class. A proxy would have to imitate attributes, context managers and `isinstance` for every version
of a vendor's client. A subclass only overrides the methods that read and close.
"""

from __future__ import annotations

import functools
import inspect
from typing import TYPE_CHECKING, Any

from prefactor_recorder.guard import guarded

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from prefactor_recorder.integrations._common.call import Call

KEY = "_prefactor_call"
"""The attribute of a tracked object that holds its call."""


def track_response(response: Any, call: Call) -> None:
    """End a call when its response has been read, for any kind of response."""
    if not _track(response, call):
        call.on_close()


@guarded
def _track(response: Any, call: Call) -> bool:
    if is_stream(response):
        track_stream(response, call)
    elif "http_response" in getattr(response, "__dict__", ()):  # `getattr` on a model is slow
        if response.http_response.is_closed:
            call.on_http_response(response.http_response)
        else:
            call.on_response_head(response.http_response)
            _set_class(response, call, tracked_raw_response_class)
    else:
        call.on_response(response)
    return True


def is_stream(response: Any) -> bool:
    """Whether a response is read chunk by chunk."""
    kind = response.__class__
    return hasattr(kind, "__next__") or hasattr(kind, "__anext__")


def track_stream(stream: Any, call: Call) -> None:
    """Report every chunk that is read, and how reading ends."""
    if KEY in stream.__dict__:
        return
    call.on_stream_start()
    call.on_response_head(stream.response)
    # The clients' helpers close the response of a stream instead of the stream.
    _set_class(stream.response, call, tracked_http_response_class)
    asynchronous = hasattr(stream, "__anext__")
    if type(stream.__class__) is type:
        _set_class(
            stream, call, tracked_async_stream_class if asynchronous else tracked_stream_class
        )
        return
    # Older Anthropic streams implement `isinstance` themselves and do not recognise subclasses. The
    # attribute is private, but these versions no longer change.
    iterate: Any = _iterate_async if asynchronous else _iterate
    stream.__dict__.update({KEY: call, "_iterator": iterate(call, stream.__dict__["_iterator"])})


def _set_class(tracked: Any, call: Call, subclass: Callable[[type], type]) -> None:
    tracked.__dict__[KEY] = call
    tracked.__class__ = subclass(tracked.__class__)


def call_of(tracked: Any) -> Call:
    """Return the call of a tracked object."""
    call: Call = tracked.__dict__[KEY]
    return call


def subclass_of(kind: type, members: dict[str, Any]) -> type:
    """Create a subclass with the name of its base class."""
    names = {name: getattr(kind, name) for name in ("__module__", "__qualname__", "__doc__")}
    return type(kind.__name__, (kind,), {**names, **members})


def _read(call: Call, get: Callable[[], Any]) -> Any:
    """Return the next chunk and report it, or report why there is none."""
    call.active_reads += 1
    try:
        chunk = get()
    except StopIteration:
        call.on_stream_end()
        raise
    except BaseException as error:
        call.on_error(error)
        raise
    finally:
        call.active_reads -= 1
    call.on_chunk(chunk)
    return chunk


def _iterate(call: Call, chunks: Iterator[Any]) -> Iterator[Any]:
    while True:
        try:
            chunk = _read(call, chunks.__next__)
        except StopIteration:
            return
        yield chunk


@functools.cache
def tracked_stream_class(kind: Any) -> type:
    """Create a subclass of a stream that reports its chunks."""

    def next_chunk(self: Any) -> Any:
        return _read(call_of(self), lambda: kind.__next__(self))

    def iterate(self: Any) -> Iterator[Any]:
        return _iterate(call_of(self), kind.__iter__(self))

    return subclass_of(kind, {"__next__": next_chunk, "__iter__": iterate})


async def _read_async(call: Call, get: Callable[[], Any]) -> Any:
    """Await the next chunk and report it, or report why there is none."""
    call.active_reads += 1
    try:
        chunk = await get()
    except StopAsyncIteration:
        call.on_stream_end()
        raise
    except BaseException as error:
        call.on_error(error)
        raise
    finally:
        call.active_reads -= 1
    call.on_chunk(chunk)
    return chunk


async def _iterate_async(call: Call, chunks: AsyncIterator[Any]) -> AsyncIterator[Any]:
    while True:
        try:
            chunk = await _read_async(call, chunks.__anext__)
        except StopAsyncIteration:
            return
        yield chunk


@functools.cache
def tracked_async_stream_class(kind: Any) -> type:
    """Create a subclass of an asynchronous stream that reports its chunks."""

    async def next_chunk(self: Any) -> Any:
        return await _read_async(call_of(self), lambda: kind.__anext__(self))

    def iterate(self: Any) -> AsyncIterator[Any]:
        return _iterate_async(call_of(self), kind.__aiter__(self))

    return subclass_of(kind, {"__anext__": next_chunk, "__aiter__": iterate})


@functools.cache
def tracked_http_response_class(kind: Any) -> type:
    """Create a subclass of an HTTP response that reports when it is closed."""

    def close(self: Any) -> None:
        try:
            kind.close(self)
        finally:
            call_of(self).on_close()

    async def aclose(self: Any) -> None:
        try:
            await kind.aclose(self)
        finally:
            call_of(self).on_close()

    return subclass_of(kind, {"close": close, "aclose": aclose})


@functools.cache
def tracked_raw_response_class(kind: Any) -> type:
    """Create a subclass of a raw response that reports when the host reads or closes it."""
    ends = {
        "parse": _on_parsed,
        "read": _on_body_read,
        "text": _on_body_read,
        "json": _on_body_read,
        "close": _on_closed,
    }
    found = {name: static_member(kind, name) for name in ends}
    # In older versions, these are properties of responses whose body has been read.
    methods = {name: method for name, method in found.items() if inspect.isfunction(method)}
    return subclass_of(
        kind, {name: _report_result(method, ends[name]) for name, method in methods.items()}
    )


def static_member(kind: type, name: str) -> Any:
    """Return a member of a class without invoking descriptors."""
    return inspect.getattr_static(kind, name, None)


def _report_result(
    method: Callable[..., Any], end: Callable[[Any, Call, Any], Any]
) -> Callable[..., Any]:
    """Wrap a method of a response so that it reports its result."""

    @functools.wraps(method)
    def wrapper(self: Any, *args: Any, **kwargs: Any) -> Any:
        call = call_of(self)
        try:
            value = method(self, *args, **kwargs)
        except BaseException as error:
            call.on_error(error)
            raise
        end(self, call, value)
        return value

    @functools.wraps(method)
    async def wrapper_async(self: Any, *args: Any, **kwargs: Any) -> Any:
        call = call_of(self)
        try:
            value = await method(self, *args, **kwargs)
        except BaseException as error:
            call.on_error(error)
            raise
        end(self, call, value)
        return value

    return wrapper_async if inspect.iscoroutinefunction(method) else wrapper


@guarded
def _on_parsed(response: Any, call: Call, value: Any) -> None:
    if is_stream(value):
        track_stream(value, call)
    else:
        call.on_http_response(response.http_response)


@guarded
def _on_body_read(response: Any, call: Call, _value: Any) -> None:
    call.on_http_response(response.http_response)


@guarded
def _on_closed(_response: Any, call: Call, _value: Any) -> None:
    call.on_close()
