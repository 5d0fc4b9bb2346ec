"""What each pane shows, its keys and its messages: a file and a style sheet each."""
