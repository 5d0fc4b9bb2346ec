"""What things are: statuses and their moves, flows, templates, runs, steps, events, ids, times."""
