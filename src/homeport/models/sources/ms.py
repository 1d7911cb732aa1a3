"""Models from ModelScope or a mirror of it, through its own client library. Knows nothing of the store.

The client lists and authorizes; Homeport downloads over the client's session into its own partial file, because the
client's download prints to the terminal, limits a file to one hour, and writes session files into the user's home.
"""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from homeport.domain.errors import NotFound
from homeport.domain.operations import ProgressReporter
from homeport.models.pull_options import PullOptions
from homeport.models.sources import protocol, reachability
from homeport.models.sources.protocol import RemoteFile, SourceListing
from homeport.models.sources.transfer import ConnectionLost, ResponseBody, transfer

if TYPE_CHECKING:
    from modelscope_hub import HubApi

_BLOCK = 1 << 16  # an unfinished block is lost when the connection is cut
_MAIN = "master"


class ModelScope(msgspec.Struct, frozen=True):
    """One model repository. `revision` is a branch or tag; None: the default branch.

    The hub's listing has no commit, so the manifest stores the branch, in addition to the files' hashes.
    """

    repo: str
    revision: str | None
    options: PullOptions

    @property
    def label(self) -> str:
        """The repository as users write it."""
        return f"ms:{self.repo}"

    def listing(self) -> SourceListing:
        """Return the repository's current files."""
        endpoint = self.options.ms_endpoint
        if reason := reachability.unreachable_reason(endpoint, self.options.connect_s):
            raise protocol.unreachable_error(endpoint, reason, setting="MODELSCOPE_ENDPOINT")
        revision = self.revision or _MAIN
        try:
            with self._client() as api, self._translate_errors():
                entries = api.list_repo_files(self.repo, "model", revision=revision)
        except ConnectionLost as cut:
            raise protocol.unreachable_error(endpoint, str(cut), setting="MODELSCOPE_ENDPOINT") from cut
        return SourceListing(
            revision, tuple(RemoteFile(f.path, f.size, f.sha256 or None) for f in entries if not f.is_dir and f.path)
        )

    def fetch(self, listing: SourceListing, file: RemoteFile, part: Path, progress: ProgressReporter) -> None:
        """Download one file of the listed revision."""
        if not file.size:
            raise NotFound(f"{self.label} does not report the size of {file.path}.")
        with self._client() as api:

            @contextmanager
            def begin(offset: int) -> Iterator[ResponseBody]:
                wanted = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={offset}-"} if offset else {})
                with (
                    self._translate_errors(),
                    api.legacy.download_stream(
                        self.repo, "model", file.path, listing.revision or _MAIN, headers=wanted
                    ) as answer,
                ):
                    yield ResponseBody(answer.status_code != 206, answer.iter_content(_BLOCK))

            transfer(begin, part, file.size, progress, self.options.retry_s)

    @contextmanager
    def _client(self) -> Iterator["HubApi"]:
        from modelscope_hub import HubApi, HubConfig

        # A folder of its own: otherwise the client would store a session id in the user's home and send it.
        with tempfile.TemporaryDirectory(prefix="homeport-") as folder:
            api = HubApi(
                HubConfig(
                    endpoint=self.options.ms_endpoint,
                    token=self.options.ms_token or "",  # empty, not None: None uses the one stored on this machine
                    config_dir=Path(folder),
                    cache_dir=Path(folder),
                )
            )
            yield api

    @contextmanager
    def _translate_errors(self) -> Iterator[None]:
        """Translate the client's errors to Homeport's."""
        import requests
        from modelscope_hub import APIError, NetworkError

        try:
            yield
        except APIError as error:
            where = f"{self.options.ms_endpoint}/models/{self.repo}"
            label = self.label if self.revision is None else f"{self.label}@{self.revision}"
            status = error.status_code or 0
            raise protocol.hub_error(label, status, where=where, token="MODELSCOPE_API_TOKEN") from error  # noqa: S106
        except requests.exceptions.ChunkedEncodingError as error:
            raise ConnectionLost("the connection broke") from error
        except (NetworkError, requests.RequestException) as error:
            raise ConnectionLost(str(error) or type(error).__name__) from error
