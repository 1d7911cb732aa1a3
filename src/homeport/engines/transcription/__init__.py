"""Writes down speech: Whisper models in CTranslate2's format, through faster-whisper."""
