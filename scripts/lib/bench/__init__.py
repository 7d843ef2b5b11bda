"""What scripts/bench is made of: place (scratch space, processes), images, trees (counting),
cold, warm, size, many, cluster (what is measured), runner (rounds), report (tables, baseline)."""
