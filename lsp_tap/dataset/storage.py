"""Where session files and datasets are: on this machine, or at a URI of any filesystem that Arrow or fsspec knows.

`s3://`, `gs://`, `hdfs://` and such are Arrow's own; whatever else fsspec has is `fsspec+NAME://`.
"""

from __future__ import annotations

import errno
import io
import json
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from lsp_tap.errors import UsageError
from lsp_tap.session.loading import NOT_SEARCHED, Unread, group_sources, is_source_name, list_sources

if TYPE_CHECKING:
    from pyarrow.fs import FileSystem  # type: ignore[import-untyped]


@dataclass(frozen=True, slots=True)
class Group:
    """The files of one session in one folder, and how many bytes they are. `root`: see `Store`."""

    root: str
    files: tuple[str, ...]
    size: int


@dataclass(slots=True)
class Listing:
    groups: list[Group] = field(default_factory=list)
    unread: list[Unread] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Store:
    """A folder. `root`: the URI that leads to its filesystem, "" for this machine's; `path`: where in there it is.

    Its files are named by paths relative to it.
    """

    root: str
    path: str

    @property
    def filesystem(self) -> FileSystem:
        return open_filesystem(self.root)

    def locate(self, name: str) -> str:
        return f"{self.path}/{name}"

    def list(self) -> list[str]:
        """The names in the folder; of one that is not there, none. Raises NotADirectoryError."""
        from pyarrow.fs import FileSelector, FileType

        if self.filesystem.get_file_info(self.path).type == FileType.File:
            raise NotADirectoryError(errno.ENOTDIR, "not a folder", self.path)
        found = self.filesystem.get_file_info(FileSelector(self.path, allow_not_found=True))
        return sorted(info.base_name for info in found)

    def write(self, name: str, content: bytes) -> None:
        with self.filesystem.open_output_stream(self.locate(name), compression=None) as stream:
            stream.write(content)


def open_store(name: str) -> Store:
    """A folder by its path or URI; it need not be there. Raises UsageError."""
    root, path = split_name(name)
    return Store(root, path.rstrip("/"))


def split_name(name: str) -> tuple[str, str]:
    """(root, path) of a path or URI. Raises UsageError where no filesystem is known for it."""
    if "://" not in name:
        return "", os.path.abspath(os.path.expanduser(name))
    return name, _open_uri(name)[1]


def open_filesystem(root: str) -> FileSystem:
    from pyarrow.fs import LocalFileSystem

    return _open_uri(root)[0] if root else LocalFileSystem()


@lru_cache(64)
def _open_uri(uri: str) -> tuple[FileSystem, str]:
    from pyarrow import ArrowException  # type: ignore[import-untyped]
    from pyarrow.fs import FileSystem

    try:
        filesystem, path = FileSystem.from_uri(uri)
    except (ArrowException, ValueError, ImportError) as error:
        raise UsageError(f"{uri}: {str(error).splitlines()[0]}") from error
    return filesystem, path


def list_groups(sources: Iterable[str]) -> Listing:
    """The session and training files of paths, globs and URIs, those of one session together. Raises UsageError."""
    listing = Listing()
    here = [source for source in sources if "://" not in source]
    if here:
        found = list_sources([os.path.expanduser(source) for source in here])
        listing.unread += found.unread
        listing.groups += [Group("", group, sum(map(_measure_file, group))) for group in found.groups]
    for source in sources:
        if "://" in source:
            _list_uri(source, listing)
    return listing


def _measure_file(path: str) -> int:
    try:
        return os.path.getsize(path)
    except OSError:
        return 0  # reading it says what is wrong


def _list_uri(uri: str, listing: Listing) -> None:
    from pyarrow.fs import FileSelector, FileType

    filesystem, path = _open_uri(uri)
    try:
        info = filesystem.get_file_info(path)
        if info.type == FileType.Directory:
            infos = [
                each
                for each in filesystem.get_file_info(FileSelector(path, recursive=True))
                if each.type == FileType.File
                and is_source_name(each.base_name)
                and NOT_SEARCHED.isdisjoint(each.path.removeprefix(path).split("/")[:-1])
            ]
        else:
            infos = [info] if info.type == FileType.File else []
    except OSError as error:
        listing.unread.append(Unread(uri, error.strerror or str(error)))
        return
    sizes = {each.path: each.size or 0 for each in infos}
    if not sizes:
        listing.unread.append(Unread(uri, "no session-*.json or dspy-*.json in it"))
    groups = group_sources(sorted(sizes))
    listing.groups += [Group(uri, group, sum(sizes[file] for file in group)) for group in groups]


def divide(groups: Sequence[Group], part_bytes: int) -> list[list[Group]]:
    """In parts of about so many bytes, in order."""
    parts: list[list[Group]] = []
    size = part_bytes
    for group in groups:
        if size >= part_bytes:
            parts.append([])
            size = 0
        parts[-1].append(group)
        size += group.size
    return parts


def read_group(group: Group) -> Iterator[tuple[str, bytes] | Unread]:
    """The names and contents of its files."""
    filesystem = open_filesystem(group.root)
    for file in group.files:
        try:
            with filesystem.open_input_stream(file, compression=None) as stream:
                yield file, stream.read()
        except OSError as error:
            yield Unread(file, error.strerror or str(error))


def read_observed_secrets(root: str, folder: str) -> list[Any]:
    """The `environment_secrets` of a logs folder's observations; what cannot be read is none."""
    filesystem = open_filesystem(root)
    found: dict[bytes, Any] = {}
    try:
        with filesystem.open_input_file(f"{folder}/tap/observed.jsonl") as stream:
            for line in io.BufferedReader(stream):
                at = line.find(b'"environment_secrets"')
                if at < 0 or line[at:] in found:
                    continue
                try:
                    found[line[at:]] = json.loads(line).get("environment_secrets")
                except (ValueError, AttributeError, RecursionError):
                    continue
    except OSError:
        return []
    return list(found.values())
