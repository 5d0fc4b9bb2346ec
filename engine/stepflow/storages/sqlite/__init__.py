"""The embedded storage: one SQLite file, many processes.

`adapter` is the storage; it reads with `read`, and its one `writer` thread commits the verbs of `write` in groups, each
group behind the `turnstile` that lets several processes write in turn. `wake` tells other processes of a commit,
`liveness` who is alive, `connect` opens the file and `schema` makes it.
"""

from stepflow.storages.sqlite.adapter import SQLiteStorage

__all__ = ["SQLiteStorage"]
