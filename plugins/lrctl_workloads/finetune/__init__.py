"""Fine-tuning of models of Hugging Face transformers."""
