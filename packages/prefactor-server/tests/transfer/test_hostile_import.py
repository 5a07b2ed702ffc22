"""Damaged export files: what is wrong with them, and what is still imported."""

import bz2
import gzip
import json
import lzma
from collections.abc import Callable
from typing import Any

import pytest
from moved import SECRET, exported, imported, record_everything, small_export

from prefactor_server.domain.errors import DatabaseUnusable
from prefactor_server.transfer import load
from prefactor_server.transfer.load import Import, ImportFailed
from prefactor_server.transfer.otlp import OtlpEncoding

NEW_ID = {"id": "another"}


def written(lines: list[dict[str, Any]]) -> bytes:
    """Lines as a file."""
    return b"".join(json.dumps(line, separators=(",", ":")).encode() + b"\n" for line in lines)


def place(lines: list[dict[str, Any]], kind: str) -> int:
    """Where the first line of a type is."""
    return next(number for number, line in enumerate(lines) if line["type"] == kind)


def changed(kind: str, **members: Any) -> Callable[[list[dict[str, Any]]], bytes]:
    """Change members of the first line of a type."""

    def change(lines: list[dict[str, Any]]) -> bytes:
        number = place(lines, kind)
        lines[number] = {**lines[number], **members}
        return written(lines)

    return change


CASES: dict[str, tuple[Callable[[list[dict[str, Any]]], bytes], str]] = {
    "nothing": (lambda _: b"", "line 1: the file ends without a line of the type export_end"),
    "no first line": (lambda lines: written(lines[1:]), "line 1: is not an export"),
    "a newer version": (changed("export", format_version=2), "line 1: the export has the format"),
    "no last line": (lambda lines: written(lines[:-1]), "ends without a line of the type"),
    "cut off": (lambda lines: written(lines)[:-200], "is cut off"),
    "no JSON": (lambda lines: written(lines[:3]) + b"{]\n", "line 4: cannot be read"),
    "no text": (lambda lines: written(lines[:3]) + b'{"type":"\xff"}\n', "line 4: cannot be read"),
    "deep": (
        lambda lines: written(lines[:3]) + b'{"type":"agent","a":' + b"[" * 100_000 + b"\n",
        "line 4: cannot be read",
    ),
    "more after the end": (lambda lines: written([*lines, lines[2]]), "follows the line"),
    "an unknown type": (changed("agent", type="robot"), "type: must be one of export, env"),
    "an unknown member": (changed("agent", colour="red"), "unknown field `colour`"),
    "an odd status": (changed("agent_instance", status="lost"), "Invalid enum value 'lost'"),
    "an odd id": (changed("agent_instance", id="../x"), "id: must be 1 to 64 letters"),
    "an odd time": (changed("agent_span", started_at="soon"), "started_at: must be an ISO 8601"),
    "a NUL": (changed("agent", name="a\0b"), "name: must be at most 512 characters"),
    "a payload that is a list": (changed("agent_span", payload=[1]), "payload: Expected `object`"),
    "a huge number": (changed("agent_span", total_tokens=2**70), "total_tokens"),
    "an odd schema": (changed("agent_schema_version", document={"a": 1}), "document: "),
}


LINE = b'{"type":"export"}\n'
FORMATS: dict[str, bytes] = {
    "is compressed with gzip: decompress it first": gzip.compress(LINE),
    "is compressed with bzip2: decompress it first": bz2.compress(LINE),
    "is compressed with xz: decompress it first": lzma.compress(LINE),
    "is compressed with zstd: decompress it first": b"\x28\xb5\x2f\xfd\x04",
    "is a ZIP archive: extract it first": b"PK\x03\x04\x14",
    "is in the format Parquet, which cannot be imported: import an export in": b"PAR1\x15\x04",
    "is text in UTF-16: convert it to UTF-8": LINE.decode().encode("utf-16"),
    "begins with a byte order mark: remove": b"\xef\xbb\xbf" + LINE,
}


async def test_a_file_of_another_format_is_recognised(target: Any) -> None:
    """The error says what the file is, and what to do before it can be imported."""
    for message, document in FORMATS.items():
        with pytest.raises(ImportFailed, match=f"line 1: the file {message}"):
            await imported(target, document)


OTLP_CASES: dict[str, tuple[bytes, bytes, str]] = {
    "another trace": (b'"prefactor.id"', b'"other.id"', "has a span without prefactor.id"),
    "a missing member": (b'"prefactor.status"', b'"other"', "got `null` - at `$.status`"),
    "a text as a number": (b'"stringValue":"active"', b'"intValue":"active"', "cannot be read"),
    "a payload that is no JSON": (b'"{\\"n\\":1}"', b'"{]"', "cannot be read"),
    "a payload that is a list": (b'"{\\"n\\":1}"', b'"[]"', "payload: Expected `object`"),
    "a list of lists": (b'"arrayValue":{"values":[', b'"arrayValue":{"values":[[', "cannot be"),
    "rows that are a number": (
        b'"arrayValue":{"values":[',
        b'"intValue":"5","other":{"values":[',
        "prefactor.rows: must be a list of texts",
    ),
    "cut off": (b'\\"export_end\\"', b'\\"', "cannot be read"),
    "no end": (
        b'{\\"type\\":\\"export_end',
        b'{\\"type\\":\\"agent',
        "unknown field `agent_instances`",
    ),
    "not compact": (b'{"resourceSpans":[', b'{\n"resourceSpans":[', "line 1: cannot be read"),
}


@pytest.mark.parametrize("case", OTLP_CASES)
async def test_a_bad_line_of_otlp_ends_the_import(source: Any, tmp_path: Any, case: str) -> None:
    """The error has the line's number and the reason."""
    from api_client import open_api_client  # noqa: PLC0415 - one backend: the file is judged

    old, new, message = OTLP_CASES[case]
    await small_export(source)
    document = await exported(source, OtlpEncoding(one_message=True))
    assert old in document
    async with open_api_client(f"sqlite:///{tmp_path / 'target.db'}") as target:
        with pytest.raises(ImportFailed, match=r"line [0-9]+: ") as failed:
            await imported(target, document.replace(old, new, 1))
        assert message in failed.value.message


@pytest.mark.parametrize("case", CASES)
async def test_a_bad_line_ends_the_import(source: Any, tmp_path: Any, case: str) -> None:
    """The error has the line's number and the reason; earlier lines are stored."""
    from api_client import open_api_client  # noqa: PLC0415 - one backend: the file is judged

    make, message = CASES[case]
    document = make(await small_export(source))
    async with open_api_client(f"sqlite:///{tmp_path / 'target.db'}") as target:
        done = Import()
        with pytest.raises(ImportFailed, match=r"line [0-9]+: ") as failed:
            await imported(target, document, done)
        assert message in failed.value.message
        stored = sum(done.added.values())
        assert stored <= document.count(b"\n")


async def test_a_line_is_read_up_to_a_limit(
    source: Any, target: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An endless line takes no more memory than the longest line of an export."""
    monkeypatch.setattr(load, "MAX_LINE_BYTES", 1000)
    lines = await small_export(source)
    with pytest.raises(ImportFailed, match="line 2: has more than 1000 bytes"):
        await imported(target, written(lines[:1]) + b"x" * 5000)


async def test_different_rows_are_reported_and_unchanged(source: Any, target: Any) -> None:
    """A run with another status is skipped whole; a span with another payload, alone."""
    lines = await small_export(source)
    await imported(target, written(lines))
    before = await exported(target)
    runs = [n for n, line in enumerate(lines) if line["type"] == "agent_instance"]
    spans = [n for n, line in enumerate(lines) if line["type"] == "agent_span"]
    lines[runs[0]]["status"] = "failed"
    lines[spans[-1]]["payload"] = {"n": 99}

    done = await imported(target, written(lines))

    assert [(one.line, one.message) for one in done.problems] == [
        (runs[0] + 1, "agent_instance 'run-1' is already stored and differs in status"),
        (
            spans[-1] + 1,
            "agent_span 'run-2-2' is already stored and differs in payload or result_payload",
        ),
    ]
    assert done.left_out == 2
    assert await exported(target) == before


async def test_inconsistent_rows_are_reported(source: Any, target: Any) -> None:
    """A dangling reference or a taken id is reported with its line, and the rest is imported."""
    lines = await small_export(source)
    await target.register("taken", agent_id="agent-1")
    done = await imported(target, written(lines))
    assert "has the external identifier 'agent-1'" in done.problems[0].message
    assert done.added["agent_instance"] == 0

    lines = [line for line in lines if line["type"] != "agent_version"]
    for line in lines:
        if line["type"] == "agent":
            line |= {"external_identifier": None}
    done = await imported(target, written(lines))
    messages = " ".join(one.message for one in done.problems)
    assert "belongs to agent_version" in messages
    assert done.added["agent_span"] == 0


async def test_a_span_follows_its_run(source: Any, target: Any) -> None:
    """A span that does not follow its own run is reported, with or without another run."""
    lines = await small_export(source)
    first = place(lines, "agent_span")
    lines.append({**lines[first], "id": "late"})
    lines[-1], lines[-2] = lines[-2], lines[-1]
    done = await imported(target, written(lines))
    assert [one.message for one in done.problems] == ["agent_span 'late' does not follow its run"]


async def test_a_stopped_import_can_be_repeated(
    source: Any, target: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When the database refuses writes halfway, the same import later does the rest."""
    monkeypatch.setattr(load, "_BATCH_ROWS", 3)
    document = written(await small_export(source))
    transact, left = target.storage.transact, [3]

    async def failing(*given: Any) -> Any:
        left[0] -= 1
        if left[0] < 0:
            raise DatabaseUnusable("The disk is full")
        return await transact(*given)

    monkeypatch.setattr(target.storage, "transact", failing)
    done = Import()
    with pytest.raises(DatabaseUnusable):
        await imported(target, document, done)
    assert done.stored_to == 10
    monkeypatch.undo()

    rest = await imported(target, document)

    assert (rest.problems, rest.identical) == ([], 9)
    again = await exported(target)
    assert again.split(b"\n", 1)[1] == (await exported(source)).split(b"\n", 1)[1]
    (run,) = [
        one for one in (await target.get("/agent_instance")).summaries if one["id"] == "run-1"
    ]
    assert run["span_counts"]["active"] == 2


async def test_escaped_markers_mark_sensitive_values(source: Any, target: Any) -> None:
    """A sensitive value is masked even if the file escapes its marker, and nothing else changes."""
    await record_everything(source)
    lines = await exported(source)
    await imported(target, lines.replace(b'"$sensitive"', rb'"\u0024\u0073ensitive"'))

    query = {"agent_id": "payer"}
    spans = (await source.get("/agent_spans", query)).summaries
    paid = next(one for one in spans if one["payload"] == SECRET)
    shown = await target.get(f"/agent_spans/{paid['id']}", {"redacted": "true"})

    assert shown.details["payload"]["card"]["value"] is None
    assert (await exported(target)).split(b"\n", 1)[1] == lines.split(b"\n", 1)[1]
