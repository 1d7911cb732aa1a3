"""`/v1/audio/music`, and the same under the names of `/v1/sound-generation`."""
