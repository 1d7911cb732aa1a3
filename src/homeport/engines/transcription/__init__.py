"""The transcription engine: Whisper models in CTranslate2's format, run by faster-whisper."""
