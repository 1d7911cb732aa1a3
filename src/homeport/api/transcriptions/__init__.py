"""OpenAI's audio endpoints: speech, transcriptions, translations."""
