"""Several repositories of one hub as one source: for models whose parts are published separately.

A file's path begins with its repository's name. Knows nothing of hubs.
"""

from collections.abc import Mapping
from pathlib import Path

import msgspec

from homeport.domain.operations import ProgressReporter
from homeport.models.sources.protocol import ModelSource, RemoteFile, SourceListing


class CombinedSource:
    """Implements `ModelSource`. `sources`: by repository, in the order in which they are named."""

    def __init__(self, sources: Mapping[str, ModelSource]) -> None:
        self._sources = sources
        self._listings: dict[str, SourceListing] = {}

    @property
    def label(self) -> str:
        """The labels of all, joined."""
        return " + ".join(source.label for source in self._sources.values())

    def listing(self) -> SourceListing:
        """Return the files of all; the revision names that of each. Raises what they raise."""
        self._listings = {repo: source.listing() for repo, source in self._sources.items()}
        revisions = [f"{repo}@{listing.revision}" for repo, listing in self._listings.items()]
        files = [
            msgspec.structs.replace(file, path=f"{repo}/{file.path}")
            for repo, listing in self._listings.items()
            for file in listing.files
        ]
        return SourceListing(" ".join(revisions), tuple(files))

    def fetch(self, listing: SourceListing, file: RemoteFile, part: Path, progress: ProgressReporter) -> None:  # noqa: ARG002 - the protocol's
        """Download from the file's own repository, at the revision of `listing`."""
        repo = next(repo for repo in self._sources if file.path.startswith(f"{repo}/"))
        own = msgspec.structs.replace(file, path=file.path.removeprefix(f"{repo}/"))
        self._sources[repo].fetch(self._listings[repo], own, part, progress)
