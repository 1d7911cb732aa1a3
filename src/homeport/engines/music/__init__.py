"""The music engine: a prompt becomes a tune, the tune an arrangement, the arrangement sound, with sung lyrics."""
