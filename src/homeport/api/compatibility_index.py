"""The compatibility notes of every endpoint, read from its body or form: what the page and the tests are made from."""

from collections.abc import Mapping

from homeport.api.batches.schema import BatchBody
from homeport.api.chat.schema import ChatBody
from homeport.api.chat.stored_routes import CompletionUpdateBody
from homeport.api.compatibility import FieldNote, field_notes
from homeport.api.completions.schema import CompletionBody
from homeport.api.conversations import schema as conversations
from homeport.api.edits.schema import EditBody
from homeport.api.embeddings.schema import CreateEmbeddingBody
from homeport.api.files import schema as files
from homeport.api.fine_tuning.schema import FineTuneBody, JobBody
from homeport.api.images import schema as images
from homeport.api.moderations.schema import ModerationBody
from homeport.api.music.schema import MusicBody, SoundGenerationBody
from homeport.api.responses.schema import ResponseBody
from homeport.api.shapes.schema import ShapeBody
from homeport.api.speech.schema import SpeechBody
from homeport.api.transcriptions import schema as transcriptions
from homeport.api.uploads.schema import UploadBody
from homeport.api.vector_stores import schema as vector_stores

FIELDS: Mapping[str, tuple[FieldNote, ...]] = {
    "completions": field_notes(CompletionBody),
    "chat": field_notes(ChatBody),
    "completion_updates": field_notes(CompletionUpdateBody),
    "responses": field_notes(ResponseBody),
    "conversations": field_notes(conversations.ConversationBody),
    "conversation_updates": field_notes(conversations.ConversationUpdateBody),
    "conversation_items": field_notes(conversations.ItemsBody),
    "edits": field_notes(EditBody),
    "embeddings": field_notes(CreateEmbeddingBody),
    "transcriptions": field_notes(transcriptions.TranscriptionForm, transcriptions.FILES),
    "translations": field_notes(transcriptions.TranslationForm, transcriptions.FILES),
    "speech": field_notes(SpeechBody),
    "music": field_notes(MusicBody),
    "sound_generation": field_notes(SoundGenerationBody),
    "moderations": field_notes(ModerationBody),
    "images": field_notes(images.ImageGenerationBody),
    "image_edits": field_notes(images.ImageEditBody, images.EDIT_FILES),
    "image_variations": field_notes(images.ImageVariationForm, images.VARIATION_FILES),
    "shapes": field_notes(ShapeBody),
    "files": field_notes(files.FileForm, files.FILES),
    "uploads": field_notes(UploadBody),
    "vector_stores": field_notes(vector_stores.VectorStoreBody),
    "vector_store_updates": field_notes(vector_stores.VectorStoreUpdateBody),
    "vector_store_files": field_notes(vector_stores.StoreFileBody),
    "vector_store_file_batches": field_notes(vector_stores.FileBatchBody),
    "vector_store_searches": field_notes(vector_stores.SearchBody),
    "batches": field_notes(BatchBody),
    "fine_tunes": field_notes(FineTuneBody),
    "fine_tuning_jobs": field_notes(JobBody),
}
"""By endpoint, in the order of the page."""
