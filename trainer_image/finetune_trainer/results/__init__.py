"""What a job leaves behind: final weights, model card, plot, resolved job."""
