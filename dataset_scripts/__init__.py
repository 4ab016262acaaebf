"""Dataset builders: one class per corpus, all with the schema of `document_features`."""
