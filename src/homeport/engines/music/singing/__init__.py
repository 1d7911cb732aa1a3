"""Singing: lyrics and a melody in, a voice out, phrase by phrase."""
