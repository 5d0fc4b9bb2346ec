"""A workspace's files while people edit them: which are templates, what saving one of them does to the storage, and
what its Python offers. Nothing here prints; the command line and the screens have it from the client."""
