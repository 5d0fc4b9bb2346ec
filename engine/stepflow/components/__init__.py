"""What steps run: one file per family. `registry` finds them; a module that begins with `_` serves its neighbours."""
