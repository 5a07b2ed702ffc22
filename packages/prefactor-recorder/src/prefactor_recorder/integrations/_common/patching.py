"""Where a vendor's client is taken hold of: `request`, through which every call of it goes.

The methods that an author calls (`create`, `parse`, `stream`, each with a raw and a streamed
variant, sync and async) all end there, after they have checked their arguments and before the
client's own retries. One place instead of thirty: whatever a method is called in the vendor's next
version, it is recorded, once, and its signature was never touched.
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
"""What marks the class of a client that is recorded by itself."""


class Vendor:
    """The clients of one vendor, and which of their calls are recorded.

    Args:
        name: What the vendor is called in a warning.
        clients: The client classes, sync and async.
        endpoints: The endpoints that are recorded, by path.
    """

    def __init__(
        self, name: str, clients: tuple[type, ...], endpoints: Mapping[str, Endpoint]
    ) -> None:
        self._name = name
        self._clients = clients
        self._endpoints = endpoints
        self._lock = threading.Lock()
        self._active = False
        # For each class that defines `request`: what was there, and what is there instead.
        self._patched: dict[type, tuple[Any, Any]] = {}
        self._recorded: dict[type, type] = {}

    def install(self) -> None:
        """Record the calls of every client there is and will be. Again: no difference."""
        with self._lock:
            self._active = True
            for client in self._clients:
                owner = next(kind for kind in client.__mro__ if "request" in vars(kind))
                if owner not in self._patched:
                    original = vars(owner)["request"]
                    ours = self._recording(original, everywhere=True)
                    self._patched[owner] = (original, ours)
                    setattr(owner, "request", ours)  # noqa: B010 - a type checker knows better

    def remove(self) -> None:
        """Put things back as they were. Calls under way are recorded to their end."""
        with self._lock:
            self._active = False
            for owner, (original, ours) in list(self._patched.items()):
                # Somebody may have wrapped ours since; then it stays, and lets everything through.
                if vars(owner)["request"] is ours:
                    setattr(owner, "request", original)  # noqa: B010
                    del self._patched[owner]

    def install_in(self, client: Any) -> None:
        """Record the calls of one client, and of the copies that `with_options` makes of it."""
        with self._lock:
            if not hasattr(client, RECORDED):
                client.__class__ = self._recorded_client(client.__class__)

    def remove_from(self, client: Any) -> None:
        """No longer record the calls of one client."""
        with self._lock:
            if hasattr(client, RECORDED):
                client.__class__ = getattr(client, RECORDED)

    def _recorded_client(self, kind: type) -> type:
        if kind not in self._recorded:
            request = self._recording(getattr(kind, "request"), everywhere=False)  # noqa: B009
            self._recorded[kind] = subclass_of(kind, {"request": request, RECORDED: kind})
        return self._recorded[kind]

    def _recording(self, original: Any, *, everywhere: bool) -> Callable[..., Any]:
        """`request`, with its calls recorded.

        Args:
            original: The function as it was.
            everywhere: Whether it stands in the class that all clients share.
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
            # Somebody's wrapper around an async method need not be async itself.
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
        """The call that begins with a request, if it is one to be recorded.

        Raises:
            RunTerminated: The run around it has been terminated.
        """
        endpoint = self._endpoint(options)
        if endpoint is None:
            return None
        run = current_run()
        if run is None:
            warn_once(
                f"{self._name} outside of a run",
                "A call of %s was not recorded: it was made outside of every run. Put the agent's "
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
