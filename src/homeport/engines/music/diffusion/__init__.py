"""Music by ACE-Step 1.5, a diffusion model: a prompt and lyrics become a whole recording, step by step."""
