"""Language models: texts, a pretrained encoder, and its fine-tuning on salutary labels."""
