"""Programs that write or check what is committed beside the code: documents, template Sheets, pictures."""
