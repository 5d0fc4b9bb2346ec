"""Where runs live: each sub-package keeps the contract of `contracts.storage`."""
