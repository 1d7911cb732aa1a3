"""What projects store, and their limits."""

import concurrent.futures
from pathlib import Path

import pytest
import sqlalchemy as sa

from homeport.domain.errors import InvalidRequest
from homeport.domain.files import NewFile, NewUpload
from homeport.domain.images import ImageFormat
from homeport.domain.keys import KeyLimits, NewKey
from homeport.domain.responses import ResponseEnd
from homeport.domain.storage import ProjectUsage
from homeport.store.blobs import BlobStore
from homeport.store.database import Database
from homeport.store.files import SqlFileRepository
from homeport.store.images import ImageFolder
from homeport.store.keys import SqlKeyRepository
from homeport.store.project_storage import ESTIMATE_S, SqlProjectStorage
from homeport.store.schema import KEYS
from homeport.store.uploads import SqlUploadRepository
from tests.store.response_store import ResponseStore, events, item

FILE = NewFile(project="one", purpose="user_data", filename="a")
UPLOAD = NewUpload(
    project="one",
    purpose="user_data",
    filename="a",
    bytes=600,
    mime_type="text/plain",
)


class ProjectStores:
    """Files, uploads and images of projects with a limit of 1000 bytes each."""

    def __init__(self, database: Database, folder: Path) -> None:
        self.folder = folder
        self.pictures = ImageFolder(folder / "pictures", 3600)
        self.models = {"tuner": 300}
        self.storage = SqlProjectStorage(database, 1000, self.pictures.sizes, lambda: self.models)
        self.pictures.check = self.storage.check
        self.blobs = BlobStore(str(folder / "blobs"))
        self.files = SqlFileRepository(database, self.blobs, storage=self.storage)
        self.uploads = SqlUploadRepository(database, self.blobs, self.files)
        self.keys = SqlKeyRepository(database, b"s" * 32)

    def content(self, size: int) -> Path:
        """Write a file of this size."""
        path = self.folder / f"content-{size}"
        path.write_bytes(b"x" * size)
        return path

    def kept(self) -> list[str]:
        """The names of the stored contents."""
        return sorted(self.blobs.list_older("", -60))


@pytest.fixture
def stores(database: Database, tmp_path: Path) -> ProjectStores:
    return ProjectStores(database, tmp_path)


def test_everything_that_a_project_keeps_is_counted(stores: ProjectStores) -> None:
    """Files, parts of uploads, images and fine-tuned models count for their own project until they are deleted."""
    first = stores.files.create(FILE, stores.content(100))
    begun = stores.uploads.create(UPLOAD)
    stores.uploads.add_part("one", begun.id, stores.content(200))
    stores.pictures.save(b"x" * 50, ImageFormat.PNG, "one")
    assert stores.storage.list_all() == [
        ProjectUsage(project="one", files=100, parts=200, pictures=50, limit=1000),
        ProjectUsage(project="tuner", models=300, limit=1000),
    ]
    stores.files.delete("one", first.id)
    stores.uploads.cancel("one", begun.id)
    assert stores.storage.of("one").total == 50


def test_what_does_not_fit_is_refused_and_not_kept(stores: ProjectStores) -> None:
    """A file, an upload, a part or an image over the limit is refused; other projects are not affected."""
    begun = stores.uploads.create(UPLOAD)
    stores.files.create(FILE, stores.content(900))
    before = stores.kept()
    for act in (
        lambda: stores.files.create(FILE, stores.content(101)),
        lambda: stores.uploads.create(UPLOAD),
        lambda: stores.uploads.add_part("one", begun.id, stores.content(101)),
        lambda: stores.pictures.save(b"x" * 101, ImageFormat.PNG, "one"),
        lambda: stores.files.check_room("one", 101),
    ):
        with pytest.raises(InvalidRequest, match="stores 900") as refused:
            act()
        assert refused.value.code == "storage_limit_exceeded"
    assert stores.kept() == before
    assert stores.pictures.sizes() == {}
    stores.files.create(FILE, stores.content(100))
    other = NewFile(project="other", purpose="user_data", filename="a")
    stores.files.create(other, stores.content(900))


def test_a_completed_upload_replaces_its_parts(stores: ProjectStores) -> None:
    """An upload whose parts fitted can be completed, even if file and parts together exceed the limit."""
    begun = stores.uploads.create(UPLOAD)
    part = stores.uploads.add_part("one", begun.id, stores.content(600))
    target = stores.folder / "whole"
    upload = stores.uploads.assemble("one", begun.id, [part.id], target)
    stores.uploads.complete(upload, target)
    assert stores.storage.of("one") == ProjectUsage(project="one", files=600, limit=1000)


def test_many_at_once_keep_no_more_than_one_after_another(stores: ProjectStores) -> None:
    """Of 12 files sent at the same time, as many are stored as fit, and the contents of the others are deleted."""
    path = stores.content(150)

    def added(_: int) -> bool:
        try:
            stores.files.create(FILE, path)
        except InvalidRequest:
            return False
        return True

    with concurrent.futures.ThreadPoolExecutor(12) as pool:
        assert sum(pool.map(added, range(12))) == 6
    assert stores.storage.of("one").files == 900
    assert len(stores.kept()) == 6


def test_a_key_may_say_otherwise(stores: ProjectStores) -> None:
    """The smallest limit of a project's keys replaces the general limit; revoked keys do not count."""
    large = stores.keys.create(NewKey(name="large", project="one", limits=KeyLimits(storage_bytes=5000)))
    stores.files.create(FILE, stores.content(3000))
    assert stores.storage.of("one").limit == 5000
    small = stores.keys.create(NewKey(name="small", project="one", limits=KeyLimits(storage_bytes=10)))
    stores.keys.create(NewKey(name="silent", project="one"))
    with pytest.raises(InvalidRequest):
        stores.files.create(FILE, stores.content(1))
    stores.keys.revoke(small.key.id)
    stores.files.create(FILE, stores.content(1))
    stores.keys.revoke(large.key.id)
    assert stores.storage.of("one").limit == 1000


def test_pictures_are_found_whosever_they_are(stores: ProjectStores) -> None:
    """Images are found by their name only, including those of older servers, next to the projects' folders."""
    name = stores.pictures.save(b"data", ImageFormat.PNG, "one")
    assert stores.pictures.find(name) == b"data"
    old = stores.folder / "pictures" / "one" / name
    old.rename(stores.folder / "pictures" / name)
    assert stores.pictures.find(name) == b"data"
    stores.pictures.sweep()
    assert stores.pictures.find(name) == b"data"


def test_a_damaged_key_keeps_no_file_out(stores: ProjectStores, database: Database) -> None:
    """If a key's row is damaged, the limits of the other keys count."""
    damaged = stores.keys.create(NewKey(name="a", project="one", limits=KeyLimits(storage_bytes=10)))
    stores.keys.create(NewKey(name="b", project="one", limits=KeyLimits(storage_bytes=500)))
    with database.write_transaction() as connection:
        connection.execute(sa.update(KEYS).where(KEYS.c.id == damaged.key.id).values(limits="{"))
    stores.files.create(FILE, stores.content(400))
    with pytest.raises(InvalidRequest, match="may store 500 bytes"):
        stores.files.create(FILE, stores.content(200))


def test_responses_conversations_and_completions_are_counted(database: Database) -> None:
    """Their texts count for their own project, items of conversations and events too, until they are deleted."""
    store = ResponseStore(database)
    assert store.storage.list_all() == []
    conversation = store.conversation("x")
    before = store.storage.of("one").responses
    assert before == len("{}") + len(item("x").body.encode())
    store.completed("c", project="two")
    store.queued("a", conversation_id=conversation.id, project="one")
    queued = store.storage.of("one").responses
    assert queued > before
    assert store.claimed() == "a"
    store.responses.add_events("me", "a", events(0, 9))
    assert store.storage.of("one").responses >= queued + sum(len(each.body) for each in events(0, 9))
    usages = store.storage.list_all()
    assert [(each.project, each.responses == each.total > 0) for each in usages] == [("one", True), ("two", True)]
    store.responses.delete("one", "a")
    assert store.storage.of("one").responses == before
    store.conversations.delete("one", conversation.id)
    store.completions.delete("two", "c")
    assert store.storage.list_all() == []


def test_what_exceeds_the_limit_is_not_stored(database: Database) -> None:
    """A response, a conversation, an item or a completion over the limit is refused; an end is always stored."""
    store = ResponseStore(database, 3000)
    conversation = store.conversation("x")
    store.queued("a", input=(item("in", "x" * 2000),))
    large = item("large", "x" * 1000)
    for act, param in (
        (lambda: store.added("b", input=(large,)), "store"),
        (lambda: store.queued("b", input=(large,)), "store"),
        (lambda: store.conversations.create("one", {}, [large]), "items"),
        (lambda: store.conversations.add_items("one", conversation.id, [large]), "items"),
        (lambda: store.completed("c", body=large.body), "store"),
    ):
        with pytest.raises(InvalidRequest, match="Storage limit exceeded") as refused:
            act()
        assert (refused.value.param, refused.value.code) == (param, "storage_limit_exceeded")
    assert store.item_ids(conversation) == ["x"]
    store.added("other", project="other", input=(large,))
    assert store.claimed() == "a"
    end = ResponseEnd(status="completed", body="{}", output=(large,))
    store.responses.finish("me", "a", end)
    assert store.responses.get("one", "a").output == (large,)
    assert store.storage.of("one").total > 3000


def test_many_responses_at_once_keep_the_limit(database: Database) -> None:
    """Of 12 responses that are stored at the same time, as many are stored as fit."""
    store = ResponseStore(database, 3500)

    def added(number: int) -> bool:
        try:
            store.added(f"r{number}", input=(item("in", "x" * 800),), output=())
        except InvalidRequest:
            return False
        return True

    with concurrent.futures.ThreadPoolExecutor(12) as pool:
        assert sum(pool.map(added, range(12))) == 3


def test_a_project_at_its_limit_has_no_room(database: Database) -> None:
    """A project that is at its limit is refused by name before it stores anything; others are not."""
    store = ResponseStore(database, 3000)
    store.storage.check_room("one", "store")
    store.queued("a")
    store.storage.check_room("one", "store")
    assert store.claimed() == "a"
    store.responses.finish("me", "a", ResponseEnd(status="completed", body="x" * 3000))
    store.clock.now += ESTIMATE_S
    with pytest.raises(InvalidRequest, match="Storage limit exceeded") as refused:
        store.storage.check_room("one", "store")
    assert (refused.value.param, refused.value.code) == ("store", "storage_limit_exceeded")
    store.storage.check_room("other", "store")


def test_a_project_far_from_its_limit_is_summed_rarely(database: Database) -> None:
    """Rows of such a project are added to a recent sum; near the limit, and after a while, all is summed again."""
    store = ResponseStore(database, 10_000)
    sums: list[str] = []
    store.storage._pictures = lambda: sums.append("sum") or {}  # type: ignore[func-returns-value]
    for number in range(10):
        store.storage.check_room("one", "store")
        store.added(f"r{number}")
    assert len(sums) == 1
    store.clock.now += ESTIMATE_S
    store.added("later")
    assert len(sums) == 2
    store.added("large", input=(item("in", "x" * 4000),))
    store.added("after")
    assert len(sums) == 4
