"""Dataset builders: one class per corpus, all with the one schema of `document_features`."""
