"""The text endpoints: completions, chat and edits. The only place that knows their JSON."""
