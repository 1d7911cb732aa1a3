"""What completions, chat and edits share."""
