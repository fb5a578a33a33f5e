//! From text to a checked plan: sources, expansion, merging, and every problem at once.
