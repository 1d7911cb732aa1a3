"""Pictures from prompts, from pictures, and into the holes of pictures."""
