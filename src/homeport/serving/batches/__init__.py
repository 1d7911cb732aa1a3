"""Work on batches: their files read, their lines done in the gaps of other traffic, what came of each kept at once."""
