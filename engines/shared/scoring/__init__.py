"""Judge responses: one module for each kind of answer, with a `strict` and a `guru` verdict."""
