"""The bundled composer: a small transformer that writes melodies note by note, and what keeps its bars exact."""
