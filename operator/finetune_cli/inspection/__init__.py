"""What `finetune inspect` does: prepare the data, look at it, show it."""
