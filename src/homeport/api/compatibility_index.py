"""Every field of every endpoint, gathered from the families of endpoints: what pages and tests are made from."""

from collections.abc import Mapping

from homeport.api.batches import fields as batches
from homeport.api.compatibility import FieldNote
from homeport.api.embeddings import fields as embeddings
from homeport.api.files import fields as files
from homeport.api.fine_tuning import fields as tuning
from homeport.api.images import fields as images
from homeport.api.moderations import fields as moderations
from homeport.api.speech import fields as speech
from homeport.api.text_generation import fields as text
from homeport.api.transcriptions import fields as audio

FIELDS: Mapping[str, tuple[FieldNote, ...]] = {
    **text.FIELDS,
    **embeddings.FIELDS,
    **audio.FIELDS,
    **speech.FIELDS,
    **moderations.FIELDS,
    **images.FIELDS,
    **files.FIELDS,
    **batches.FIELDS,
    **tuning.FIELDS,
}
"""By endpoint: the capability's name in `Registry.resolve`, where a model is asked."""
