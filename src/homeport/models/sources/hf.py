"""Models from Hugging Face or a mirror of it, through its own client library. Knows nothing of the store.

The client finds, lists and authorizes; Homeport downloads over the client's session into its own partial file, because
the client checks no hash and cannot resume in a later run.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from homeport.domain.errors import HomeportError, NotFound, Unavailable
from homeport.domain.operations import ProgressReporter
from homeport.models.pull_options import PullOptions
from homeport.models.sources import protocol, reachability
from homeport.models.sources.protocol import RemoteFile, SourceListing
from homeport.models.sources.transfer import ConnectionLost, ResponseBody, transfer


class HuggingFace(msgspec.Struct, frozen=True):
    """One model repository. `revision` is a branch, tag or commit; None: the default branch."""

    repo: str
    revision: str | None
    options: PullOptions

    @property
    def label(self) -> str:
        """The repository as users write it."""
        return f"hf:{self.repo}"

    def listing(self) -> SourceListing:
        """Return the repository's files at the commit that `revision` currently means."""
        endpoint = self.options.hf_endpoint
        if reason := reachability.unreachable_reason(endpoint, self.options.connect_s):
            raise protocol.unreachable_error(endpoint, reason, setting="HF_ENDPOINT")
        from huggingface_hub import HfApi
        from huggingface_hub.hf_api import RepoFile

        _keep_quiet()
        api = HfApi(endpoint=endpoint, token=self.options.hf_token or False, library_name="homeport")
        try:
            with self._translate_errors():
                commit = api.model_info(self.repo, revision=self.revision, timeout=self.options.read_s).sha
                tree = list(api.list_repo_tree(self.repo, recursive=True, revision=commit))
        except ConnectionLost as cut:
            raise protocol.unreachable_error(endpoint, str(cut), setting="HF_ENDPOINT") from cut
        files = (entry for entry in tree if isinstance(entry, RepoFile))
        return SourceListing(commit, tuple(RemoteFile(f.path, f.size, f.lfs.sha256 if f.lfs else None) for f in files))

    def fetch(self, listing: SourceListing, file: RemoteFile, part: Path, progress: ProgressReporter) -> None:
        """Download one file of the listed commit."""
        from huggingface_hub import get_session, hf_hub_url

        _keep_quiet()
        url = hf_hub_url(self.repo, file.path, revision=listing.revision, endpoint=self.options.hf_endpoint)
        headers = {"User-Agent": "homeport", "Accept-Encoding": "identity"}  # a compressed body cannot be resumed
        if self.options.hf_token:
            headers["Authorization"] = (
                f"Bearer {self.options.hf_token}"  # the session drops it on redirects to other hosts
            )

        @contextmanager
        def begin(offset: int) -> Iterator[ResponseBody]:
            wanted = {**headers, "Range": f"bytes={offset}-"} if offset else headers
            with (
                self._translate_errors(),
                get_session().stream("GET", url, headers=wanted, timeout=self.options.read_s) as answer,
            ):
                if answer.status_code >= 400:
                    raise self._hub_error(answer.status_code)
                yield ResponseBody(answer.status_code != 206, answer.iter_bytes())

        if file.size is None:
            raise NotFound(f"{self.label} does not report the size of {file.path}.")
        transfer(begin, part, file.size, progress, self.options.retry_s)

    @contextmanager
    def _translate_errors(self) -> Iterator[None]:
        """Translate the client's errors to Homeport's."""
        import httpx2
        from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled

        try:
            yield
        except HfHubHTTPError as error:
            raise self._hub_error(error.response.status_code) from error
        except OfflineModeIsEnabled as error:
            raise Unavailable("HF_HUB_OFFLINE is set, so Hugging Face is not used: unset it to pull.") from error
        except httpx2.TransportError as error:
            raise ConnectionLost(str(error) or type(error).__name__) from error

    def _hub_error(self, status: int) -> HomeportError:
        where = f"{self.options.hf_endpoint}/{self.repo}"
        label = self.label if self.revision is None else f"{self.label}@{self.revision}"
        return protocol.hub_error(label, status, where=where, token="HF_TOKEN")  # noqa: S106 - a setting's name


def _keep_quiet() -> None:
    """Make the client send no telemetry and print nothing."""
    from huggingface_hub import constants

    constants.HF_HUB_DISABLE_TELEMETRY = True
    logging.getLogger("huggingface_hub").setLevel(logging.ERROR)
