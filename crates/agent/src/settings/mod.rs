//! What a person writes in the configuration, as types: places, problems, durations, sizes, endpoints.
