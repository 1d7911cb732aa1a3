"""Tests of pictures in prompts."""
