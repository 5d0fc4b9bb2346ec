"""What the engine asks of the world: a storage, components, a clock."""
