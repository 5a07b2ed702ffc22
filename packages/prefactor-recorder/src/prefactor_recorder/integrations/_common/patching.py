"""Patches a vendor's client at `request`, which all of its calls go through.

The methods that authors call (`create`, `parse`, `stream`, each in raw and streamed variants, sync
and async) all call it, after checking their arguments and before the client's own retries. Patching
one method instead of thirty records each call exactly once, leaves all signatures alone, and works
with methods that the vendor adds later.
"""

from __future__ import annotations

import functools
import inspect
import threading
from typing import TYPE_CHECKING, Any

from prefactor_recorder.guard import guarded, warn_once
from prefactor_recorder.integrations._common.call import Call, recorded_payload
from prefactor_recorder.integrations._common.streams import subclass_of, track_response
from prefactor_recorder.run import current_run

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from prefactor_recorder.integrations._common.call import Endpoint

RECORDED = "_prefactor_recorded"
"""The attribute that marks the class of a client instrumented individually."""


class Vendor:
    """The clients of one vendor, and the endpoints to record.

    Args:
        name: The vendor's name in warnings.
        clients: The client classes, sync and async.
        endpoints: The endpoints to record, by path.
    """

    def __init__(
        self, name: str, clients: tuple[type, ...], endpoints: Mapping[str, Endpoint]
    ) -> None:
        self._name = name
        self._clients = clients
        self._endpoints = endpoints
        self._lock = threading.Lock()
        self._active = False
        # The original `request` and its replacement, by the class that defines it.
        self._patched: dict[type, tuple[Any, Any]] = {}
        self._recorded: dict[type, type] = {}

    def install(self) -> None:
        """Record the calls of all existing and future clients. Calling it again is harmless."""
        with self._lock:
            self._active = True
            for client in self._clients:
                owner = next(kind for kind in client.__mro__ if "request" in vars(kind))
                if owner not in self._patched:
                    original = vars(owner)["request"]
                    ours = self._recording(original, everywhere=True)
                    self._patched[owner] = (original, ours)
                    setattr(owner, "request", ours)  # noqa: B010 - type checkers reject assignment

    def remove(self) -> None:
        """Undo `install`. Calls in progress are still recorded to their end."""
        with self._lock:
            self._active = False
            for owner, (original, ours) in list(self._patched.items()):
                # If somebody wrapped ours meanwhile, leave it. It passes calls through.
                if vars(owner)["request"] is ours:
                    setattr(owner, "request", original)  # noqa: B010
                    del self._patched[owner]

    def install_in(self, client: Any) -> None:
        """Record the calls of one client, and of copies made by its `with_options`."""
        with self._lock:
            if not hasattr(client, RECORDED):
                client.__class__ = self._recorded_client(client.__class__)

    def remove_from(self, client: Any) -> None:
        """Stop recording the calls of one client."""
        with self._lock:
            if hasattr(client, RECORDED):
                client.__class__ = getattr(client, RECORDED)

    def _recorded_client(self, kind: type) -> type:
        if kind not in self._recorded:
            request = self._recording(getattr(kind, "request"), everywhere=False)  # noqa: B009
            self._recorded[kind] = subclass_of(kind, {"request": request, RECORDED: kind})
        return self._recorded[kind]

    def _recording(self, original: Any, *, everywhere: bool) -> Callable[..., Any]:
        """Wrap `request` to record its calls.

        Args:
            original: The original function.
            everywhere: Whether the wrapper goes into the class that all clients share.
        """

        def begin(client: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Call | None:
            if everywhere and (not self._active or hasattr(client, RECORDED)):
                return None
            return self._begin(kwargs.get("options", args[1] if len(args) > 1 else None))

        @functools.wraps(original)
        def request(self: Any, *args: Any, **kwargs: Any) -> Any:
            call = begin(self, args, kwargs)
            if call is None:
                return original(self, *args, **kwargs)
            try:
                response = original(self, *args, **kwargs)
            except BaseException as error:
                call.on_error(error)
                raise
            # Someone's wrapper around an async method may not be async.
            if inspect.isawaitable(response):
                return _awaited(response, call)
            track_response(response, call)
            return response

        @functools.wraps(original)
        async def request_async(self: Any, *args: Any, **kwargs: Any) -> Any:
            call = begin(self, args, kwargs)
            if call is None:
                return await original(self, *args, **kwargs)
            return await _awaited(original(self, *args, **kwargs), call)

        return request_async if inspect.iscoroutinefunction(original) else request

    def _begin(self, options: Any) -> Call | None:
        """Begin the call for a request. Return None if it is not recorded.

        Raises:
            RunTerminated: The current run has been terminated.
        """
        endpoint = self._endpoint(options)
        if endpoint is None:
            return None
        run = current_run()
        if run is None:
            warn_once(
                f"{self._name} outside of a run",
                "A call of %s was not recorded, because it was made outside a run. Put the agent's "
                "work into `with recorder.run(...):`.",
                self._name,
            )
            return None
        if not run.live:
            return None
        span = run.start_span(endpoint.schema_name, recorded_payload(endpoint, options))
        return _call(span, endpoint)

    @guarded
    def _endpoint(self, options: Any) -> Endpoint | None:
        if options.method.lower() != "post":
            return None
        return self._endpoints.get(options.url.partition("?")[0])


async def _awaited(response: Awaitable[Any], call: Call) -> Any:
    try:
        awaited = await response
    except BaseException as error:
        call.on_error(error)
        raise
    track_response(awaited, call)
    return awaited


@guarded
def _call(span: Any, endpoint: Endpoint) -> Call:
    return Call(span, endpoint)
