"""Policies and pretrained heads on the Hugging Face Hub: published with a card, and fetched by hash."""
