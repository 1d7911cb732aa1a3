"""Reads the text of documents, in a child process with limits: plain text in many forms, PDF, and Office's formats."""
