//! What every component promises: its settings, what it needs, how it is built.
